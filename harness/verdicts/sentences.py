"""Why a verdict is what it is, in whole sentences: the number, its interval, and where they lie to the pass mark."""

from typing import Final

from layerclaims.runtime.text import number
from layerclaims.statistics.sample_size import documents_to_decide
from layerclaims.verdicts.criterion import MINIMUM_DOCUMENTS, Criterion
from layerclaims.verdicts.evidence import Finding, Part

MOST_DOCUMENTS: Final = 1_000_000  # that a sentence asks for: nobody reads more


def too_few(n_documents: int) -> str:
    """Of fewer documents than an interval can be made of."""
    return (
        f"Only {n_documents} test documents were measured, and an interval of fewer than {MINIMUM_DOCUMENTS} is not "
        "trusted."
    )


def unfinished(finding: Finding) -> str:
    """Of a probe that did not converge; the finding has its certificate."""
    certificate = finding.certificate
    assert certificate is not None
    return (
        f"The probe behind the {finding.name} did not finish fitting within {certificate.iterations} iterations "
        f"(gradient norm {certificate.gradient_norm:.1e}), so its value of {number(finding.estimate.value)} is not "
        "reliable."
    )


def undefined(finding: Finding) -> str:
    """Of a number that there is none of."""
    return f"The {finding.name} is undefined here, because there is nothing to compute it from."


def endless(finding: Finding) -> str:
    """Of an interval that is none."""
    return f"The {finding.name} has no finite interval, so nothing can be decided."


def passes(part: Part) -> str:
    """As in "Accuracy is .932 (95 % interval .928 to .936), above the required .274."."""
    return f"{_measured(part.finding)}, {part.criterion.side(holds=True)}."


def fails(part: Part) -> str:
    """As in "Accuracy lost is -.007 (95 % interval -.008 to -.006), not above the required .010."

    What the failure means comes before it, where the claim's code says that.
    """
    said = f"{_measured(part.finding)}, {part.criterion.side(holds=False)}."
    return f"{_capital(part.criterion.otherwise)}. {said}" if part.criterion.otherwise else said


def undecided(part: Part) -> str:
    """Of an interval that lies across the pass mark, or of a control that is not where it should be."""
    found, criterion = f"{_measured(part.finding)}.", part.criterion
    if criterion.relation in ("contains", "not above"):
        wish = "be" if criterion.relation == "contains" else "not lie above"
        deed = "is not" if criterion.relation == "contains" else "does"
        return f"{found} This control should {wish} {number(criterion.bounds[0])} and {deed}, so something leaks."
    if criterion.relation == "inside" and part.finding.estimate.method in ("exact", "bound"):
        return f"{found} No document differs, so the comparison says nothing."
    mark = (
        f"margin of ±{number(criterion.bounds[1])}"
        if criterion.relation == "inside"
        else f"pass mark of {number(criterion.bounds[0])}"
    )
    return f"{found} The interval crosses the {mark}{_needed(part.finding, criterion)}."


def _needed(finding: Finding, criterion: Criterion) -> str:
    """How many documents might decide it; nothing where that is no answer."""
    estimate = finding.estimate
    found = [documents_to_decide(estimate, border) for border in criterion.bounds]
    known = [n for n in found if n is not None]
    runs = estimate.method == "chi-square"  # its sample is the runs, whatever number of documents each has
    if len(known) < len(found) or max(known) <= (estimate.n_documents if runs else finding.n_documents):
        return ""
    what = "runs" if runs else "documents"
    if max(known) > MOST_DOCUMENTS:
        return f"; more than {MOST_DOCUMENTS:,} {what} would be needed to decide it"
    return f"; about {_round_up(max(known)):,} {what} might decide it"


def _measured(finding: Finding) -> str:
    e = finding.estimate
    interval = f"{100 * e.confidence:.4g} % interval {number(e.low)} to {number(e.high)}"
    return f"{_capital(finding.name)} is {number(e.value)} ({interval})"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _round_up(n: int) -> int:
    step: int = 10 ** max(1, len(str(n)) - 2)
    return -(-n // step) * step
