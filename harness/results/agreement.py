"""What a file states against what follows from it: equal but for rounding, or a line that says how they differ."""

import math
from collections.abc import Sequence

from layerclaims.runtime.text import digits, inert

RELATIVE, ABSOLUTE = 1e-8, 1e-9  # files keep ten significant digits
OF_A_TAIL = 1e-6  # a tail changes by more than what it is the tail of, and has no scale but its own
Numbers = float | Sequence[float] | None


class Mismatches:
    """Sentences on what does not agree, collected."""

    def __init__(self) -> None:
        """None so far."""
        self.lines: list[str] = []

    def note(self, place: str, what: str) -> None:
        """Add what is wrong at a place."""
        self.lines.append(f"{inert(place, 200)}: {what}")

    def hold(
        self, place: str, what: str, stated: Numbers, right: Numbers, source: str = "the counts give"
    ) -> None:
        """Hold a stated number, or several, against what `source` says."""
        if not same(stated, right):
            self.note(place, f"the {what} is {digits(stated)}, and {source} {digits(right)}")

    def hold_p(
        self, place: str, stated: float | None, right: float | None, source: str = "the counts give"
    ) -> None:
        """Hold a stated p-value: the smallest, too, is held digit by digit."""
        if not same_p(stated, right):
            self.note(place, f"the p-value is {digits(stated)}, and {source} {digits(right)}")


def same_p(stated: float | None, right: float | None) -> bool:
    """Whether two p-values are equal but for rounding."""
    if stated is None or right is None:
        return stated is right
    return math.isclose(stated, right, rel_tol=OF_A_TAIL)


def same(stated: object, right: object) -> bool:
    """Whether two values are equal but for rounding; a number that is not finite is null in a file."""
    if isinstance(right, tuple):
        if any(isinstance(value, float) and not math.isfinite(value) for value in right):
            return stated is None
        return (
            isinstance(stated, tuple)
            and len(stated) == len(right)
            and all(same(a, b) for a, b in zip(stated, right, strict=True))
        )
    if isinstance(right, float) and not math.isfinite(right):
        return stated is None
    if isinstance(right, int | float) and isinstance(stated, int | float):
        if isinstance(right, bool) or isinstance(stated, bool):
            return stated == right
        return math.isclose(stated, right, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return stated == right
