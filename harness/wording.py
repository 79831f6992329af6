"""Texts and numbers of a report: cleaned, quoted, rounded, and put into sentences.

Every text of the results passes `clean` once before any template sees it: control characters, direction
overrides and other invisible characters become visible escapes, and lengths are bounded.
"""

import math
import re
import shlex
import unicodedata
from typing import Any

from harness.drawing import short, undotted

WORDS = {
    "REPLICATED": "replicated",
    "NOT_REPLICATED": "not replicated",
    "INCONCLUSIVE": "inconclusive",
    "NOT_TESTED": "not tested",
    "ERROR": "error",
}
PROTOCOLS = {"rigorous": "rigorous", "as-published": "as published"}
LONGEST_TEXT, LONGEST_NAME, LONGEST_LABEL = 2000, 240, 80
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_MARKS = re.compile("[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{4,}")


def clean(text: str, limit: int = LONGEST_TEXT) -> str:
    """Return text whose every character is visible, on one line, at most about `limit` characters long.

    Controls, line separators, direction marks and overrides, zero-width and private-use characters,
    unassigned code points and lone surrogates become escapes such as \\x1b or \\u202e.
    """
    cut = text[:limit]
    made = "".join(
        c
        if c == " " or unicodedata.category(c) not in _HIDDEN
        else " "
        if c in "\n\t"
        else c.encode("unicode_escape").decode("ascii")
        for c in cut
    )
    # a pile of combining marks climbs over the lines above: three are enough for any script
    made = _MARKS.sub(lambda found: found.group()[:3], made)
    return made if len(text) <= limit else f"{made.rstrip()}… ({len(text):,} characters)"


def cleaned(value: Any) -> Any:
    """Return plain JSON data with every text, names of members included, passed through `clean`."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [cleaned(item) for item in value]
    if isinstance(value, dict):
        return {clean(key): item if key == "documents" else cleaned(item) for key, item in value.items()}
    return value


def short_name(model: str) -> str:
    """Return a model's name for a title: a path's last part, any other name as it is."""
    plain = model.removeprefix("local:")
    return plain.rstrip("/").rsplit("/", 1)[-1] or model if plain.startswith(("/", ".", "~")) else model


def quoted(word: str) -> str:
    """Return `word` as one word of a command line; with characters that cannot be seen, as bash's $'...'."""
    if word == clean(word, len(word)):
        return shlex.quote(word) if len(word) <= LONGEST_TEXT else f"'{word[:40]}…'"
    escaped = "".join(
        "\\" + c if c in "\\'" else c if unicodedata.category(c) not in _HIDDEN else _ansi(c)
        for c in word[:LONGEST_TEXT]
    )
    return f"$'{escaped}'"


def _ansi(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def measured(estimate: float | None, interval: list[float] | None) -> tuple[str, str]:
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


def rule_text(relation: str, threshold: float | list[float] | None) -> str:
    """Return a part's rule, such as "> 0.274" or "within ±0.01"."""
    if threshold is None:
        return ""
    if isinstance(threshold, list):
        low, high = threshold
        within = f"±{short(high)}" if low == -high else f"[{short(low)}, {short(high)}]"
        return f"within {within}"
    sign = {"<": "<", ">": ">", "inside": "inside", "contains": "contains"}[relation]
    return f"{sign} {short(threshold)}"


def distance_of(part: dict[str, Any], value: float | None) -> float | None:
    """Return how far `value` lies from the border of the success region, in half-widths of the interval.

    Positive inside the region. None where there is no interval or no region with an inside.
    """
    interval, threshold = part["interval"], part["threshold"]
    if value is None or interval is None or threshold is None or part["relation"] == "contains":
        return None
    inside = (
        min(value - threshold[0], threshold[1] - value)
        if isinstance(threshold, list)
        else (value - threshold if part["relation"] == ">" else threshold - value)
    )
    half = (interval[1] - interval[0]) / 2
    return inside / half if half > 0 else math.copysign(math.inf, inside) if inside else 0.0


def certificate(probe: dict[str, Any] | None) -> str:
    """Return the probe's convergence certificate as a sentence, empty where no probe was fitted."""
    if probe is None:
        return ""
    words = ["The probe converged" if probe["converged"] else "The probe did not converge"]
    if probe.get("iterations") is not None:
        words.append(
            f"after {probe['iterations']:,} iterations"
            if probe["converged"]
            else f"within {probe['iterations']:,} iterations"
        )
    details = []
    if probe.get("gradient_norm") is not None:
        details.append(f"gradient norm {short(probe['gradient_norm'])}")
    if probe.get("relative_gap") is not None:
        details.append(f"relative objective gap estimated at {short(probe['relative_gap'])} at most")
    return " ".join(words) + (f" ({', '.join(details)})." if details else ".")


def calibration(rates: dict[str, Any] | None) -> str:
    """Return a row's measured error rates as a sentence, empty where none were measured."""
    if rates is None:
        return ""
    said = [
        f"{word} {_rate(rates, name, brackets=True)}"
        for name, word in (
            ("false_replicated", "falsely replicated"),
            ("false_not_replicated", "falsely not replicated"),
        )
        if rates[name] is not None
    ]
    return f"{', '.join(said)} ({rates['plants']:,} planted truths)." if said else ""


def error_rates(rates: dict[str, Any] | None) -> str:
    """Return the shares of false "replicated" and false "not replicated" as in "3 % / 2 %"."""
    if rates is None:
        return ""
    return " / ".join(_rate(rates, name) for name in ("false_replicated", "false_not_replicated"))


def _rate(rates: dict[str, Any], name: str, *, brackets: bool = False) -> str:
    if rates[name] is None:
        return "–"
    interval = rates.get(f"{name}_interval")
    ends = f" [{', '.join(_percent(end) for end in interval)}]" if brackets and interval else ""
    return f"{_percent(rates[name])} %{ends}"


def _percent(share: float) -> str:
    return undotted(f"{100 * share:.1f}".removesuffix(".0"))


def p_values(entry: dict[str, Any]) -> str:
    """Return the p-value and Holm's, empty where the row has none."""
    if entry["p_value"] is None:
        return ""
    text = f"p\u00a0=\u00a0{_p(entry['p_value'])}"
    if entry["p_holm"] is not None:
        text += f" ({_p(entry['p_holm'])} after Holm’s correction over the rows of this model)"
    return text.replace("=\u00a0<", "<")


def _p(value: float) -> str:
    return "< .0001" if value < 1e-4 else undotted(f"{value:.4f}".rstrip("0").rstrip("."))


def sample_text(entry: dict[str, Any]) -> str:
    """Return how many documents and vectors were measured."""
    if not entry["n_documents"]:
        return ""
    vectors = f", {entry['n_vectors']:,} vectors" if entry["n_vectors"] else ""
    return f"{entry['n_documents']:,} documents{vectors}"


def change(entry: dict[str, Any], part: dict[str, Any] | None) -> str:
    """Say in one or two sentences what would have to be different for another verdict."""
    verdict = entry["verdict"]
    if verdict == "NOT_TESTED":
        return "A verdict needs what is named above; nothing was measured."
    if verdict == "ERROR":
        return "The harness failed before it could measure; the verdict says nothing about the model."
    if verdict == "INCONCLUSIVE" and entry["probe"] and not entry["probe"]["converged"]:
        return "A probe that converges: until then no interval decides, wherever it lies."
    if part is None or part["estimate"] is None or not part["interval"] or part["threshold"] is None:
        return ""
    low, high = part["interval"]
    name, interval = part["name"], measured(part["estimate"], part["interval"])[1]
    rule = rule_text(part["relation"], part["threshold"])
    distance = distance_of(part, part["estimate"])
    far = ""
    if distance is not None and math.isfinite(distance):
        far = f" (the estimate lies {_times(abs(distance))} the interval’s half-width from it)"
    if verdict == "INCONCLUSIVE":
        return (
            f"The interval {interval} of {name} would have to lie wholly inside the success region "
            f"({rule}) or wholly outside it: more documents narrow it."
        )
    if isinstance(part["threshold"], list):
        bottom, top = part["threshold"]
        if verdict == "REPLICATED":
            return f"An interval of {name} that reaches beyond {short(bottom)} or {short(top)} would undo it."
        region = rule.removeprefix("within ")
        return f"The whole interval {interval} of {name} would have to lie inside {region}."
    if part["relation"] == "contains":
        wish = "no longer contain" if verdict == "REPLICATED" else "contain"
        return f"The interval {interval} of {name} would have to {wish} {short(part['threshold'])}."
    if verdict == "REPLICATED":
        edge, side = (low, "lower") if part["relation"] == ">" else (high, "upper")
        return (
            f"The {side} end of the interval of {name}, now {_like(edge, part)}, would have to cross "
            f"{short(part['threshold'])}{far}."
        )
    edge, side = (low, "lower") if part["relation"] == ">" else (high, "upper")
    direction = "above" if part["relation"] == ">" else "below"
    return (
        f"The {side} end of the interval of {name}, now {_like(edge, part)}, would have to lie {direction} "
        f"{short(part['threshold'])}{far}."
    )


def _like(value: float, part: dict[str, Any]) -> str:
    return measured(value, part["interval"])[0]


def _times(margin: float) -> str:
    return f"{margin:.1f} times" if margin < 100 else f"{margin:,.0f} times"


def value_text(value: object) -> str:
    """Return an option's value as printed."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, list):
        return ", ".join(value_text(item) for item in value)
    return short(float(value)) if isinstance(value, float) else str(value)


def sentence(text: str) -> str:
    """Return text as a sentence: first letter large, full stop at the end."""
    text = re.sub(r"(?<![\w.])-(?=\.?\d)", "−", text.strip())
    if text.split(" ", 1)[0].isalpha():  # "acc(raw) ..." keeps its small letter
        text = text[:1].upper() + text[1:]
    return text if not text or text.endswith((".", "…", "!", "?")) else f"{text}."
