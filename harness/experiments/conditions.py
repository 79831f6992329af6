"""The layer probe under other conditions: less to learn from, shuffled labels, shorter texts, both corpora; a tree.

Each is compared with the probe on the whole main corpus, document by document. As many folds are fitted as hold
`TESTED` documents, the same ones for all: a fold more would cost each of them another fit. The control has all.
"""

import itertools
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from typing import Final

import numpy as np
from layerclaims.corpora.corpus import PLAIN, Role
from layerclaims.errors import NotTestedError
from layerclaims.experiments import fitted
from layerclaims.experiments.measurement import (
    Measurement,
    Series,
    Values,
    measurement,
    never_published,
)
from layerclaims.experiments.probes import RAW, SHORTEST, certificate_of, named_by_all
from layerclaims.experiments.sgd import CONTEXTS, TEXTS, Cell, probe_of, sgd_fit
from layerclaims.experiments.study import Study
from layerclaims.probing import fit, tree, vectors
from layerclaims.probing.answers import counts_of_rows
from layerclaims.probing.probe import LayerProbe, Probe
from layerclaims.probing.vectors import Vectors
from layerclaims.protocol import Protocol
from layerclaims.runtime import progress as screen
from numpy.typing import NDArray

Labels = dict[int, NDArray[np.int64]]  # fold -> labels of all vectors

TESTED: Final = 40  # documents, some more than the 30 below which no interval is trusted
SHARES: Final = (1 / 16, 1 / 8, 1 / 4, 1 / 2)  # of the training documents; all of them is the series RAW


def chosen_folds(rows: Vectors) -> range:
    """The folds that are fitted."""
    fewest = min(fold.stop - fold.start for fold in rows.folds)
    return range(min(len(rows.folds), -(-TESTED // max(1, fewest))))


def each_fold(label: str, folds: Collection[int]) -> Iterator[int]:
    """The folds to fit, with progress."""
    with screen.Progress(label, len(folds), "probes") as bar:
        for fold in folds:
            yield fold
            bar.advance()


def _held_out(series: Series, rows: Vectors, probes: Sequence[Probe]) -> Values:
    """What each fold's probe says of its fold, of the first folds."""
    named = {fold: probe.predict(rows.flat[rows.tested(fold)]) for fold, probe in enumerate(probes)}
    return fitted.counted_folds(series.name, rows, named, probes)


@measurement("main", name="tree", weight=0.3, check=never_published("decision tree"))
def decision_tree(study: Study) -> Values:
    """A decision tree in place of the probe; it has no optimum to converge to."""
    rows, named = study.rows("main"), dict[int, NDArray[np.int64]]()
    for fold in each_fold("decision tree", chosen_folds(rows)):
        grown = tree.fit_tree(rows.flat, rows.labels, rows=rows.training(fold), seed=study.protocol.seed)
        named[fold] = np.asarray(grown.predict(rows.flat[rows.tested(fold)]), dtype=np.int64)
    return fitted.counted_folds(TREE.name, rows, named, [])


TREE: Final = Series("tree", decision_tree)


@measurement("main", name="all-positions", weight=0.2, check=never_published("probe of some positions"))
def all_positions(study: Study) -> Values:
    """The layer probe with the first position, which the others leave out."""
    rows = study.rows("main", first=0)
    fits = fit.fit_folds(rows, folds=chosen_folds(rows), device=study.computes_on)
    folds = each_fold("layer probe with the first position", chosen_folds(rows))
    probes = [probe for _, probe in zip(folds, fits, strict=True)]
    weights = np.stack([probe.weights for probe in probes])
    return fitted.joined(
        _held_out(ALL_POSITIONS, rows, probes), Values(arrays={"weights": weights}, facts={})
    )


ALL_POSITIONS: Final = Series("all positions", all_positions)


@measurement("main", name="shuffled", weight=0.5, check=never_published("probe of shuffled labels"))
def shuffled_labels(study: Study) -> Values:
    """The control: whether an answer meets a shuffled label is chance. On every fold: few documents mislead often."""
    rows, rng = study.rows("main"), study.rng(4)
    # anew for each fold: with one order for all, what two folds have in common by chance would count
    # twice, once each way, and the interval over documents would miss chance on 15 % of runs
    labels = {fold: vectors.shuffled_labels(rows, rng) for fold in range(len(rows.folds))}
    named, probes = dict[int, NDArray[np.int64]](), []
    fits = fit.fit_sets(
        rows,
        [rows.training(fold) for fold in labels],
        labels=list(labels.values()),
        device=study.computes_on,
    )
    for fold, probe in zip(each_fold("layer probe on shuffled labels", labels), fits, strict=True):
        named[fold] = probe.predict(rows.flat[rows.tested(fold)])
        probes.append(probe)
    weights = np.stack([probe.weights for probe in probes])  # [folds, d, K]
    return fitted.joined(
        fitted.counted_folds(SHUFFLED.name, rows, named, probes, labels),
        Values(arrays={"weights": weights}, facts={}),
    )


SHUFFLED: Final = Series("shuffled", shuffled_labels)


@measurement(
    "main", name="growing-shares", weight=0.3, check=never_published("probes of shares of the texts")
)
def growing_shares(study: Study) -> Values:
    """Probes of growing shares of a fold's training documents, fold by fold."""
    rows = study.rows("main")
    grown = [[vectors.training_share(rows, fold, share) for share in SHARES] for fold in chosen_folds(rows)]
    label = "layer probe on growing shares of the documents"
    with screen.Progress(label, len(grown) * len(SHARES), "probes") as bar:
        probes = list(itertools.chain(*fit.fit_growing(rows, grown, device=study.computes_on)))
        bar.advance(len(probes))
    parts = [_held_out(series, rows, probes[i :: len(SHARES)]) for i, series in enumerate(SIZES[:-1])]
    return fitted.joined(*parts)


# from the smallest share of the training documents to all of them
SIZES: Final = (*(Series(f"size 1/{round(1 / share)}", growing_shares) for share in SHARES), RAW)


@cache
def at_context(tokens: int) -> Series:
    """The probe on texts of so many tokens, which for a causal model are the beginning of longer ones.

    Under the rigorous protocol it is trained on as many vectors as the shortest context has, whatever the context.
    """
    name = f"context {tokens}"

    def check(study: Study) -> None:
        if study.protocol.context <= tokens:
            raise NotTestedError(
                f"The run's context is {study.protocol.context} tokens, and nothing shorter is compared; raise "
                "--context."
            )

    @measurement("main", name=name.replace(" ", "-"), weight=0.1, check=check)
    def shorter(study: Study) -> Values:
        return _of_few_positions(study, name, tokens)

    _of_cell(shorter, name, Cell(context=tokens))
    return Series(name, shorter)


@measurement("main", name="own-context", weight=0.1, check=never_published("probe of a few positions"))
def own_context(study: Study) -> Values:
    """The probe at the run's own context, trained on as many vectors as the shortest context has."""
    return _of_few_positions(study, OWN_CONTEXT.name, study.protocol.context)


OWN_CONTEXT: Final = Series("own context", own_context)


def _of_few_positions(study: Study, name: str, tokens: int) -> Values:
    """Probes on the first tokens of each text, trained on a few positions of a document drawn at random.

    They are as many as the shortest context has, so that all contexts have equally many training vectors.
    """
    rows, rng = study.rows("main"), study.rng(18)
    positions, few = (n - study.first_position for n in (tokens, SHORTEST))
    probes, named = [], {}
    for fold in each_fold(f"layer probe at {tokens} tokens", chosen_folds(rows)):
        chosen = vectors.draw_positions(rows, fold, of=positions, n=few, rng=rng)
        x, y = vectors.take(rows, chosen, empty=study.memory.empty)
        probes.append(LayerProbe(device=study.computes_on).fit(x, y, n_labels=rows.n_labels))
        named[fold] = probes[-1].predict(rows.flat[rows.tested(fold)])
    return fitted.counted_folds(name, rows, named, probes, positions=positions)


def _of_cell(of: Measurement, name: str, cell: Cell) -> None:
    """Let the published counts of a measurement be those of a smaller fit, on a fifth of its own vectors."""

    @of.as_published(sgd_fit(cell), weight=0.05)
    def published(study: Study) -> Values:
        rows = study.rows("main")
        probe = probe_of(study, rows, cell)
        counts = counts_of_rows(rows, probe.split.tested, probe.predict(rows))
        return fitted.of_series(name, *counts, [certificate_of(study, cell)])


def contexts(protocol: Protocol) -> dict[int, Series]:
    """Tokens of context -> series: 5, 10, 20, 30 ... up to the run's own, at equal numbers of training vectors.

    As published those that the authors ran, of as many vectors as there are.
    """
    longest = protocol.context
    shorter = CONTEXTS if protocol.published else (SHORTEST, *range(10, longest, 10))
    own = RAW if protocol.published else OWN_CONTEXT
    return {**{n: at_context(n) for n in shorter if n < longest}, longest: own}


@cache
def of_texts(texts: int) -> Series:
    """As published: the probe of so many texts, tested on a fifth of their vectors."""
    name = f"texts {texts}"

    def rigorous(_: Study) -> Values:
        raise NotTestedError("The rigorous protocol compares shares of the training documents.")

    def check(study: Study) -> None:
        """Refuse what the protocol, or the run's number of texts, does not have."""
        if not study.protocol.published:
            rigorous(study)
        Cell(texts=texts).check(study)

    fewer = measurement("main", name=name.replace(" ", "-"), weight=0.05, check=check)(rigorous)

    _of_cell(fewer, name, Cell(texts=texts))
    return Series(name, fewer)


def texts(protocol: Protocol) -> dict[int, Series]:
    """As published: numbers of texts -> series, those that the authors ran up to the run's own, whose is RAW."""
    most = protocol.n_texts
    return {**{n: of_texts(n) for n in TEXTS if n < most}, most: RAW}


@measurement("main", "transfer", name="transfer-probes", check=never_published("probe of the other corpus"))
def probes_of_transfer(study: Study) -> Values:
    """The transfer corpus' own probes, on documents of it that they never saw and on the main corpus.

    They learn from as large a share of their corpus as the main one's, which are held against them.
    """
    rows = study.rows("transfer")
    fits = fit.fit_folds(rows, folds=chosen_folds(rows), device=study.computes_on)
    folds = each_fold("layer probe of the transfer corpus", chosen_folds(rows))
    probes = [probe for _, probe in zip(folds, fits, strict=True)]
    own = _held_out(TRANSFER_OWN, rows, probes)
    del rows
    rows = study.rows("main")
    return fitted.joined(own, fitted.counted(rows, {TRANSFER_BACK.name: named_by_all(probes, rows)}, probes))


TRANSFER_OWN: Final = Series("transfer own", probes_of_transfer, tested_on="transfer")
TRANSFER_BACK: Final = Series("transfer back", probes_of_transfer)


@measurement("main", "transfer", name="mixed", weight=0.5, check=never_published("mixed training"))
def mixed_training(study: Study) -> Values:
    """Probes of half of either corpus' training documents, as many as one corpus has, on each of them."""
    probes: list[Probe] = []
    folds = list(chosen_folds(study.rows("main")))
    for fold in each_fold("layer probe on both corpora", folds):
        x, y = _halves(study, fold)
        probes.append(LayerProbe(device=study.computes_on).fit(x, y, n_labels=study.n_labels))
        del x, y
    return fitted.joined(
        _held_out(MIXED_ON_TRANSFER, study.rows("transfer"), probes),
        _held_out(MIXED_ON_MAIN, study.rows("main"), probes),
    )


MIXED_ON_MAIN: Final = Series("mixed on main", mixed_training)
MIXED_ON_TRANSFER: Final = Series("mixed on transfer", mixed_training, tested_on="transfer")


def _halves(study: Study, fold: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Half of what the fold's probe may see of either corpus, as one matrix [n, d], and its labels [n].

    The halves are copies, so that the corpora need not lie beside each other.
    """
    halves = []
    for role in PLAIN:
        rows = study.rows(role)
        share = vectors.training_share(rows, fold, 0.5)
        halves.append(vectors.take(rows, share, empty=study.memory.empty))
    del rows
    study.release()
    x = study.memory.empty((sum(len(half) for half, _ in halves), study.facts.hidden_size))
    np.concatenate([half for half, _ in halves], out=x)
    return x, np.concatenate([y for _, y in halves])


MAIN_STRIPPED: Final[Role] = "main without punctuation"
TRANSFER_STRIPPED: Final[Role] = "transfer without punctuation"


@measurement(
    MAIN_STRIPPED,
    TRANSFER_STRIPPED,
    name="without-punctuation",
    weight=0.5,
    check=never_published("texts without punctuation"),
)
def without_punctuation(study: Study) -> Values:
    """Probes of the main corpus without punctuation, on it and on the transfer corpus without."""
    for role in (MAIN_STRIPPED, TRANSFER_STRIPPED):
        study.store(role)  # before anything is fitted: one of them may not be there
    rows = study.rows(MAIN_STRIPPED)
    fits = fit.fit_folds(rows, folds=chosen_folds(rows), device=study.computes_on)
    folds = each_fold("layer probe without punctuation", chosen_folds(rows))
    probes = [probe for _, probe in zip(folds, fits, strict=True)]
    own = _held_out(STRIPPED, rows, probes)
    del rows
    rows = study.rows(TRANSFER_STRIPPED)  # where every document is unseen by all of the probes
    return fitted.joined(
        own, fitted.counted(rows, {STRIPPED_TRANSFER.name: named_by_all(probes, rows)}, probes)
    )


STRIPPED: Final = Series("stripped", without_punctuation, tested_on=MAIN_STRIPPED)
STRIPPED_TRANSFER: Final = Series("stripped transfer", without_punctuation, tested_on=TRANSFER_STRIPPED)
