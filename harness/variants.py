"""Variants of the layer probe: on less, on shuffled labels, shorter texts, both corpora, no punctuation; as a tree.

Each is compared with the probe on the whole main corpus, document by document. As many folds are fitted as hold
`TESTED` documents, the same ones for all: a fold more would cost every variant another fit. The control has all.
"""

import itertools
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from harness import fits
from harness import progress as screen
from harness.claim import Certificate
from harness.corpora import PLAIN, Role
from harness.kept import Measurement
from harness.measure import accuracy, fitting, trees
from harness.measure.accuracy import Vectors
from harness.probe import Probe

if TYPE_CHECKING:
    from harness.study import Study

Rows = Sequence[slice] | NDArray[np.bool_]
Answers = dict[int, NDArray[np.int64]]  # fold -> labels of its tested vectors
Labels = dict[int, NDArray[np.int64]]  # fold -> labels of all vectors

TESTED: Final = 40  # documents, some more than the 30 below which no interval is trusted
SHARES: Final = (1 / 16, 1 / 8, 1 / 4, 1 / 2)  # of the training documents; all of them is the series "raw"
SHORTEST: Final = 5  # tokens of context

ROLES: Final[Mapping[str, Role]] = {  # series -> the corpus that it is tested on; "main" for all others
    "transfer": "transfer",
    "transfer own": "transfer",
    "mixed on transfer": "transfer",
    "stripped": "main without punctuation",
    "stripped transfer": "transfer without punctuation",
}


def sizes() -> list[str]:
    """The series of probes on growing shares of the training documents, ending with all of them."""
    return [*(f"size 1/{round(1 / share)}" for share in SHARES), "raw"]


def contexts(longest: int) -> dict[int, str]:
    """Tokens of context -> series: 5, 10, 20, 30 ... up to the run's own, whose series is "raw"."""
    shorter = [SHORTEST, *range(10, longest, 10)]
    return {**{n: f"context {n}" for n in shorter if n < longest}, longest: "raw"}


def measurement(study: "Study", name: str) -> Measurement:
    """The measurement that holds the series `name`; KeyError for a name that is none."""
    if name == "tree":
        return study.keep("tree", lambda: _tree(study))
    if name == "shuffled":
        return study.keep("shuffled", lambda: _shuffled(study))
    if match := re.fullmatch(r"size 1/(\d+)", name):
        share = int(match[1])
        return study.keep(f"size-{share}", lambda: _smaller(study, name, 1 / share))
    if match := re.fullmatch(r"context (\d+)", name):
        positions = int(match[1])
        return study.keep(f"context-{positions}", lambda: _shorter(study, name, positions))
    if name in ("transfer own", "transfer back"):
        return study.keep(name.replace(" ", "-"), lambda: _of_transfer(study, name))
    if name in ("mixed on main", "mixed on transfer"):
        return study.keep(name.replace(" ", "-"), lambda: _on_corpus(study, name))
    if name in ("stripped", "stripped transfer"):
        return study.keep(name.replace(" ", "-"), lambda: _stripped(study, name))
    raise KeyError(name)


def _chosen(vectors: Vectors) -> range:
    """The folds that are fitted."""
    fewest = min(fold.stop - fold.start for fold in vectors.folds)
    return range(min(len(vectors.folds), -(-TESTED // max(1, fewest))))


def _counted(
    name: str,
    vectors: Vectors,
    answers: Answers,
    certificates: Sequence[Certificate],
    labels: Labels | None = None,
) -> Measurement:
    documents, correct, total = accuracy.counts_of_tested(vectors, answers, labels)
    return Measurement(
        arrays={"documents": documents, f"{name}/correct": correct, f"{name}/total": total},
        facts={"certificates": [c.as_json() for c in certificates]},
    )


def _folds(label: str, folds: Collection[int]) -> Iterator[int]:
    """The folds to fit, with progress."""
    with screen.Progress(label, len(folds), "probes") as bar:
        for fold in folds:
            yield fold
            bar.advance()


def _cross_fitted(
    study: "Study",
    name: str,
    label: str,
    vectors: Vectors,
    rows: Callable[[int], Rows],
    labels: Labels | None = None,
) -> Measurement:
    """A probe a fold, fitted on `rows(fold)` and tested on the fold.

    Of the folds that have `labels`, which stand in place of the layers; else of as many as hold enough documents.
    """
    folds: Collection[int] = _chosen(vectors) if labels is None else labels
    answers: Answers = {}
    certificates = []
    fitted = fitting.fit_sets(
        vectors,
        study.protocol.setting,
        [rows(fold) for fold in folds],
        labels=None if labels is None else list(labels.values()),
    )
    for fold, probe in zip(_folds(label, folds), fitted, strict=True):
        answers[fold] = probe.predict(vectors.flat[vectors.tested(fold)])
        certificates.append(probe.certificate)
    return _counted(name, vectors, answers, certificates, labels)


def _tree(study: "Study") -> Measurement:
    vectors, answers = study.rows("main"), dict[int, NDArray[np.int64]]()
    for fold in _folds("decision tree", _chosen(vectors)):
        tree = trees.fit_tree(
            vectors.flat, vectors.labels, rows=vectors.training(fold), seed=study.protocol.seed
        )
        answers[fold] = np.asarray(tree.predict(vectors.flat[vectors.tested(fold)]), dtype=np.int64)
    return _counted("tree", vectors, answers, [])  # a tree has no optimum to converge to


def _shuffled(study: "Study") -> Measurement:
    """The control: whether an answer meets a shuffled label is chance. On every fold: few documents cry wolf."""
    vectors, rng = study.rows("main"), study.rng(4)
    # anew for each fold: with one order for all, what two folds have in common by chance would count
    # twice, once each way, and the interval over documents would miss chance on 15 % of runs
    labels = {fold: accuracy.shuffled_labels(vectors, rng) for fold in range(len(vectors.folds))}
    label = "layer probe on shuffled labels"
    return _cross_fitted(study, "shuffled", label, vectors, vectors.training, labels)


def _smaller(study: "Study", name: str, share: float) -> Measurement:
    """The probes of a share of the training documents; KeyError for one that is not among `SHARES`."""
    if share not in SHARES:
        raise KeyError(name)
    grown = fits.probes(study.keep("size-probes", lambda: _size_probes(study)))
    vectors, probes = study.rows("main"), grown[SHARES.index(share) :: len(SHARES)]
    return _counted(name, vectors, _held_out(vectors, probes), [probe.certificate for probe in probes])


def _size_probes(study: "Study") -> Measurement:
    """Of each share of a fold's training documents, growing, fold by fold."""
    vectors = study.rows("main")
    drawn = {share: study.rng(12) for share in SHARES}
    series = [
        [accuracy.training_share(vectors, fold, share, rng) for share, rng in drawn.items()]
        for fold in _chosen(vectors)
    ]
    label = "layer probe on growing shares of the documents"
    with screen.Progress(label, len(series) * len(SHARES), "probes") as bar:
        probes = list(itertools.chain(*fitting.fit_growing(vectors, study.protocol.setting, series)))
        bar.advance(len(probes))
    return fits.of_probes(probes)


def _shorter(study: "Study", name: str, positions: int) -> Measurement:
    vectors = accuracy.prefix(study.rows("main"), positions, empty=study.memory.empty)
    return _cross_fitted(study, name, f"layer probe at {positions} tokens", vectors, vectors.training)


def _of_transfer(study: "Study", name: str) -> Measurement:
    """The transfer corpus' own probes on documents of it that they never saw, or the whole corpus' on the main one."""
    whole, *probes = fits.probes(study.keep("transfer-probes", lambda: _transfer_probes(study)))
    if name == "transfer own":
        vectors = study.rows("transfer")
        certificates = [probe.certificate for probe in probes]
        return _counted(name, vectors, _held_out(vectors, probes), certificates)
    vectors = study.rows("main")
    named = whole.predict(vectors.flat).reshape(vectors.x.shape[:3])
    return fits.as_measurement(vectors, {name: named}, [whole])


def _transfer_probes(study: "Study") -> Measurement:
    """Of the whole corpus first, then of its folds; together they cost less than one after the other."""
    vectors = study.rows("transfer")
    rows = [[slice(0, len(vectors.flat))], *(vectors.training(fold) for fold in _chosen(vectors))]
    fitted = fitting.fit_sets(vectors, study.protocol.setting, rows)
    numbers = _folds("layer probe of the transfer corpus", range(len(rows)))
    return fits.of_probes([probe for _, probe in zip(numbers, fitted, strict=True)])


def _on_corpus(study: "Study", name: str) -> Measurement:
    """The probes of both corpora on one of them."""
    role: Role = "main" if name == "mixed on main" else "transfer"
    mixed = study.keep("mixed", lambda: _mixed(study))
    vectors, probes = study.rows(role), fits.probes(mixed)
    return _counted(name, vectors, _held_out(vectors, probes), [probe.certificate for probe in probes])


def _mixed(study: "Study") -> Measurement:
    """Probes of half of either corpus' training documents: as many as one corpus has."""
    setting, n_labels, probes = study.protocol.setting, study.n_labels, []
    folds = list(_chosen(study.rows("main")))
    with screen.Progress("layer probe on both corpora", len(folds), "probes") as bar:
        for fold in folds:
            x, y = _halves(study, fold)
            probes.append(fitting.fit(x, y, setting, n_labels=n_labels))
            del x, y
            bar.advance()
    return fits.of_probes(probes)


def _halves(study: "Study", fold: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Half of what the fold's probe may see of either corpus, as one matrix [n, d], and its labels [n].

    The halves are copies, so that the corpora need not lie beside each other.
    """
    halves = []
    for role in PLAIN:
        vectors = study.rows(role)
        rows = accuracy.training_share(vectors, fold, 0.5, study.rng(13))
        halves.append(accuracy.take(vectors, rows, empty=study.memory.empty))
    del vectors
    study.release()
    x = study.memory.empty((sum(len(half) for half, _ in halves), study.facts.hidden_size))
    np.concatenate([half for half, _ in halves], out=x)
    return x, np.concatenate([y for _, y in halves])


def _stripped(study: "Study", name: str) -> Measurement:
    """Probes of the main corpus without punctuation, on it and on the transfer corpus without."""
    study.prepare_stripped()
    probes = fits.probes(study.keep("stripped-probes", lambda: _stripped_probes(study)))
    certificates = [probe.certificate for probe in probes]
    if name == "stripped":
        vectors = study.rows("main without punctuation")
        return _counted(name, vectors, _held_out(vectors, probes), certificates)
    vectors = study.rows("transfer without punctuation")
    # every document is unseen by all of the probes
    named = np.concatenate(
        [probe.predict(vectors.flat).reshape(vectors.x.shape[:3]) for probe in probes], axis=2
    )
    return fits.as_measurement(vectors, {name: named}, probes)


def _stripped_probes(study: "Study") -> Measurement:
    vectors = study.rows("main without punctuation")
    fitted = fitting.fit_folds(vectors, study.protocol.setting, folds=_chosen(vectors))
    folds = _folds("layer probe without punctuation", _chosen(vectors))
    return fits.of_probes([probe for _, probe in zip(folds, fitted, strict=True)])


def _held_out(vectors: Vectors, probes: Sequence[Probe]) -> Answers:
    """What each fold's probe says of its fold, of the first folds."""
    return {fold: probe.predict(vectors.flat[vectors.tested(fold)]) for fold, probe in enumerate(probes)}
