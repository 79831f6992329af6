"""Colours of layers: one scale from the first state to the last, on white and on a dark page.

Parts of plasma (van der Walt and Smith, 2015), which is perceptually uniform and stays in order for readers who do not
tell red from green: of either end that does not stand out from the ground, a part is left out.
"""

from typing import Final

LEVELS: Final = 32  # shades; of more states neighbours share one
PLASMA: Final = (
    "#0c0786", "#45039e", "#7200a8", "#9b179e", "#bc3685", "#d7566c", "#ec7853", "#fa9d3a", "#fcc726", "#eff821",
)  # fmt: skip
LIGHT, DARK = (0.0, 0.7), (0.36, 1.0)  # parts of the scale that are seen on white, and on a dark page


def level(state: int, last: int) -> int:
    """The shade of a state, 0 to LEVELS - 1; `last` is the model's last state."""
    return round(min(max(state, 0), last) / max(last, 1) * (LEVELS - 1))


def colour(shade: int, *, dark: bool = False) -> str:
    """The colour of a shade as #rrggbb."""
    start, end = DARK if dark else LIGHT
    place = (start + (end - start) * shade / (LEVELS - 1)) * (len(PLASMA) - 1)
    below = min(int(place), len(PLASMA) - 2)
    share = place - below
    mixed = (
        round(a + (b - a) * share) for a, b in zip(_rgb(PLASMA[below]), _rgb(PLASMA[below + 1]), strict=True)
    )
    return "#" + "".join(f"{part:02x}" for part in mixed)


def dark_style() -> str:
    """The rules that give a dark page its colours: of a stroke with the class fig-l and the shade's number."""
    rules = " ".join(f".fig-l{shade} {{ stroke: {colour(shade, dark=True)}; }}" for shade in range(LEVELS))
    return f"@media (prefers-color-scheme: dark) {{ {rules} }}\n"


def _rgb(text: str) -> tuple[int, ...]:
    return tuple(int(text[place : place + 2], 16) for place in (1, 3, 5))
