"""What the post's authors measured, cell by cell: the figures of their runs, and the one that belongs to a row.

A cell is a model, a corpus, a number of tokens of context and a number of texts. published.json says where its figures
come from.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from layerclaims.corpora.hub import hub_name
from layerclaims.errors import LayerclaimsError
from layerclaims.models.names import hub_id
from layerclaims.protocol import Protocol
from layerclaims.verdicts.claim import POST, Claim

FILE: Final = Path(__file__).with_name("published.json")
GPT2: Final = ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl")  # from the smallest to the largest
CORPORA: Final = {"imdb": "IMDB", "pile": "Pile"}
FEWEST_TEXTS, SHORTEST_CONTEXT = 50, 10  # of the cells that a sweep over texts or context is compared with
AS_THEY_COME, UNIT = "as they come", "unit"


@dataclass(frozen=True, kw_only=True)
class PublishedFigure:
    """What the authors report for a row at one cell."""

    text: str
    value: float  # on the scale of the row's first part, to four decimals
    cell: str  # as in "gpt2-medium, IMDB, 30 tokens, 1,000 texts"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What was run on what."""

    model: str  # as in published.json
    corpus: str  # a key of CORPORA
    context: int  # tokens of each text
    n_texts: int

    def __str__(self) -> str:
        """The cell in words."""
        return f"{self.model}, {CORPORA[self.corpus]}, {self.context} tokens, {self.n_texts:,} texts"


@dataclass(frozen=True, kw_only=True)
class PublishedRun:
    """One of the authors' runs on the Pile."""

    cell: Cell
    vectors: str  # "as they come", "unit" or "filtered to ASCII"
    K: int  # labels; one more than there are blocks, or as many where state 0 was left out
    accuracy: float
    accuracy_by_epoch: Mapping[int, float]


@dataclass(frozen=True, kw_only=True)
class AblationRun:
    """The run of the post's ablation section: gpt2-medium, IMDB, 30 tokens, 1,000 texts."""

    cell: Cell
    accuracy: float
    masked: float  # accuracy with the dimensions beside the recurring ones set to zero
    unit: float  # from the post's text, to two decimals
    transfer: float  # accuracy on AG_NEWS
    random: float  # accuracy of a probe trained and tested on random vectors
    largest_share: float  # of one dimension, about, in its figure
    text: Mapping[str, float]  # the same in the post's text, where that says it


@dataclass(frozen=True, kw_only=True)
class Published:
    """All figures that travel in the package."""

    source: Mapping[str, str]
    imdb: Mapping[Cell, float]  # accuracy of one run a cell, as they come
    pile: tuple[PublishedRun, ...]
    ablation: AblationRun

    @property
    def contexts(self) -> tuple[int, ...]:
        """Tokens of context of the grid on IMDB, ascending."""
        return tuple(sorted({cell.context for cell in self.imdb}))

    @property
    def n_texts(self) -> tuple[int, ...]:
        """Numbers of texts of the grid on IMDB, ascending."""
        return tuple(sorted({cell.n_texts for cell in self.imdb}))

    def accuracy(self, cell: Cell, vectors: str = AS_THEY_COME) -> float | None:
        """Accuracy at a cell, None where there is no such run; unit vectors of IMDB stand in the post's text only."""
        if cell.corpus == "imdb":
            if vectors == AS_THEY_COME:
                return self.imdb.get(cell)
            return self.ablation.unit if vectors == UNIT and cell == self.ablation.cell else None
        found = (run.accuracy for run in self.pile if run.cell == cell and run.vectors == vectors)
        return next(found, None)


@cache
def published() -> Published:
    """The figures, read when they are first asked for."""
    content: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    grid, later, run = content["imdb"], content["pile"], content["gpt2_medium_imdb_30_1000"]
    return Published(
        source=content["source"],
        imdb={
            Cell(model=model, corpus="imdb", context=int(context), n_texts=n_texts): accuracy
            for model, rows in grid["accuracy"].items()
            for context, row in rows.items()
            for n_texts, accuracy in zip(grid["n_texts"], row, strict=True)
            if accuracy is not None
        },
        pile=tuple(
            PublishedRun(
                cell=Cell(model=one["model"], corpus="pile", context=one["context"], n_texts=one["n_texts"]),
                vectors=one["vectors"],
                K=one["K"],
                accuracy=one["accuracy"],
                accuracy_by_epoch=dict(zip(later["epochs"], one["accuracy_by_epoch"], strict=True)),
            )
            for one in later["runs"]
        ),
        ablation=AblationRun(
            cell=Cell(model="gpt2-medium", corpus="imdb", context=30, n_texts=1000),
            accuracy=run["accuracy"],
            masked=run["masked"]["accuracy"],
            unit=content["text"]["unit"],
            transfer=run["transfer_ag_news"],
            random=run["random_vectors_probe_trained_on_them"],
            largest_share=run["largest_share_in_its_figure_about"],
            text={name: value for name, value in content["text"].items() if name != "what"},
        ),
    )


def accuracy_over_texts(context: int) -> dict[str, list[tuple[int, float]]]:
    """Accuracy on IMDB over the number of texts, for each GPT-2 that was run at this context."""
    return _curves(lambda cell: cell.context == context, lambda cell: cell.n_texts)


def accuracy_over_context(n_texts: int) -> dict[str, list[tuple[int, float]]]:
    """Accuracy on IMDB over the tokens of context, for each GPT-2 that was run on this many texts."""
    return _curves(lambda cell: cell.n_texts == n_texts, lambda cell: cell.context)


def _curves(
    wanted: Callable[[Cell], bool], place: Callable[[Cell], int]
) -> dict[str, list[tuple[int, float]]]:
    grid = published().imdb
    curves = {
        model: sorted(
            (place(cell), accuracy) for cell, accuracy in grid.items() if cell.model == model and wanted(cell)
        )
        for model in GPT2
    }
    return {model: curve for model, curve in curves.items() if curve}


def published_figure(
    claim_id: str, *, model: str, corpus: str, transfer_corpus: str | None, context: int, n_texts: int
) -> PublishedFigure | None:
    """The authors' figure for a row of the post at the very cell of a run; None where they have none.

    Names are those that a run is given. Only an id of the hub names a published model, with or without a revision: a
    file or directory of that name may hold any weights.
    """
    cell = _cell(model, corpus, context, n_texts)
    if cell is None:
        return None
    if claim_id in OF_ABLATION:
        other, figure = OF_ABLATION[claim_id]
        run = published().ablation
        if cell != run.cell or (other is not None and _corpus(transfer_corpus) != other):
            return None
        found = figure(run)
    elif claim_id in OF_CELL:
        found = OF_CELL[claim_id](cell)
    else:
        return None
    if found is None:
        return None
    text, value = found
    return PublishedFigure(text=text, value=round(value, 4), cell=_in_words(cell))


def _cell(model: str, corpus: str, context: int, n_texts: int) -> Cell | None:
    repository, short = hub_id(model), _corpus(corpus)
    if repository is None or short not in CORPORA:
        return None
    bare = repository.removeprefix("openai-community/")
    return Cell(model=bare if bare in GPT2 else repository, corpus=short, context=context, n_texts=n_texts)


def _corpus(name: str | None) -> str | None:
    """A corpus of the hub without its revision; None for any other."""
    try:
        found = hub_name(name) if name is not None else None
    except LayerclaimsError:
        return None
    return None if found is None else found[0]


def _in_words(cell: Cell) -> str:
    labels = {run.K for run in published().pile if run.cell == cell}
    return f"{cell}; the authors' later run, {min(labels)} labels" if labels else str(cell)


Found = tuple[str, float] | None  # text and value


def _separable(cell: Cell) -> Found:
    figures, run = published(), published().ablation
    accuracy = figures.accuracy(cell)
    if accuracy is None:
        return None
    if cell == run.cell:
        said, sweep = map(_number, (run.text["accuracy"], accuracy))
        return f"{_number(run.accuracy)} ({said} in its text, {sweep} in its sweep)", run.accuracy
    return _number(accuracy), accuracy


def _lost_by_unit(cell: Cell) -> Found:
    figures, run = published(), published().ablation
    raw = run.accuracy if cell == run.cell else figures.accuracy(cell)
    unit = figures.accuracy(cell, UNIT)
    if raw is None or unit is None:
        return None
    lost = raw - unit
    # one of the two has two decimals where it comes from the post's text
    return f"{_number(raw)} -> {_number(unit)}", round(lost, 2) if cell == run.cell else lost


def _unit(cell: Cell) -> Found:
    accuracy = published().accuracy(cell, UNIT)
    return None if accuracy is None else (_number(accuracy), accuracy)


def _gained_by_texts(cell: Cell) -> Found:
    fewer = Cell(model=cell.model, corpus=cell.corpus, context=cell.context, n_texts=FEWEST_TEXTS)
    low, high = map(published().accuracy, (fewer, cell))
    if low is None or high is None or cell.n_texts <= FEWEST_TEXTS:
        return None
    return f"{_number(low)} with {FEWEST_TEXTS} texts, {_number(high)} with {cell.n_texts:,}", high - low


def _gained_by_context(cell: Cell) -> Found:
    shorter = Cell(model=cell.model, corpus=cell.corpus, context=SHORTEST_CONTEXT, n_texts=cell.n_texts)
    low, high = map(published().accuracy, (shorter, cell))
    if low is None or high is None or cell.context <= SHORTEST_CONTEXT:
        return None
    return f"{_number(low)} at {SHORTEST_CONTEXT} tokens, {_number(high)} at {cell.context}", high - low


def _largest_share(run: AblationRun) -> Found:
    figure, text = map(_number, (run.largest_share, run.text["largest_share_about"]))
    return f"about {figure} in its figure (about {text} in its text)", run.largest_share


def _masked(run: AblationRun) -> Found:
    logged, said = (
        f"{_number(accuracy)} -> {_number(masked)}"
        for accuracy, masked in (
            (run.accuracy, run.masked),
            (run.text["accuracy"], run.text["masked"]),
        )
    )
    return f"{logged}, of their neighbours ({said} in its text)", run.accuracy - run.masked


def _number(share: float) -> str:
    """A share of at most four decimals, without the zero before its point."""
    return f"{share:.4f}".rstrip("0").removeprefix("0")


OF_CELL: Final[Mapping[str, Callable[[Cell], Found]]] = {
    "layers-linearly-separable": _separable,
    "norm-is-a-feature": _lost_by_unit,
    "norm-is-not-the-only-feature": _unit,
    "more-data-higher-accuracy": _gained_by_texts,
    "longer-context-higher-accuracy": _gained_by_context,
}
# what was run at one cell only, and the transfer corpus that it takes
OF_ABLATION: Final[Mapping[str, tuple[str | None, Callable[[AblationRun], Found]]]] = {
    "random-vectors-fail": (None, lambda run: (_number(run.random), run.random)),
    "no-dimension-dominates": (None, _largest_share),
    "masking-recurring-dimensions-is-negligible": (None, _masked),
    "accuracy-drops-on-another-corpus": (
        "ag_news",
        lambda run: (f"{_number(run.accuracy)} -> {_number(run.transfer)}", run.accuracy - run.transfer),
    ),
    "transfer-beats-chance": ("ag_news", lambda run: (_number(run.transfer), run.transfer)),
}


def reported(claim: Claim, run: Protocol) -> dict[str, Any]:
    """What a record says of the source's figure: that of this very run where the post has one, else the claim's own."""
    figure = None
    if claim.source == POST:
        figure = published_figure(
            claim.id,
            model=run.studied,
            corpus=run.corpus,
            transfer_corpus=run.transfer_corpus,
            context=run.context,
            n_texts=run.n_texts,
        )
    return {
        "reported": claim.reported if figure is None else figure.text,
        "reported_value": claim.reported_value if figure is None else figure.value,
        "reported_cell": None if figure is None else figure.cell,
        "reported_exact": figure is not None,
    }
