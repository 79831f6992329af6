"""Norms of every state, and of the final-normed one."""

import numpy as np
from layerclaims.experiments.measurement import Values, all_of, at_least, measurement, never_published
from layerclaims.experiments.study import Study
from layerclaims.metrics import norms

FIELDS = ("largest", "largest_later", "mean_later", "smallest_later")


@measurement("main", name="norms", version=2, weight=0.1)
def norms_by_state(study: Study) -> Values:
    """Sums of norms by document, [documents, states + 1 columns], and the range of each state's norms.

    "sums" are of the positions that count, "sums of all positions" of all.
    """
    store = study.store("main")
    sums, every, table = [], [], []
    for i in range(store.n_states):
        state = store.state(i)
        sums.append(norms.norm_sums(state, first=study.first_position))
        every.append(norms.norm_sums(state, first=0))
        table.append(norms.norm_summary(state, first=study.first_position))
    ranges = {field: np.array([getattr(one, field) for one in table]) for field in FIELDS}
    columns = {"sums": sums, "sums of all positions": every}
    return Values(
        arrays={**{name: norms.norm_columns(of) for name, of in columns.items()}, **ranges}, facts={}
    )


# the first third of six states is the least that has two to compare
_enough = all_of(never_published("comparison of norms by layer"), at_least(states=6))


@measurement("main", name="early-norms", weight=0.05, check=_enough)
def early_norms(study: Study) -> Values:
    """How far the norms of neighbouring states of the first third overlap, [1 + folds, pairs], and their quantiles."""
    store = study.store("main")
    early = [norms.token_norms(store.state(i)[:, study.first_position :]) for i in range(study.n_labels // 3)]
    return Values(
        arrays={
            "overlaps": norms.overlaps(early, study.folds("main")),
            "quantiles": np.array([np.quantile(one, [0.025, 0.5, 0.975]) for one in early]),
        },
        facts={},
    )
