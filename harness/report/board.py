"""Several models on one board: claims by models, ordered by size, as Markdown and as one self-contained page."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from layerclaims.report.escaping import md_escape, percents_kept
from layerclaims.report.wording import open_question, short_name
from layerclaims.results.records import ClaimRecord, Results
from layerclaims.runtime.files import write_whole
from layerclaims.runtime.text import inert, with_interval
from layerclaims.verdicts.style import STYLES
from layerclaims.verdicts.verdict import Verdict

LONGEST_NAME: Final = 60
RISES, FALLS, LEVEL = "↑", "↓", "≈"


@dataclass(frozen=True, kw_only=True)
class Model:
    """The head of a column."""

    name: str
    size: str  # as in "135M"
    about: str  # what the run was


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What one run says of one claim."""

    verdict: Verdict
    estimate: str  # "" where there is none
    reason: str
    open: str  # why it is inconclusive, in short; "" for any other


@dataclass(frozen=True, kw_only=True)
class BoardLine:
    """One claim under one protocol."""

    id: str
    protocol: str
    statement: str
    cells: tuple[Cell | None, ...]  # one a model; None where the run does not have the claim
    trend: str  # one sign a step from one estimate to the next larger model's


@dataclass(frozen=True, kw_only=True)
class Board:
    """Claims by models."""

    models: tuple[Model, ...]
    lines: tuple[BoardLine, ...]
    both: bool  # whether there are two protocols to be told apart

    @property
    def has_trend(self) -> bool:
        """Whether any claim has estimates of two models."""
        return any(line.trend for line in self.lines)


def make(runs: Sequence[Results]) -> Board:
    """The board of several results, columns by number of parameters, rows in the order of their first run.

    A step between neighbours in size rises or falls where the intervals have no number in common; else it is
    level. The signs compare estimates as they are: where the models differ in depth, so does chance.
    """
    ordered = sorted(runs, key=lambda run: (run.model.n_parameters, run.model.name))
    found = [{(claim.id, claim.protocol): claim for claim in run.claims} for run in ordered]
    keys = list(dict.fromkeys(key for claims in found for key in claims))
    lines = []
    for key in keys:
        claims = [by_key.get(key) for by_key in found]
        present = [claim for claim in claims if claim is not None]
        lines.append(
            BoardLine(
                id=key[0],
                protocol=key[1],
                statement=_plain(present[0].statement, 300),
                cells=tuple(None if claim is None else _cell(claim) for claim in claims),
                trend=_trend(present),
            )
        )
    names = _distinct([_plain(short_name(run.model.name), LONGEST_NAME) for run in ordered])
    return Board(
        models=tuple(_model(run, name) for run, name in zip(ordered, names, strict=True)),
        lines=tuple(lines),
        both=len({protocol for _, protocol in keys}) > 1,
    )


def markdown(board: Board) -> str:
    """The board as a Markdown table with a line for each run below; names and texts are inert."""
    head = ["claim", *(f"{md_escape(model.name)} ({model.size})" for model in board.models)]
    head += ["by size"] if board.has_trend else []
    lines = [_row(head), _row(["---"] * len(head))]
    for line in board.lines:
        cells = [f"{line.id} ({line.protocol})" if board.both else line.id]
        for cell in line.cells:
            words = "-" if cell is None else f"{STYLES[cell.verdict].icon} {cell.verdict}"
            # digits, brackets and commas only: nothing to escape, and it can be read in a terminal
            cells.append(f"{words} {cell.estimate}" if cell and cell.estimate else words)
        lines.append(_row(cells + ([line.trend or "-"] if board.has_trend else [])))
    lines += ["", *(f"- {md_escape(model.name)}: {md_escape(model.about)}" for model in board.models)]
    if board.has_trend:
        lines += ["", LEGEND]
    return "\n".join(lines)


LEGEND: Final = (
    f"By size, a sign for each step to the next larger model: {RISES} the estimate rises, {FALLS} it falls, "
    f"{LEVEL} the intervals overlap."
)


def html(board: Board) -> str:
    """The board as one page: no script, nothing from elsewhere."""
    import jinja2

    source = resources.files("layerclaims.templates").joinpath("board.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return percents_kept(environment.from_string(source).render(board=board, styles=STYLES, legend=LEGEND))


def write(board: Board, directory: Path, formats: Sequence[str]) -> list[Path]:
    """Write board.html and board.md, as far as they are among `formats`; raises LayerclaimsError."""
    written = []
    for name, make_text in (("html", html), ("md", markdown)):
        if name in formats:
            path = directory / f"board.{name}"
            write_whole(path, f"{make_text(board).rstrip()}\n".encode(), parents=True)
            written.append(path)
    return written


def _distinct(names: Sequence[str]) -> list[str]:
    """Names of models, a number behind each that another one has too."""
    return [
        name if names.count(name) == 1 else f"{name} ({names[: place + 1].count(name)})"
        for place, name in enumerate(names)
    ]


def _model(run: Results, name: str) -> Model:
    protocol, model = run.protocol, run.model
    corpora = " and ".join(_plain(short_name(corpus.name), LONGEST_NAME) for corpus in run.corpora)
    return Model(
        name=name,
        size=short_count(model.n_parameters),
        about=f"{model.n_blocks} blocks, {protocol.n_texts} texts of {protocol.context} tokens of "
        f"{corpora}, seed {protocol.seed}",
    )


def _cell(claim: ClaimRecord) -> Cell:
    return Cell(
        verdict=claim.verdict,
        estimate="" if claim.estimate is None else with_interval(claim.estimate, claim.interval),
        reason=_plain(claim.reason, 400),
        open=_plain(open_question(claim), 400),
    )


def _trend(claims: Sequence[ClaimRecord]) -> str:
    known = [claim.interval for claim in claims if claim.interval is not None]
    return "".join(
        RISES if a[1] < b[0] else FALLS if b[1] < a[0] else LEVEL for a, b in itertools.pairwise(known)
    )


def short_count(n: int) -> str:
    """A number of parameters in few characters: "135M"."""
    for step, unit in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if n >= step:
            return f"{n / step:.3g}{unit}" if n < 1000 * step else f"{n // step:,}{unit}"
    return str(n)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: object, limit: int) -> str:
    return re.sub(r"\s+", " ", inert(text, limit))
