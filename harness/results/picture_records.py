"""The states of a run as pictures in results.json: where a sample of vectors lies in a plane, layer by layer."""

from typing import Any, Final, Literal, Self

import numpy as np
from layerclaims.protocol import ProtocolName
from layerclaims.results.fields import Count, Counts, Many, Number, Record, Share, Some
from pydantic import model_validator

CELLS: Final = 1000  # of either axis of a picture
MOST_POINTS: Final = 20_000  # of one picture: what a hostile file may ask for is bounded
MOST_PICTURES: Final = 10


class AxisRecord(Record):
    """An axis of a picture: cell k of the grid stands for low + k * step."""

    share: Share  # of the sample's variance that lies along it
    low: Number  # where cell 0 lies, in units of the vectors
    step: Number  # from a cell to the next


class PictureRecord(Record):
    """A sample of vectors in a plane: of each state the same tokens, places in whole numbers from 0 to 999."""

    title: str
    method: Literal["PCA", "t-SNE", "UMAP"]  # by which the vectors were put into the plane
    n_documents: Count  # that the vectors are of
    states: Some[Count]  # 0 is the embedding
    x: Counts  # [states, tokens], cells from left to right
    y: Counts  # [states, tokens], cells from below
    axes: Many[AxisRecord]  # of PCA two, x and y; the other methods have none: their units mean nothing

    @model_validator(mode="after")
    def _fits(self) -> Self:
        shape = self.x.shape
        if len(shape) != 2 or shape != self.y.shape or shape[0] != len(self.states) or not shape[1]:
            raise ValueError("has not an x and a y for each token of each state")
        if self.x.size > MOST_POINTS:
            raise ValueError(f"has {self.x.size} points, more than any picture has")
        if max(self.x.max(), self.y.max()) >= CELLS:
            raise ValueError(f"has a point outside of its grid of {CELLS} x {CELLS}")
        if len(self.axes) not in ((2,) if self.method == "PCA" else (0,)):
            raise ValueError(f"has {len(self.axes)} axes, which {self.method} does not have")
        return self

    def __eq__(self, other: object) -> bool:
        """Whether all fields are the same."""
        return isinstance(other, PictureRecord) and all(
            _same(getattr(self, name), getattr(other, name)) for name in type(self).model_fields
        )


class PicturesRecord(Record):
    """The pictures of a model's states under one protocol."""

    protocol: ProtocolName  # whose vectors they are
    first_position: Count  # of a text that is drawn: 1 leaves out position 0
    pictures: Many[PictureRecord]  # those that could be drawn
    missing: dict[str, str]  # a picture's title -> why it is not there

    @model_validator(mode="after")
    def _few(self) -> Self:
        if len(self.pictures) + len(self.missing) > MOST_PICTURES:
            raise ValueError("has more pictures than any run makes")
        return self


def _same(one: Any, other: Any) -> bool:
    return np.array_equal(one, other) if isinstance(one, np.ndarray) else bool(one == other)
