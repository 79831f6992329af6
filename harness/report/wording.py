"""Records of a run -> the sentences and numbers of a report."""

import math
import re
from collections.abc import Sequence

from layerclaims.results.records import CalibrationRecord, ClaimRecord, PartRecord, ProbeRecord
from layerclaims.runtime.text import short, undotted
from layerclaims.verdicts.claim import OWN, POST, citation
from layerclaims.verdicts.criterion import CONTROLS, WORDS, Relation
from layerclaims.verdicts.verdict import Verdict

CLOSE = 2.0  # half-widths: a decided verdict nearer to its pass mark than this is a close call
PROTOCOLS = {"rigorous": "rigorous", "as-published": "as published"}


def of_post(claim: ClaimRecord) -> bool:
    """Return whether a claim is the post's; files of version 1 say it in the source."""
    return claim.source == POST or (claim.where is None and claim.source.startswith("post, "))


def cited(claim: ClaimRecord) -> str:
    """Return whose sentence a claim is and where it stands."""
    return citation(claim.source, claim.where or "")


def reported(claim: ClaimRecord) -> str:
    """Return what a claim's source measured, as a sentence without its stop; empty where it says nothing.

    A figure of this very setting names it; any other number of the post is its headline, measured on another model.
    """
    if not claim.reported:
        return ""
    if claim.source == OWN:
        return f"Reported: {claim.reported}"
    name = POST if of_post(claim) else claim.source
    name = f"{name[:1].upper()}{name[1:]}"
    cell = f" ({claim.reported_cell})" if claim.reported_cell else ""
    if claim.reported_exact:
        return f"{name} reports {claim.reported} for this very setting{cell}"
    if claim.reported_value is not None and of_post(claim):
        return f"{name}'s headline: {claim.reported}{cell}"
    return f"{name} reports: {claim.reported}{cell}"


def title_of(claim_id: str) -> str:
    """Return a claim's title: its id as words."""
    return claim_id.replace("-", " ").capitalize().replace("Pca ", "PCA ")


def short_name(model: str) -> str:
    """Return a model's name for a title: a path's last part, any other name as it is."""
    plain = model.removeprefix("local:")
    return plain.rstrip("/").rsplit("/", 1)[-1] or model if plain.startswith(("/", ".", "~")) else model


def measured(estimate: float | None, interval: Sequence[float] | None) -> tuple[str, str]:
    """Return an estimate and its interval as text, to the decimals that the interval's width supports."""
    if estimate is None:
        return "–", ""
    if interval is None:
        return short(estimate), ""
    width = interval[1] - interval[0]
    largest = max(abs(estimate), abs(interval[0]), abs(interval[1]))
    if largest >= 1e6 or (0 < largest < 1e-4):
        return short(estimate), f"[{short(interval[0])}, {short(interval[1])}]"
    decimals = 3 if width <= 0 else min(6, max(0, 1 - math.floor(math.log10(width))))
    decimals = max(decimals, 2) if largest < 10 else decimals
    # an end that is not zero should not be printed as one
    while decimals < 6 and any(value and round(value, decimals) == 0 for value in interval):
        decimals += 1
    text = [undotted(f"{value:,.{decimals}f}").replace("-", "−") for value in (estimate, *interval)]
    return text[0], f"[{text[1]}, {text[2]}]"


def rule_text(relation: Relation, threshold: float | tuple[float, float] | None) -> str:
    """Return a part's rule, such as "above .274" or "within ±.01"."""
    if threshold is None:
        return ""
    if isinstance(threshold, tuple):
        low, high = threshold
        within = f"±{short(high)}" if low == -high else f"[{short(low)}, {short(high)}]"
        return f"within {within}"
    return f"{WORDS.get(relation, relation)} {short(threshold)}"


def distance_of(part: PartRecord, value: float | None) -> float | None:
    """Return how far `value` lies from the border of the success region, in half-widths of the interval.

    Positive inside the region. None where there is no interval or no region with an inside.
    """
    interval, threshold = part.interval, part.threshold
    if value is None or interval is None or threshold is None or part.relation in CONTROLS:
        return None
    inside = (
        min(value - threshold[0], threshold[1] - value)
        if isinstance(threshold, tuple)
        else (value - threshold if part.relation == ">" else threshold - value)
    )
    half = (interval[1] - interval[0]) / 2
    return inside / half if half > 0 else math.copysign(math.inf, inside) if inside else 0.0


def certificate(probe: ProbeRecord | None, protocol: str) -> str:
    """Return the probe's convergence certificate in a sentence or two, empty where no probe was fitted.

    As published training ends after its epochs, wherever it is: where it ended is told, and is no fault.
    """
    if probe is None:
        return ""
    if protocol == "as-published":
        return _ended(probe)
    words = ["The probe finished fitting" if probe.converged else "The probe did not finish fitting"]
    if probe.iterations is not None:
        words.append(f"{'after' if probe.converged else 'within'} {probe.iterations:,} iterations")
    details = []
    if probe.gradient_norm is not None:
        details.append(f"gradient norm {short(probe.gradient_norm)}")
    if probe.relative_gap is not None:
        details.append(f"estimated gap to the optimum at most {_percent(probe.relative_gap)} %")
    return " ".join(words) + (f" ({', '.join(details)})." if details else ".")


def _ended(probe: ProbeRecord) -> str:
    where = f" at gradient norm {short(probe.gradient_norm)}" if probe.gradient_norm is not None else ""
    after = f" after {probe.iterations:,} iterations" if probe.iterations is not None else ""
    ended = f"Training ended{after}{where}." if where or after else ""
    gap = probe.relative_gap
    above = f"{_percent(gap)} % of its loss lies above the optimum." if gap is not None else ""
    return " ".join(filter(None, (ended, above)))


def calibration(rates: CalibrationRecord | None) -> str:
    """Return a row's measured error rates as a sentence, empty where none were measured."""
    if rates is None:
        return ""
    said = [
        f"wrongly {word} {_rate(share, interval)}"
        for word, share, interval in (
            ("passed", rates.false_replicated, rates.false_replicated_interval),
            ("failed", rates.false_not_replicated, rates.false_not_replicated_interval),
        )
        if share is not None
    ]
    if not said:
        return ""
    return f"On {rates.plants:,} simulated cases exactly at the pass mark, this rule {' and '.join(said)}."


def error_rates(rates: CalibrationRecord | None) -> str:
    """Return the shares that were wrongly passed and wrongly failed, as in "3 % / 2 %"."""
    return "" if rates is None else f"{_rate(rates.false_replicated)} / {_rate(rates.false_not_replicated)}"


def _rate(share: float | None, interval: tuple[float, float] | None = None) -> str:
    if share is None:
        return "–"
    ends = f" (95 % interval {' to '.join(map(_percent, interval))})" if interval else ""
    return f"{_percent(share)} %{ends}"


def _percent(share: float) -> str:
    return undotted(f"{100 * share:.1f}".removesuffix(".0"))


def p_values(claim: ClaimRecord) -> str:
    """Return the p-value and Holm's as a sentence, empty where the claim has none."""
    if claim.p_value is None:
        return ""
    text = f"The p-value is {_p(claim.p_value)}"
    if claim.p_holm is not None:
        text += f", and {_p(claim.p_holm)} after Holm’s correction over the rows of this model"
    return f"{text}."


def _p(value: float) -> str:
    return "below .0001" if value < 1e-4 else undotted(f"{value:.4f}".rstrip("0").rstrip("."))


def sample_text(claim: ClaimRecord, corpora: int = 1) -> str:
    """Return what the verdict rests on: documents, of each of `corpora`, and the vectors, or the answers about them.

    A number of counts rests on answers of probes, which are more than there are vectors where several probes are
    asked. Of several parts, the first one's are given, and the documents of the part that has the fewest.
    """
    if not claim.n_documents:
        return ""
    least = "at least " if corpora > 1 or len(claim.parts) > 1 else ""
    each = f" of each of {corpora} corpora" if corpora > 1 else ""
    documents = f"{least}{claim.n_documents:,} documents{each}"
    if not claim.n_vectors:
        return f"The verdict rests on {documents}."
    counted = bool(claim.parts) and claim.parts[0].recipe is not None
    many = f"{claim.n_vectors:,} {'answers of probes' if counted else 'vectors'}"
    first = ", for its first number" if len(claim.parts) > 1 else ""
    return f"The verdict rests on {documents} and {many}{first}."


def caution(claim: ClaimRecord, part: PartRecord | None) -> str:
    """Return what there is to say against a verdict that its reason does not say; empty where there is nothing."""
    if claim.verdict is Verdict.ERROR:
        return "The program failed before it could measure, so this says nothing about the model."
    stalled = claim.probe is not None and not claim.probe.converged
    if claim.verdict is Verdict.INCONCLUSIVE and stalled and claim.protocol == "rigorous":
        return "Only a probe that finishes fitting can decide this claim, wherever the interval lies."
    distance = None if part is None else distance_of(part, part.estimate)
    decided = claim.verdict in (Verdict.REPLICATED, Verdict.NOT_REPLICATED)
    if decided and distance is not None and abs(distance) < CLOSE:
        return "This is a close call: other texts of the same kind may decide it the other way."
    return ""


def open_question(claim: ClaimRecord) -> str:
    """Return why an inconclusive claim is open, without the number that stands beside it; else an empty text."""
    if claim.verdict is not Verdict.INCONCLUSIVE:
        return ""
    rest = claim.reason.partition("). ")[2] or claim.reason
    return sentence(rest)


def value_text(value: object) -> str:
    """Return an option's value as printed."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, tuple):
        return ", ".join(value_text(item) for item in value)
    return short(float(value)) if isinstance(value, float) else str(value)


def sentence(text: str) -> str:
    """Return text as a sentence: first letter large, full stop at the end."""
    text = re.sub(r"(?<![\w.])-(?=\.?\d)", "−", text.strip())
    if text.split(" ", 1)[0].isalpha():  # "acc(raw) ..." keeps its small letter
        text = text[:1].upper() + text[1:]
    return text if not text or text.endswith((".", "…", "!", "?")) else f"{text}."
