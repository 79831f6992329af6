"""Several models on one board: claims by models, ordered by size, as Markdown and as one self-contained page."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from harness.claim import Verdict, number
from harness.files import shown
from harness.report import ICONS, md_escape
from harness.results import write_atomically

LONGEST_NAME: Final = 60
RISES, FALLS, LEVEL = "↑", "↓", "≈"
# one a verdict, of a shape of its own, and in every text font
SIGNS: Final = {
    "REPLICATED": "✓",
    "NOT_REPLICATED": "✗",
    "INCONCLUSIVE": "◆",
    "NOT_TESTED": "○",
    "ERROR": "!",
}


@dataclass(frozen=True, kw_only=True)
class Model:
    """The head of a column."""

    name: str
    size: str  # as in "135M"
    about: str  # what the run was


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What one run says of one claim."""

    verdict: str
    estimate: str  # "" where there is none
    reason: str


@dataclass(frozen=True, kw_only=True)
class Row:
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
    rows: tuple[Row, ...]
    both: bool  # whether there are two protocols to be told apart

    @property
    def has_trend(self) -> bool:
        """Whether any claim has estimates of two models."""
        return any(row.trend for row in self.rows)


def make(runs: Sequence[Mapping[str, Any]]) -> Board:
    """The board of several results, columns by number of parameters, rows in the order of their first run.

    A step between neighbours in size rises or falls where the intervals have no number in common; else it is
    level. The signs compare estimates as they are: where the models differ in depth, so does chance.
    """
    ordered = sorted(runs, key=lambda run: (run["model"]["n_parameters"], run["model"]["name"]))
    found = [{(entry["id"], entry["protocol"]): entry for entry in run["claims"]} for run in ordered]
    keys = list(dict.fromkeys(key for entries in found for key in entries))
    rows = []
    for key in keys:
        entries = [claims.get(key) for claims in found]
        first = next(entry for entry in entries if entry is not None)
        rows.append(
            Row(
                id=key[0],
                protocol=key[1],
                statement=_plain(first["statement"], 300),
                cells=tuple(None if entry is None else _cell(entry) for entry in entries),
                trend=_trend([entry for entry in entries if entry is not None]),
            )
        )
    return Board(
        models=tuple(_model(run) for run in ordered),
        rows=tuple(rows),
        both=len({protocol for _, protocol in keys}) > 1,
    )


def markdown(board: Board) -> str:
    """The board as a Markdown table with a line for each run below; names and texts are inert."""
    head = ["claim", *(f"{md_escape(model.name)} ({model.size})" for model in board.models)]
    head += ["by size"] if board.has_trend else []
    lines = [_line(head), _line(["---"] * len(head))]
    for row in board.rows:
        cells = [f"{row.id} ({row.protocol})" if board.both else row.id]
        for cell in row.cells:
            words = "-" if cell is None else f"{ICONS[cell.verdict]} {cell.verdict}"
            # digits, brackets and commas only: nothing to escape, and it can be read in a terminal
            cells.append(f"{words} {cell.estimate}" if cell and cell.estimate else words)
        lines.append(_line(cells + ([row.trend or "-"] if board.has_trend else [])))
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

    source = resources.files("templates").joinpath("board.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    words = {verdict.value: verdict.value.replace("_", " ").lower() for verdict in Verdict}
    return environment.from_string(source).render(board=board, signs=SIGNS, words=words, legend=LEGEND)


def write(board: Board, directory: Path, formats: Sequence[str]) -> list[Path]:
    """Write board.html and board.md, as far as they are among `formats`; raises LayerclaimsError."""
    written = []
    for name, make_text in (("html", html), ("md", markdown)):
        if name in formats:
            path = directory / f"board.{name}"
            write_atomically(path, f"{make_text(board).rstrip()}\n".encode())
            written.append(path)
    return written


def _model(run: Mapping[str, Any]) -> Model:
    protocol, model = run["protocol"], run["model"]
    corpora = " and ".join(_plain(corpus["name"], LONGEST_NAME) for corpus in run["corpora"])
    return Model(
        name=_plain(model["name"], LONGEST_NAME),
        size=_count(model["n_parameters"]),
        about=f"{model['n_blocks']} blocks, {protocol['n_texts']} texts of {protocol['context']} tokens of "
        f"{corpora}, seed {protocol['seed']}",
    )


def _cell(entry: Mapping[str, Any]) -> Cell:
    estimate = ""
    if entry["estimate"] is not None:
        estimate = number(entry["estimate"])
        if entry["interval"] is not None:
            estimate += f" [{number(entry['interval'][0])}, {number(entry['interval'][1])}]"
    return Cell(verdict=entry["verdict"], estimate=estimate, reason=_plain(entry["reason"], 400))


def _trend(entries: Sequence[Mapping[str, Any]]) -> str:
    known = [entry["interval"] for entry in entries if entry["interval"] is not None]
    return "".join(
        RISES if a[1] < b[0] else FALLS if b[1] < a[0] else LEVEL for a, b in itertools.pairwise(known)
    )


def _count(n: int) -> str:
    for step, unit in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if n >= step:
            return f"{n / step:.3g}{unit}" if n < 1000 * step else f"{n // step:,}{unit}"
    return str(n)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: object, limit: int) -> str:
    return re.sub(r"\s+", " ", shown(text, limit)[1:-1])
