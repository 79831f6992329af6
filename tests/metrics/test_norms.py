"""Norms: taken without overflow, by document, and set against each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layerclaims.metrics.norms import (
    norm_columns,
    norm_summary,
    norm_sums,
    ratio_support,
    ratio_to_largest,
    token_norms,
)
from layerclaims.statistics.bootstrap import bootstrap_documents
from layerclaims.verdicts.criterion import Criterion

N, POSITIONS, D, L = 40, 5, 6, 8
seeds = st.integers(0, 2**32 - 1)


def states(rng, law, *, noise=0.1, n=N, layers=L):
    """States 1..layers whose norms follow a law of the layer, with noise shared by a document's vectors."""
    out = []
    for i in range(1, layers + 1):
        x = rng.standard_normal((n, POSITIONS, D))
        size = law(i) * np.exp(noise * rng.standard_normal((n, 1, 1)))
        out.append((x / np.linalg.norm(x, axis=-1, keepdims=True) * size).astype(np.float32))
    return out


def columns(rng, law, **how):
    return norm_columns([norm_sums(state) for state in states(rng, law, **how)])


def test_norms_of_float16_are_taken_after_upcasting():
    state = np.full((1, 2, 4), 60000, dtype=np.float16)
    np.testing.assert_allclose(token_norms(state), 2 * np.float64(np.float16(60000)))


def test_huge_norms_stay_finite():
    state = np.full((2, 3, 4), 1e30, dtype=np.float32)  # squares overflow float32
    np.testing.assert_allclose(norm_sums(state), 4e30, rtol=1e-6)


def test_position_0_is_left_out_of_sums():
    state = np.ones((3, 4, 9), dtype=np.float32)
    state[:, 0] = 1e5
    np.testing.assert_array_equal(norm_sums(state), [9.0] * 3)
    assert norm_sums(state, first=0)[0] == 9 + 3e5


def test_summary_speaks_with_and_without_position_0():
    state = np.zeros((2, 3, 1), dtype=np.float32)
    state[..., 0] = [[100, 1, 2], [200, 3, 4]]
    s = norm_summary(state)
    assert (s.largest, s.largest_later, s.smallest_later) == (200, 4, 1)
    assert s.mean_later == 2.5


def test_summary_of_a_single_position_has_no_later_ones():
    assert np.isnan(norm_summary(np.ones((2, 1, 3), dtype=np.float32)).mean_later)


@pytest.mark.parametrize("wrong", [np.ones((2, 3)), np.ones((2, 1, 3))])
def test_sums_need_a_position_that_is_left(wrong):
    with pytest.raises(ValueError, match="position"):
        norm_sums(wrong)


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_no_mix_of_documents_has_a_ratio_beyond_the_support(seed):
    rng = np.random.default_rng(seed)
    c = rng.lognormal(size=(7, 5))
    low, high = ratio_support(c)
    mixes = ratio_to_largest(rng.dirichlet(np.ones(7) / 3, size=200) @ c)
    assert low <= mixes.min() <= mixes.max() <= high


@given(seed=seeds, scale=st.floats(1e-6, 1e6))
@settings(max_examples=20, deadline=None)
def test_rotation_scale_and_order_of_documents_change_nothing(seed, scale):
    rng = np.random.default_rng(seed)
    original = states(rng, lambda i: 10 * 1.2**i)
    turn = np.linalg.qr(rng.standard_normal((D, D)))[0]
    order = rng.permutation(N)
    changed = [(scale * (x[order].astype(np.float64) @ turn)).astype(np.float32) for x in original]
    a, b = (norm_columns([norm_sums(x) for x in xs]).sum(axis=0) for xs in (original, changed))
    assert ratio_to_largest(a[::-1]) == pytest.approx(ratio_to_largest(b[::-1]), rel=1e-5)


def test_the_ratio_of_the_last_norm_is_one_of_means():
    rng = np.random.default_rng(0)
    c = np.stack([rng.uniform(1, 3, 100), rng.uniform(0, 1, 100), rng.uniform(10, 30, 100)], axis=1)
    e = bootstrap_documents(c, ratio_to_largest, rng=rng, support=ratio_support(c))
    assert e.value == pytest.approx(c[:, 0].mean() / c[:, 2].mean())
    assert e.low < 0.1 < e.high


def test_a_ratio_that_is_the_same_in_every_document_is_decided():
    c = np.tile([4.0, 2.0], (N, 1))
    e = bootstrap_documents(c, ratio_to_largest, rng=np.random.default_rng(0), support=ratio_support(c))
    assert Criterion(relation=">", threshold=1.5).holds(e) is True
    assert Criterion(relation=">", threshold=2.5).holds(e) is False
