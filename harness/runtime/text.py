"""Text and numbers fit to be shown: one printable line, few digits."""

import math
import unicodedata
from collections.abc import Sequence

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def visible(text: str) -> str:
    """Return text with an escape such as \\x1b or \\u202e for every character that is none to be seen.

    Controls, line separators, direction marks and overrides, zero-width and private-use characters, unassigned
    code points and lone surrogates; spaces of any width stay.
    """
    return "".join(
        c
        if c.isprintable() or unicodedata.category(c) == "Zs"
        else c.encode("unicode_escape").decode("ascii")
        for c in text
    )


def inert(value: object, limit: int = 100_000) -> str:
    """Return the value on one line, with everything escaped that a terminal would obey; the middle of more than
    `limit` characters is left out.
    """
    text = str(value)
    if len(text) > limit:
        text = f"{text[: limit // 2]}...{text[-limit // 3 :]}"
    return visible(text)


def shown(value: object, limit: int = 120) -> str:
    """Return the value in quotes for a message, inert and short."""
    return f"'{inert(value, limit)}'"


def number(value: float) -> str:
    """Return a number for a sentence: three decimals, or three digits where that would say nothing; no leading 0."""
    if not math.isfinite(value):
        return "undefined"
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return undotted(f"{value:.3f}" if abs(value) >= 0.001 else f"{value:.2g}")


def with_interval(estimate: float, interval: Sequence[float] | None) -> str:
    """Return an estimate and its interval for a sentence, as in ".931 [.925, .937]"."""
    if interval is None:
        return number(estimate)
    return f"{number(estimate)} [{number(interval[0])}, {number(interval[1])}]"


def short(value: float) -> str:
    """Return a number with about four significant digits and a true minus sign, huge and tiny ones × 10ⁿ."""
    if value == 0:
        return "0"
    size = abs(value)
    if 1e-4 <= size < 1e6:
        decimals = max(0, 3 - math.floor(math.log10(size)))
        text = f"{value:,.{min(decimals, 6)}f}"
        text = undotted(text.rstrip("0").rstrip(".") if "." in text else text)
    else:
        mantissa, _, exponent = f"{value:.1e}".partition("e")
        text = f"{mantissa} × 10{str(int(exponent)).translate(_RAISED)}"
    return text.replace("-", "−")


def undotted(text: str) -> str:
    """Return a decimal number without the zero before its point, as statisticians print shares: .93, -.5."""
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def brief(error: BaseException) -> str:
    """What a foreign library raised, as one short printable line: its kind and the first line of what it says."""
    lines = [line for line in str(error).splitlines() if line.strip()] or [""]
    return inert(f"{type(error).__name__}: {lines[0].strip()}", 160)


def byte_size(n: float) -> str:
    """A number of bytes as people say it: `12 B`, `3.4 kB`, `64.0 MB`, `1.2 GB`."""
    if n < 999.5:
        return f"{n:.0f} B"
    for unit in ("kB", "MB"):
        n /= 1000
        if n < 999.5:
            return f"{n:.1f} {unit}"
    return f"{n / 1000:.1f} GB"


def digits(value: float | Sequence[float] | None) -> str:
    """Return a number, or several in brackets, with all the digits that a results file keeps; "none" for None."""
    if value is None:
        return "none"
    if isinstance(value, Sequence):
        return f"[{', '.join(map(digits, value))}]"
    return f"{value:.10g}"


def described(model: str, *, adapter: str | None = None, tokenizer: str | None = None) -> str:
    """A model's name with what is changed in it. Such a name is that of no published model."""
    for what, given in (("adapter", adapter), ("tokenizer", tokenizer)):
        if given is not None:
            model += f" with the {what} {given}"
    return model
