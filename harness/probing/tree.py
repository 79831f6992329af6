"""A decision tree in place of the linear probe: the other interpretable model that the post plans for."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

TRAINING_VECTORS = 10_000  # time grows with vectors x dimensions: at 576 dimensions 9 s of one core
DEPTH = 20  # deeper splits hold a handful of vectors
LEAF = 5  # vectors of a leaf at least


def fit_tree(
    X: NDArray[np.float32],
    y: NDArray[np.int64],
    *,
    rows: Sequence[slice] | NDArray[np.bool_] | None = None,
    most: int = TRAINING_VECTORS,
    seed: int,
) -> Any:
    """Fit scikit-learn's DecisionTreeClassifier (CART, Gini) to X [n, d] and y [n], or to some of their rows.

    `rows` are ranges, or a mask [n].
    At most `most` training vectors, drawn without replacement, equally many of each label; a label with
    fewer gives all. Depth at most DEPTH, LEAF vectors a leaf at least, all dimensions tried at each split:
    a tree needs no standardising. Deterministic for given data and seed. ValueError for no training vector.
    """
    from sklearn.tree import DecisionTreeClassifier

    rng = np.random.default_rng(seed)
    if isinstance(rows, np.ndarray):
        allowed = np.flatnonzero(rows)
    else:
        ranges = [slice(0, len(X))] if rows is None else rows
        allowed = np.concatenate(
            [np.arange(r.start, r.stop) for r in ranges] or [np.empty(0, dtype=np.int64)]
        )
    if not len(allowed):
        raise ValueError("a tree needs at least one training vector")
    labels = np.unique(y[allowed])
    each = max(1, most // len(labels))
    chosen = np.concatenate([rng.permutation(allowed[y[allowed] == label])[:each] for label in labels])
    tree = DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=LEAF, random_state=seed)
    return tree.fit(X[chosen], y[chosen])
