"""What stands behind a verdict and decides nothing: counts by document and figures, each made and checked apart."""

from dataclasses import dataclass, field
from typing import Any

from layerclaims.errors import LayerclaimsError
from layerclaims.experiments.study import Study
from layerclaims.results.figure_records import FIGURES
from layerclaims.results.file import plain
from layerclaims.results.records import SeriesRecord
from layerclaims.runtime import progress as screen
from layerclaims.runtime.memory import exhausted
from layerclaims.runtime.text import inert
from layerclaims.verdicts.declaration import Figure
from layerclaims.verdicts.evidence import Evidence
from pydantic import ValidationError

NOT_FINITE = "its values are not finite"


@dataclass
class Exhibits:
    """What records name and results.json holds once, as plain JSON types: they may cross to another process."""

    documents: dict[str, dict[str, Any]] = field(default_factory=dict)  # by the name of a series
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)  # by id
    missing: dict[str, str] = field(default_factory=dict)  # id of a figure that could not be drawn -> why

    def add(self, other: "Exhibits") -> None:
        """Take over what another one has."""
        self.documents.update(other.documents)
        self.figures.update(other.figures)
        self.missing.update(other.missing)


def exhibits(study: Study, evidence: Evidence, *, known: Exhibits) -> Exhibits:
    """The counts and the figures behind a claim's evidence, less what is known already.

    Raises pydantic's ValidationError for counts that results.json cannot hold: a verdict rests on them.
    """
    found = Exhibits()
    series = [one for part in evidence.parts for one in part.finding.series]
    for one in series:
        if one.name not in known.documents:
            counts = study.counts(one).as_json()
            SeriesRecord.model_validate(counts)
            found.documents[one.name] = counts
    for figure in evidence.figures:
        if figure.id not in known.figures and figure.id not in known.missing:
            try:
                found.figures[figure.id] = _drawn(study, figure)
            except Exception as error:  # whatever it is, hours of work must not be lost to a drawing
                found.missing[figure.id] = left_out(f"the figure {figure.id}", error)
    return found


def _drawn(study: Study, figure: Figure) -> dict[str, Any]:
    """A figure's data as results.json can hold them."""
    drawn = figure.draw(study).model_copy(update={"protocol": study.protocol.name})
    FIGURES.validate_python(plain(drawn))  # rounded, as the file has it
    return plain(drawn, exact=True)


def left_out(what: str, error: Exception) -> str:
    """Why something is missing, in a few words; the same is shown as a line at once."""
    why = reason(error)
    screen.note(f"layerclaims: {what} is left out: {why}")
    return why


def reason(error: Exception) -> str:
    """What an exception says, on one line and without a module's inner words."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        said = first["msg"].removeprefix("Value error, ")
        place = "/".join(map(str, first["loc"]))
        if "which a results file cannot hold" in said:
            return NOT_FINITE
        if first["type"] == "too_short":
            return "there is nothing in it"
        return inert(" ".join(f"{place} {said}".split()), 200)
    if said := exhausted(error):
        return said.rstrip(".")
    text = inert(" ".join(str(error).split()), 200).rstrip(".")
    return text if isinstance(error, LayerclaimsError) else f"{type(error).__name__}: {text}"
