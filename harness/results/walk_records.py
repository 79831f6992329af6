"""Between the protocols in results.json: a number's way from one to the other, one ingredient at a time."""

from typing import Literal

from layerclaims.protocol import ProtocolName
from layerclaims.results.fields import ClaimId, Count, Interval, Many, Number, Record, Share, Some

Ingredient = Literal[
    "published",  # the procedure as it is
    "steps",
    "solver",
    "features",
    "split",
    "mask",
    "contribution",
    "vectors",
    "positions",
    "rigorous",  # whatever is left between the two
]


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


class WalkStepRecord(Record):
    """One step of a walk: the number with one more ingredient taken from the rigorous protocol."""

    ingredient: Ingredient
    choice: str  # what is chosen, in words: "probe solved to its tolerance"
    value: Number
    interval: Interval | None
    converged: bool | None


class WalkRecord(Record):
    """How a row's number goes from the published procedure to the rigorous protocol, one ingredient at a time."""

    claim: ClaimId
    quantity: str  # "accuracy lost by unit-normalising"
    steps: Some[
        WalkStepRecord
    ]  # cumulative, in order; the first is "published", the last the rigorous number
    alone: Many[WalkStepRecord] = ()  # single changes of the published procedure, where the run has them
