"""results.json as records: a run, its claims with their evidence, and the counts behind each accuracy.

Fields stand in the order in which the file has them. A field with a default may be absent: it came later than the
first files, or not every claim has it.
"""

from collections.abc import Sequence
from typing import Annotated, Final, Literal, Self

import numpy as np
from layerclaims.protocol import ProtocolName
from layerclaims.results.change_records import BaselineRecord
from layerclaims.results.fields import (
    ClaimId,
    Count,
    Counts,
    Integer,
    Interval,
    Json,
    Many,
    Moment,
    Named,
    Number,
    Record,
    Sha256,
    Share,
    Threshold,
)
from layerclaims.results.figure_records import FigureRecord
from layerclaims.results.model_records import ModelRecord
from layerclaims.results.picture_records import PicturesRecord
from layerclaims.results.walk_records import AblationRecord, WalkRecord
from layerclaims.statistics.estimate import Method
from layerclaims.verdicts.criterion import Relation
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

# 2 adds `where` and `selected`; 3 adds `walks` and takes the published procedure as it was run; 4 has p-values on the
# verdict's side and level, and controls that must not lie above a value; 5 adds `baseline`
SCHEMA_VERSION: Final = 5
SEALED: Final = 3  # from this version on every file has a checksum
MOST_CLAIMS: Final = 2_000  # under all protocols: what a hostile file may ask for is bounded
MOST_PARTS: Final = 100
MOST_NULLS: Final = 20
# the authors chose other texts for transfer
CorpusRole = Literal["main", "transfer", "transfer as published"]


class HarnessRecord(Record):
    """The program that made the run."""

    version: str
    git_commit: str | None  # of the checkout; null for an installed package


class OptionRecord(Record):
    """One option: its value and where it came from."""

    name: str
    value: Json
    source: str


class ProtocolRecord(Record):
    """What was run; of a run under both protocols, all but the name is that of the first."""

    name: Literal["rigorous", "as-published", "both"]
    profile: str | None = None
    n_texts: Count  # documents of each corpus
    context: Count  # tokens of each document
    folds: Count
    seed: Integer
    alpha: Annotated[Number, Field(gt=0, lt=1)]
    dtype: str
    hash: str
    options: Many[OptionRecord]


class CorpusRecord(Record):
    """A corpus that was read."""

    role: CorpusRole
    name: str
    revision: str | None
    n_texts: Count  # documents that were read
    n_available: Count | None = None  # texts of the corpus
    skipped: Count  # texts that were too short
    ids_sha256: str
    made_with: Many[dict[str, str]] = ()  # device and libraries of the states; several where shards differ


class EnvironmentRecord(Record):
    """What the numbers were computed with."""

    python: str
    platform: str
    cpu: str | None = None
    threads: Integer | None = None
    packages: dict[str, str]  # name -> version


class SelectedRecord(Record):
    """How many claims were run of how many there are."""

    claims: Count
    of: Count

    @model_validator(mode="after")
    def _no_more_than_there_are(self) -> Self:
        if self.claims > self.of:
            raise ValueError(f"says that {self.claims} claims were selected of {self.of}")
        return self


class CriterionRecord(Record):
    """The success region in words, and the border of the first part."""

    text: str
    threshold: Threshold | None


class RecipeRecord(Record):
    """How a number follows from the counts: a statistic of series named under `documents`, without their protocol."""

    statistic: str
    series: Many[str]


class PartRecord(Record):
    """One condition of a claim: a number, its interval and its region."""

    name: str
    estimand: str | None = None
    estimate: Number | None
    interval: Interval | None
    confidence: Number | None = None
    method: Method | None = None
    relation: Relation
    threshold: Threshold | None
    p_value: Number | None = None
    holds: bool | None  # null: undecided
    recipe: RecipeRecord | None = None  # null: the number is no statistic of counts

    @model_validator(mode="after")
    def _region(self) -> Self:
        if self.threshold is not None and isinstance(self.threshold, tuple) != (self.relation == "inside"):
            raise ValueError(f"has a threshold that does not fit the relation {self.relation!r}")
        return self


class ControlRecord(Record):
    """A number or a fact shown beside a claim, which decides nothing."""

    name: str
    estimate: Number | None
    interval: Interval | None = None
    note: str | None = None


class ProbeRecord(Record):
    """How well the probe behind a claim converged: the worst of its fits."""

    converged: bool
    gradient_norm: Number | None
    iterations: Integer | None
    relative_gap: Number | None = None  # (objective - optimum) / objective, estimated or bounded


class CalibrationRecord(Record):
    """Measured error rates of a claim's rule on data with planted truth."""

    false_replicated: Share | None
    false_replicated_interval: Interval | None = None
    false_not_replicated: Share | None
    false_not_replicated_interval: Interval | None = None
    plants: Count  # data sets that were drawn


class NullRecord(Record):
    """How often data without structure pass a claim's rule."""

    name: str  # of the null model: "random walk"
    passed: Share  # of the draws, those that came out REPLICATED
    draws: Count


def decisive(parts: Sequence[PartRecord]) -> PartRecord | None:
    """The part on which a verdict rests: the first that fails, else the first undecided, else the first."""
    for wanted in (False, None):
        for part in parts:
            if part.holds is wanted:
                return part
    return parts[0] if parts else None


class TwinRecord(Record):
    """What the same rule says of the untrained twin: the same architecture, freshly initialised."""

    verdict: Named
    estimate: Number | None
    interval: Interval | None
    reason: str


class ClaimRecord(Record):
    """One claim under one protocol; its numbers are those of its first part."""

    id: ClaimId
    section: str
    statement: str
    source: Annotated[
        str, Field(description="Whose sentence it is; in files of version 1 with its place in there.")
    ]
    where: Annotated[str | None, Field(description="The sentence's place in its source.")] = None
    reported: str | None  # what the source measured
    reported_value: Number | None = None  # the same on the scale of the estimate
    reported_cell: Annotated[
        str | None, Field(description="The cell that the reported figure comes from, in words.")
    ] = None
    reported_exact: Annotated[
        bool,
        Field(description="Whether that is this run's very model, corpus, context and number of texts."),
    ] = False
    protocol: ProtocolName
    estimand: str | None
    estimate: Number | None
    interval: Interval | None
    confidence: Number | None
    criterion: CriterionRecord
    parts: Annotated[Many[PartRecord], Field(max_length=MOST_PARTS)]  # joined by "and"
    p_value: Number | None
    n_documents: Count | None
    n_vectors: Count | None
    controls: Many[ControlRecord]
    probe: ProbeRecord | None  # null: none was fitted
    verdict: Named
    reason: str
    figures: Many[str]
    missing: Annotated[
        dict[str, str],
        Field(
            default_factory=dict,
            description="What is not shown with the claim, and why: by a figure's id or a control's name; "
            '"walk" is the way between the protocols, "untrained twin" the verdict on it.',
        ),
    ]
    calibration: CalibrationRecord | None = None
    nulls: Annotated[
        Many[NullRecord],
        Field(max_length=MOST_NULLS, description="Null models under the rule, where any can be drawn."),
    ] = ()
    seconds: Number | None
    control_untrained: TwinRecord | None = None
    p_holm: Number | None  # adjusted over all claims of the protocol
    survives_holm: bool | None = None  # null: not REPLICATED, or without a p-value

    @property
    def decisive(self) -> PartRecord | None:
        """The part on which the verdict rests; None for a claim without parts."""
        return decisive(self.parts)


class SeriesRecord(Record):
    """What one probe got right, by document; `correct` and `total` count by label too, or over all labels."""

    corpus: CorpusRole
    documents: Counts  # [documents]: place of each in its corpus
    correct: Counts
    total: Counts

    @model_validator(mode="after")
    def _counts(self) -> Self:
        if self.correct.shape != self.total.shape:
            raise ValueError("has correct and total of different shape")
        if self.documents.ndim != 1 or len(self.documents) != len(self.total):
            raise ValueError("has not one row of counts for each document")
        if (excess := self.correct > self.total).any():
            raise ValueError(
                f"counts more correct vectors than there are in row {int(np.argwhere(excess)[0][0])}"
            )
        return self

    def __eq__(self, other: object) -> bool:
        """Whether all counts are the same."""
        return (
            isinstance(other, SeriesRecord)
            and self.corpus == other.corpus
            and all(
                np.array_equal(getattr(self, name), getattr(other, name))
                for name in ("documents", "correct", "total")
            )
        )


class Results(Record):
    """One run: every verdict with its evidence, and the counts per document behind each accuracy."""

    schema_version: Literal[1, 2, 3, 4, 5]
    created: Moment
    harness: HarnessRecord
    protocol: ProtocolRecord
    model: ModelRecord
    corpora: Many[CorpusRecord]
    environment: EnvironmentRecord
    command: Annotated[
        Many[str], Field(description="The arguments that pytest was given, as they were typed.")
    ] = ()
    selected: Annotated[
        SelectedRecord | None, Field(description="How many claims were run of how many there are.")
    ] = None
    baseline: Annotated[
        BaselineRecord | None,
        Field(description="The earlier run that this one was held against; only of a run with `--baseline`."),
    ] = None
    claims: Annotated[Many[ClaimRecord], Field(max_length=MOST_CLAIMS)]
    ablation: Annotated[
        Many[AblationRecord],
        Field(
            description="Between the protocols, one ingredient changed at a time; files of version 1 and 2."
        ),
    ] = ()
    walks: Annotated[
        Many[WalkRecord],
        Field(
            description="How numbers go from the published procedure to the rigorous one; only under both."
        ),
    ] = ()
    documents: dict[str, SeriesRecord]  # by "PROTOCOL/SERIES"
    figures: dict[str, FigureRecord]
    pictures: Annotated[
        Many[PicturesRecord],
        Field(max_length=2, description="The states themselves, drawn; once for each protocol of the run."),
    ] = ()
    sha256: Annotated[Sha256 | None, Field(description="SHA-256 of the canonical text of all the rest.")] = (
        None
    )

    @model_validator(mode="after")
    def _claims(self) -> Self:
        seen = set()
        for index, claim in enumerate(self.claims):
            what = None
            if (claim.id, claim.protocol) in seen:
                what = "stands twice in the file"
            elif self.protocol.name not in ("both", claim.protocol):
                what = f"does not belong to a run of protocol {self.protocol.name}"
            elif absent := [name for name in claim.figures if name not in self.figures]:
                what = f"names the figure {absent[0]!r} that the file does not have"
            if what is not None:
                place = f"claims/{index} ({claim.id}, {claim.protocol})"
                raise PydanticCustomError("unsound", "{what}", {"place": place, "what": what})
            seen.add((claim.id, claim.protocol))
        return self
