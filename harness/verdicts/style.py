"""How a verdict looks: its words, letters, signs and colours, wherever it is shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from layerclaims.verdicts.verdict import Verdict


@dataclass(frozen=True)  # by position: the rows below are a table
class Style:
    """The looks of one verdict."""

    word: str
    brief: str  # the same of a part: whether it holds
    letter: str  # in pytest's line of letters
    icon: str  # in Markdown, where pictures have colours
    sign: str  # in a text font; of a shape of its own, for who sees no colours
    colour: str  # on white
    markup: Mapping[str, bool]  # of pytest's terminal writer

    @property
    def css(self) -> str:
        """The class of a style sheet."""
        return self.word.replace(" ", "-")


STYLES: Final[Mapping[Verdict, Style]] = {
    Verdict.REPLICATED: Style("replicated", "holds", "R", "✅", "✓", "#00795a", {"green": True}),
    Verdict.NOT_REPLICATED: Style("not replicated", "fails", "N", "❌", "✗", "#c24a00", {"red": True}),
    Verdict.INCONCLUSIVE: Style("inconclusive", "undecided", "I", "◆", "◆", "#8a6100", {"yellow": True}),
    Verdict.NOT_TESTED: Style("not tested", "not tested", "-", "○", "○", "#5a6570", {"yellow": True}),
    Verdict.ERROR: Style("error", "error", "E", "⚠", "!", "#a3386f", {"red": True, "bold": True}),
}
# a report is read for what it finds: refuted claims stand first, those without any evidence last
FINDINGS_FIRST: Final = (
    Verdict.NOT_REPLICATED,
    Verdict.INCONCLUSIVE,
    Verdict.ERROR,
    Verdict.REPLICATED,
    Verdict.NOT_TESTED,
)
# a terminal is read for what has to be done: faults stand first, what is well last
FAULTS_FIRST: Final = (
    Verdict.ERROR,
    Verdict.NOT_REPLICATED,
    Verdict.INCONCLUSIVE,
    Verdict.NOT_TESTED,
    Verdict.REPLICATED,
)


def of_part(holds: bool | None) -> Verdict:
    """Return the verdict as which a part is shown that holds, does not, or is undecided."""
    return {True: Verdict.REPLICATED, False: Verdict.NOT_REPLICATED, None: Verdict.INCONCLUSIVE}[holds]
