"""Records of a run -> the sentences and numbers of a report."""

import math
import re
from collections.abc import Sequence

from layerclaims.results.records import CalibrationRecord, ClaimRecord, PartRecord, ProbeRecord
from layerclaims.runtime.text import short, undotted
from layerclaims.verdicts.claim import OWN, POST, citation
from layerclaims.verdicts.criterion import CONTROLS, Relation
from layerclaims.verdicts.verdict import Verdict

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
    """Return a part's rule, such as "> .274" or "within ±.01"."""
    if threshold is None:
        return ""
    if isinstance(threshold, tuple):
        low, high = threshold
        within = f"±{short(high)}" if low == -high else f"[{short(low)}, {short(high)}]"
        return f"within {within}"
    return f"{relation} {short(threshold)}"


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
    """Return the probe's convergence certificate as a sentence, empty where no probe was fitted.

    As published training ends after its epochs, wherever it is: where it ended is told, and is no fault.
    """
    if probe is None:
        return ""
    if protocol == "as-published":
        return _ended(probe)
    words = ["The probe converged" if probe.converged else "The probe did not converge"]
    if probe.iterations is not None:
        words.append(f"{'after' if probe.converged else 'within'} {probe.iterations:,} iterations")
    details = []
    if probe.gradient_norm is not None:
        details.append(f"gradient norm {short(probe.gradient_norm)}")
    if probe.relative_gap is not None:
        details.append(f"relative objective gap estimated at {short(probe.relative_gap)} at most")
    return " ".join(words) + (f" ({', '.join(details)})." if details else ".")


def _ended(probe: ProbeRecord) -> str:
    where = f" at gradient norm {short(probe.gradient_norm)}" if probe.gradient_norm is not None else ""
    after = f" after {probe.iterations:,} iterations" if probe.iterations is not None else ""
    ended = f"The probe ended{where}{after}" if where or after else ""
    gap = probe.relative_gap
    above = f"of its loss, {_percent(gap)} % lies above the optimum" if gap is not None else ""
    return sentence("; ".join(filter(None, (ended, above))))


def calibration(rates: CalibrationRecord | None) -> str:
    """Return a row's measured error rates as a sentence, empty where none were measured."""
    if rates is None:
        return ""
    said = [
        f"falsely {word} {_rate(share, interval)}"
        for word, share, interval in (
            ("replicated", rates.false_replicated, rates.false_replicated_interval),
            ("not replicated", rates.false_not_replicated, rates.false_not_replicated_interval),
        )
        if share is not None
    ]
    return f"{', '.join(said)} ({rates.plants:,} planted truths)." if said else ""


def error_rates(rates: CalibrationRecord | None) -> str:
    """Return the shares of false "replicated" and false "not replicated" as in "3 % / 2 %"."""
    return "" if rates is None else f"{_rate(rates.false_replicated)} / {_rate(rates.false_not_replicated)}"


def _rate(share: float | None, interval: tuple[float, float] | None = None) -> str:
    if share is None:
        return "–"
    ends = f" [{', '.join(map(_percent, interval))}]" if interval else ""
    return f"{_percent(share)} %{ends}"


def _percent(share: float) -> str:
    return undotted(f"{100 * share:.1f}".removesuffix(".0"))


def p_values(claim: ClaimRecord) -> str:
    """Return the p-value and Holm's, empty where the claim has none."""
    if claim.p_value is None:
        return ""
    text = f"p\u00a0=\u00a0{_p(claim.p_value)}"
    if claim.p_holm is not None:
        text += f" ({_p(claim.p_holm)} after Holm’s correction over the rows of this model)"
    return text.replace("=\u00a0<", "<")


def _p(value: float) -> str:
    return "< .0001" if value < 1e-4 else undotted(f"{value:.4f}".rstrip("0").rstrip("."))


def sample_text(claim: ClaimRecord) -> str:
    """Return how many documents and vectors were measured."""
    if not claim.n_documents:
        return ""
    vectors = f", {claim.n_vectors:,} vectors" if claim.n_vectors else ""
    return f"{claim.n_documents:,} documents{vectors}"


def change(claim: ClaimRecord, part: PartRecord | None) -> str:
    """Say in one or two sentences what would have to be different for another verdict."""
    if claim.verdict is Verdict.NOT_TESTED:
        return "A verdict needs what is named above; nothing was measured."
    if claim.verdict is Verdict.ERROR:
        return "The harness failed before it could measure; the verdict says nothing about the model."
    stalled = claim.probe is not None and not claim.probe.converged
    if claim.verdict is Verdict.INCONCLUSIVE and stalled and claim.protocol == "rigorous":
        return "A probe that converges: until then no interval decides, wherever it lies."
    if claim.verdict is Verdict.INCONCLUSIVE and stalled and part is not None and part.holds is not None:
        return ""  # the interval decides: what keeps the verdict open is in its reason
    if part is None or part.estimate is None or part.interval is None or part.threshold is None:
        return ""
    name, interval = part.name, measured(part.estimate, part.interval)[1]
    rule = rule_text(part.relation, part.threshold)
    if claim.verdict is Verdict.INCONCLUSIVE:
        return (
            f"The interval {interval} of {name} would have to lie wholly inside the success region "
            f"({rule}) or wholly outside it: more documents narrow it."
        )
    replicated = claim.verdict is Verdict.REPLICATED
    if isinstance(part.threshold, tuple):
        if replicated:
            ends = " or ".join(map(short, part.threshold))
            return f"An interval of {name} that reaches beyond {ends} would undo it."
        region = rule.removeprefix("within ")
        return f"The whole interval {interval} of {name} would have to lie inside {region}."
    if part.relation == "not above":
        return f"The interval {interval} of {name} would have to lie above {short(part.threshold)}."
    if part.relation == "contains":
        wish = "no longer contain" if replicated else "contain"
        return f"The interval {interval} of {name} would have to {wish} {short(part.threshold)}."
    edge, side, direction = (
        (part.interval[0], "lower", "above") if part.relation == ">" else (part.interval[1], "upper", "below")
    )
    move = "cross" if replicated else f"lie {direction}"
    distance = distance_of(part, part.estimate)
    far = ""
    if distance is not None and math.isfinite(distance):
        far = f" (the estimate lies {_times(abs(distance))} the interval’s half-width from it)"
    return (
        f"The {side} end of the interval of {name}, now {measured(edge, part.interval)[0]}, would have to {move} "
        f"{short(part.threshold)}{far}."
    )


def _times(margin: float) -> str:
    return f"{margin:.1f} times" if margin < 100 else f"{margin:,.0f} times"


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
