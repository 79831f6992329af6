"""Decision tree: finds axis-parallel layers, counts by document and label, and is the same each time."""

import numpy as np
import pytest
from layerclaims.probing.tree import LEAF, fit_tree

N, K, POSITIONS, D = 12, 4, 5, 3


def layers(rng, *, gap):
    """Documents [N, K, POSITIONS, D] whose label shifts the second dimension."""
    x = rng.standard_normal((N, K, POSITIONS, D))
    x[..., 1] += gap * np.arange(K)[:, None]
    return x.astype(np.float32)


def rows(x):
    return x.reshape(-1, D), np.tile(np.repeat(np.arange(K), POSITIONS), len(x))


def tree_counts(tree, x):
    """Right answers and answers, [N, K] each; label i is state i."""
    correct = (tree.predict(x.reshape(-1, D)).reshape(N, K, POSITIONS) == np.arange(K)[:, None]).sum(axis=2)
    return correct, np.full((N, K), POSITIONS)


def test_layers_that_an_axis_separates_are_told_apart():
    rng = np.random.default_rng(0)
    tree = fit_tree(*rows(layers(rng, gap=30.0)), seed=0)
    correct, total = tree_counts(tree, layers(rng, gap=30.0))
    assert correct.shape == total.shape == (N, K)
    np.testing.assert_array_equal(correct, POSITIONS)
    np.testing.assert_array_equal(total, POSITIONS)


def test_layers_that_do_not_differ_are_guessed():
    rng = np.random.default_rng(0)
    correct, total = tree_counts(fit_tree(*rows(layers(rng, gap=0.0)), seed=0), layers(rng, gap=0.0))
    assert abs(correct.sum() / total.sum() - 1 / K) < 0.12


def test_only_the_rows_allowed_are_seen():
    x, y = rows(layers(np.random.default_rng(0), gap=30.0))
    garbage = y.copy()
    half = len(y) // 2
    garbage[half:] = 0
    seen = fit_tree(x, garbage, rows=[slice(0, half)], seed=0)
    assert seen.tree_.n_node_samples[0] == half
    np.testing.assert_array_equal(seen.predict(x), y)


def test_the_sample_is_even_over_labels_and_bounded():
    x, y = rows(layers(np.random.default_rng(0), gap=30.0))
    tree = fit_tree(x, y, most=4 * K * LEAF, seed=0)
    assert tree.tree_.n_node_samples[0] == 4 * K * LEAF
    np.testing.assert_allclose(tree.tree_.value[0, 0], 1 / K)


def test_the_same_seed_gives_the_same_tree():
    x, y = rows(layers(np.random.default_rng(0), gap=0.5))
    a, b = (fit_tree(x, y, most=100, seed=5) for _ in range(2))
    np.testing.assert_array_equal(a.predict(x), b.predict(x))


def test_no_training_vector_is_an_error():
    x, y = rows(layers(np.random.default_rng(0), gap=1.0))
    for empty in ([], [slice(3, 3)]):
        with pytest.raises(ValueError, match="at least one"):
            fit_tree(x, y, rows=empty, seed=0)


def test_the_order_of_held_out_documents_permutes_the_counts():
    rng = np.random.default_rng(0)
    tree, held_out = fit_tree(*rows(layers(rng, gap=1.0)), seed=0), layers(rng, gap=1.0)
    order = rng.permutation(N)
    np.testing.assert_array_equal(
        tree_counts(tree, held_out[order])[0], tree_counts(tree, held_out)[0][order]
    )
