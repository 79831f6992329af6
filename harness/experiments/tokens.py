"""Tokens that a probe has met and tokens that it has not: whether it knows layers, or words."""

from typing import Final

import numpy as np
from layerclaims.corpora.corpus import Role
from layerclaims.experiments import fitted
from layerclaims.experiments.conditions import chosen_folds, each_fold
from layerclaims.experiments.measurement import Series, Values, measurement, never_published
from layerclaims.experiments.probes import layer_probe
from layerclaims.experiments.study import Study
from layerclaims.probing import answers, fit
from layerclaims.probing.vectors import Vectors
from numpy.typing import NDArray

Flags = NDArray[np.bool_]


def token_ids(study: Study, role: Role, rows: Vectors) -> NDArray[np.int64]:
    """Token ids of the positions that count, documents in the order of the folds: [documents, positions]."""
    return study.store(role).token_ids[rows.rows, study.first_position :]


def known(training: NDArray[np.int64], asked: NDArray[np.int64]) -> Flags:
    """Whether each token asked for is among those of the training documents."""
    return np.isin(asked, np.unique(training))


@measurement(layer_probe, "main", name="tokens", weight=0.1, check=never_published("count of known tokens"))
def by_tokens(study: Study) -> Values:
    """The layer probe's answers on tokens of its training documents, and on others."""
    rows, probes = study.rows("main"), fitted.probes_of(study.values(layer_probe))
    ids, k = token_ids(study, "main", rows), rows.n_labels
    flags = np.empty(ids.shape, dtype=np.bool_)
    for part in rows.folds:
        others = np.delete(ids, np.arange(part.start, part.stop), axis=0)
        flags[part] = known(others, ids[part])
    named = answers.held_out(rows, probes)
    seen = np.repeat(flags[:, None, :], k, axis=1).ravel()
    certificates = fitted.certified(probes)
    return fitted.joined(
        *(
            fitted.of_series(
                series.name, *answers.counts_of_rows(rows, chosen, named.ravel()[chosen]), certificates
            )
            for series, chosen in (
                (SEEN, np.flatnonzero(seen)),
                (UNSEEN, np.flatnonzero(~seen)),
            )
        )
    )


SEEN: Final = Series("seen tokens", by_tokens)
UNSEEN: Final = Series("unseen tokens", by_tokens)


@measurement(
    layer_probe, "main", "transfer", name="transfer-tokens", weight=0.1,
    check=never_published("count of known tokens"),
)  # fmt: skip
def transfer_by_tokens(study: Study) -> Values:
    """The main corpus' probes on those tokens of the transfer corpus that each of them has met."""
    probes = fitted.probes_of(study.values(layer_probe))
    rows = study.rows("main")
    own, folds = token_ids(study, "main", rows), rows.folds
    del rows
    rows = study.rows("transfer")
    ids, shape = token_ids(study, "transfer", rows), rows.x.shape[:2]
    correct, total = (np.zeros(shape, dtype=np.int64) for _ in range(2))
    labels = np.arange(rows.n_labels)[None, :, None]
    for probe, part in zip(probes, folds, strict=True):
        flags = known(np.delete(own, np.arange(part.start, part.stop), axis=0), ids)[:, None, :]
        right = probe.predict(rows.flat).reshape(rows.x.shape[:3]) == labels
        correct += (right & flags).sum(2)
        total += np.broadcast_to(flags, right.shape).sum(2)
    order = np.argsort(rows.rows)
    order = order[total[order].any(1)]
    counts = rows.rows[order], correct[order], total[order]
    return fitted.of_series(TRANSFER_SEEN.name, *counts, fitted.certified(probes))


TRANSFER_SEEN: Final = Series("transfer, seen tokens", transfer_by_tokens, tested_on="transfer")


@measurement("main", name="control-task", weight=0.2, check=never_published("control task"))
def control_task(study: Study) -> Values:
    """A probe of labels that each word has at random: what it can learn by heart (Hewitt and Liang 2019).

    The layers of a token type are renamed by a permutation of its own.
    """
    rows = study.rows("main")
    ids, k = token_ids(study, "main", rows), rows.n_labels
    types, places = np.unique(ids, return_inverse=True)
    names = np.argsort(study.rng(21).random((len(types), k)), axis=1)  # [types, K]
    labels = np.ascontiguousarray(names[places.reshape(ids.shape)].transpose(0, 2, 1)).ravel()
    folds = chosen_folds(rows)
    fits = fit.fit_sets(
        rows,
        [rows.training(fold) for fold in folds],
        labels=[labels] * len(folds),
        device=study.computes_on,
    )
    named, probes = {}, []
    for fold, probe in zip(each_fold("control task", folds), fits, strict=True):
        named[fold] = probe.predict(rows.flat[rows.tested(fold)])
        probes.append(probe)
    return fitted.counted_folds(CONTROL_TASK.name, rows, named, probes, dict.fromkeys(folds, labels))


CONTROL_TASK: Final = Series("control task", control_task)
