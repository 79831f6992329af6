"""The ingredients between the protocols, one changed at a time: only files of version 1 and 2 have them."""

from typing import Literal

from layerclaims.protocol import ProtocolName
from layerclaims.results.fields import Count, Interval, Record, Share


class IngredientsRecord(Record):
    """How vectors are split, scaled, labelled and classified."""

    split: Literal["document", "vector"]
    features: Literal["standardised", "as they come"]
    last: Literal["raw", "final"]
    solver: Literal["converged", "defaults"]


class AblationRecord(Record):
    """A protocol with at most one ingredient of the other's, on one fold of at most 200 documents."""

    start: ProtocolName
    changed: Literal["split", "features", "last", "solver"] | None
    ingredients: IngredientsRecord
    accuracy: Share
    interval: Interval | None
    converged: bool
    unit_accuracy: Share
    unit_interval: Interval | None
    unit_converged: bool | None = None
    n_documents: Count | None = None
