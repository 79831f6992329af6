"""Norms of every state, and of the final-normed one."""

import numpy as np
from layerclaims.experiments.measurement import Values, measurement
from layerclaims.experiments.study import Study
from layerclaims.metrics import norms

FIELDS = ("largest", "largest_later", "mean_later", "smallest_later")


@measurement("main", name="norms", weight=0.1)
def norms_by_state(study: Study) -> Values:
    """Sums of norms by document, [documents, states + 1 columns], and the range of each state's norms."""
    store = study.store("main")
    sums, table = [], []
    for i in range(store.n_states):
        state = store.state(i)
        sums.append(norms.norm_sums(state, first=study.first_position))
        table.append(norms.norm_summary(state, first=study.first_position))
    ranges = {field: np.array([getattr(one, field) for one in table]) for field in FIELDS}
    return Values(arrays={"sums": norms.norm_columns(sums), **ranges}, facts={})
