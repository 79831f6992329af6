"""Walks and figures of a file against the claims and the counts that they show."""

from collections.abc import Mapping

from layerclaims.results.agreement import Mismatches, same
from layerclaims.results.figure_records import LinesRecord, MatrixRecord
from layerclaims.results.records import ClaimRecord, Results
from layerclaims.runtime.text import digits
from layerclaims.statistics.counts import AnswerCounts

RAW = "raw"  # the series that figures of recall are made of


def check_walks(results: Results, mismatches: Mismatches) -> None:
    """A walk begins with the published number of its claim and ends with the rigorous one."""
    claims: dict[tuple[str, str], ClaimRecord] = {(one.id, one.protocol): one for one in results.claims}
    for walk in results.walks:
        place = f"walks, {walk.claim}"
        for protocol, step in (("as-published", walk.steps[0]), ("rigorous", walk.steps[-1])):
            claim = claims.get((walk.claim, protocol))
            if claim is None or not claim.parts:
                mismatches.note(place, f"is of a claim without a number under {protocol}")
                continue
            source = f"the claim under {protocol} says"
            mismatches.hold(place, "number", step.value, claim.estimate, source=source)
            if same(claim.confidence, 1 - results.protocol.alpha):
                mismatches.hold(place, "interval", step.interval, claim.interval, source=source)
        if walk.steps[0].ingredient != "published":
            mismatches.note(place, f"begins with {walk.steps[0].ingredient}, and not with what was published")


def check_figures(results: Results, series: Mapping[str, AnswerCounts], mismatches: Mismatches) -> None:
    """Recall by layer, and the diagonal of the confusion matrix, are those of the counts."""
    for name, figure in results.figures.items():
        protocol = getattr(figure, "protocol", None) or results.protocol.name
        counts = series.get(f"{protocol}/{RAW}")
        if counts is None or counts.total.shape[1] < 2 or not counts.total.sum(0).all():
            continue
        recall = [float(share) for share in counts.recall]
        shown: list[float | None]
        if name.startswith("accuracy-by-layer") and isinstance(figure, LinesRecord):
            shown = list(figure.series[0].values)
        elif name.startswith("confusion") and isinstance(figure, MatrixRecord):
            shown = [row[i] for i, row in enumerate(figure.values) if i < len(row)]
        else:
            continue
        if len(shown) != len(recall):
            mismatches.note(
                f"figures, {name}", f"shows {len(shown)} labels, and the counts have {len(recall)}"
            )
            continue
        for label, (stated, right) in enumerate(zip(shown, recall, strict=True)):
            if not same(stated, right):
                mismatches.note(
                    f"figures, {name}",
                    f"shows {digits(stated)} for state {label}, and the counts give {digits(right)}",
                )
                break
