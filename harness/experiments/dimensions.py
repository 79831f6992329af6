"""How much of a vector a probe needs: probes of a few dimensions drawn at random."""

from typing import Final

import numpy as np
from layerclaims.experiments import fitted
from layerclaims.experiments.conditions import chosen_folds, each_fold
from layerclaims.experiments.measurement import Series, Values, all_of, at_least, measurement, never_published
from layerclaims.experiments.study import Study
from layerclaims.probing import vectors
from layerclaims.probing.probe import LayerProbe
from numpy.typing import NDArray

DRAWS: Final = 5
SHARE: Final = 10  # one dimension in so many


_enough = all_of(never_published("probe of a tenth of the dimensions"), at_least(dimensions=SHARE))


@measurement("main", name="a-tenth", weight=0.3, check=_enough)
def a_tenth(study: Study) -> Values:
    """Probes of a tenth of the dimensions, of several draws: their answers, added up over the draws."""
    rows, rng = study.rows("main"), study.rng(22)
    d = rows.x.shape[-1]
    n = round(d / SHARE)
    draws = [np.sort(rng.permutation(d)[:n]) for _ in range(DRAWS)]
    probes = []
    named: list[dict[int, NDArray[np.int64]]] = [{} for _ in draws]
    for fold in each_fold("layer probe on a tenth of the dimensions", chosen_folds(rows)):
        y = vectors.labels_of(rows, rows.training(fold))
        for by_fold, dimensions in zip(named, draws, strict=True):
            x = study.memory.empty((len(y), n))
            vectors.columns_of(rows, rows.training(fold), dimensions, out=x)
            probes.append(LayerProbe(device=study.computes_on).fit(x, y, n_labels=rows.n_labels))
            tested = np.ascontiguousarray(rows.flat[rows.tested(fold)][:, dimensions])
            by_fold[fold] = probes[-1].predict(tested)
    return fitted.counted_draws(A_TENTH.name, rows, named, probes)


A_TENTH: Final = Series("a tenth of the dimensions", a_tenth)
