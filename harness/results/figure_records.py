"""Figures of results.json: lines, bars, a matrix, a path. Data to be drawn, no drawing."""

from typing import Annotated, Final, Literal, Self

from layerclaims.protocol import ProtocolName
from layerclaims.results.fields import Many, Number, Point, Record, Some, Tick
from pydantic import Field, TypeAdapter, model_validator


class PlacesRecord(Record):
    """An axis with named or numbered places; a path has none, its places are the data's own."""

    label: str
    values: Many[Tick] = ()


class ScaleRecord(Record):
    """An axis of numbers."""

    label: str
    log: bool = False


class ReferenceRecord(Record):
    """A named value, drawn as a line across."""

    label: str
    value: Number


class CurveRecord(Record):
    """A value for each place, with bounds where there are any; null where a value is missing."""

    name: str
    values: Many[Number | None]
    low: Many[Number | None] | None = None
    high: Many[Number | None] | None = None
    published: Annotated[bool, Field(description="Whether it comes from the source, to stand behind.")] = (
        False
    )


class TrailRecord(Record):
    """Points joined in order, with a label each where they have labels."""

    name: str
    points: Some[Point]
    labels: Many[Tick] | None = None

    @model_validator(mode="after")
    def _label_each_point(self) -> Self:
        if self.labels is not None and len(self.labels) != len(self.points):
            raise ValueError("has not one label for each point")
        return self


class _Figure(Record):
    """What every figure has."""

    kind: str
    title: str
    caption: str
    alt: str  # the figure in one sentence, for who does not see it


class _Curves(_Figure):
    """Curves over the same places."""

    x: PlacesRecord
    y: ScaleRecord
    series: Some[CurveRecord]
    reference: Many[ReferenceRecord] = ()
    protocol: ProtocolName | None = None

    @model_validator(mode="after")
    def _value_for_each_place(self) -> Self:
        places = len(self.x.values)
        for one in self.series:
            for name, values in (("values", one.values), ("low", one.low), ("high", one.high)):
                if values is not None and len(values) != places:
                    raise ValueError(f"has {len(values)} {name} for {places} places on its x axis")
        return self


class LinesRecord(_Curves):
    """A line for each series."""

    kind: Literal["lines"]


class BarsRecord(_Curves):
    """A bar for each value of each series."""

    kind: Literal["bars"]


class MatrixRecord(_Figure):
    """A value for each pair of places; rows lie along y."""

    kind: Literal["matrix"]
    x: PlacesRecord
    y: PlacesRecord
    values: Some[Many[Number | None]]
    unit: str | None = None
    protocol: ProtocolName | None = None

    @model_validator(mode="after")
    def _value_for_each_pair(self) -> Self:
        rows, columns = len(self.y.values), len(self.x.values)
        if [len(row) for row in self.values] != [columns] * rows:
            raise ValueError(f"has a matrix that is not {rows} x {columns}")
        return self


class PathRecord(_Figure):
    """Trails in the plane, a panel each."""

    kind: Literal["path"]
    x: PlacesRecord
    y: ScaleRecord
    series: Some[TrailRecord]
    reference: Many[ReferenceRecord] = ()
    protocol: ProtocolName | None = None


FigureRecord = Annotated[LinesRecord | BarsRecord | MatrixRecord | PathRecord, Field(discriminator="kind")]
FIGURES: Final[TypeAdapter[FigureRecord]] = TypeAdapter(FigureRecord)  # reads any kind of them
