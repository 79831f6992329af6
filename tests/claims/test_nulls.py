"""Null models: each lacks the structure that it is said to lack, and the package carries what they do."""

from functools import cache

import numpy as np
import pytest
from layerclaims.verdicts import nulls as table
from layerclaims.verdicts.registry import post_claims
from layerclaims.verdicts.verdict import Verdict

from tests.claims import nulls
from tests.claims.nulls import DOCUMENTS, NOT_DRAWN, NULLS, ROWS, STATES

KEPT = nulls.read()
LIKE = nulls.profile(KEPT["profile"])
LENS = "unembedding-fits-the-last-layer-only"
D = 64
R, N = Verdict.REPLICATED, Verdict.NOT_REPLICATED


@cache
def many(null):
    """Vectors of a null model [STATES, documents, positions, D]."""
    return NULLS[null](np.random.default_rng(3), LIKE, D)


@cache
def study(null):
    return nulls.drawn(null, 0, LIKE, D)


def means(x):
    return x.mean((1, 2))


def spreads(x):
    return np.sqrt(((x - means(x)[:, None, None]) ** 2).sum(-1).mean((1, 2)))


def lengths(centres):
    return np.linalg.norm(np.diff(centres, axis=0), axis=1)


def error(x):
    """How far a mean of a layer may lie from the truth."""
    return 5 * LIKE.spreads.max() / np.sqrt(x.shape[1] * x.shape[2])


# --- what the null models are made of


def test_the_profile_keeps_distances_and_spreads():
    rng = np.random.default_rng(1)
    states = [rng.normal(3 * i, 1 + i, size=(40, 5, 30)) for i in range(4)]
    for state in states:
        state[:, 0] = 1e6  # position 0, which does not count
    found = nulls.profile_of(states)
    centres = np.array([state[:, 1:].mean((0, 1)) for state in states])
    np.testing.assert_allclose(found.means @ found.means.T, centres @ centres.T)
    np.testing.assert_allclose(
        found.spreads, [np.sqrt(state[:, 1:].var((0, 1)).sum()) for state in states], rtol=1e-9
    )


def test_a_random_walk_has_the_models_step_lengths_and_spreads():
    x = many("random walk")
    np.testing.assert_allclose(lengths(means(x)), lengths(LIKE.means), atol=2 * error(x))
    np.testing.assert_allclose(spreads(x), LIKE.spreads, rtol=0.05)


def test_a_random_walk_turns_at_random():
    """The cosines of two steps are those of random directions."""
    steps = np.diff(nulls.random_walk(np.random.default_rng(4), quiet(), D)[:, 0, 0], axis=0)
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    cosines = (steps @ steps.T)[np.triu_indices(len(steps), 1)]
    assert abs(cosines.mean()) < 0.1
    assert cosines.std() == pytest.approx(1 / np.sqrt(D), rel=0.5)


def quiet():
    """The profile without any spread, so that vectors are their layer's mean."""
    return nulls.Profile(means=LIKE.means, spreads=np.zeros(STATES))


def test_random_points_lie_as_far_from_the_origin_as_the_models_means():
    x = nulls.random_points(np.random.default_rng(5), quiet(), D)[:, 0, 0]
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), np.linalg.norm(LIKE.means, axis=1))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    assert np.abs((x @ x.T)[np.triu_indices(STATES, 1)]).max() < 0.6
    np.testing.assert_allclose(spreads(many("random points")), LIKE.spreads, rtol=0.05)


def test_means_only_are_the_models_means_and_one_spread():
    x = nulls.means_only(np.random.default_rng(6), quiet(), D)[:, 0, 0]
    np.testing.assert_allclose(x @ x.T, LIKE.means @ LIKE.means.T, atol=1e-6 * np.abs(LIKE.means).max() ** 2)
    found = spreads(many("means only"))
    assert found.max() / found.min() < 1.1
    assert np.mean(found**2) == pytest.approx(np.mean(LIKE.spreads**2), rel=0.05)


def test_vectors_are_alike_in_all_directions_and_independent():
    x = many("means only")
    x = (x - means(x)[:, None, None]) / spreads(x)[:, None, None, None] * np.sqrt(D)
    np.testing.assert_allclose(x.var((0, 1, 2)), 1, atol=0.15)
    for other in (np.roll(x, 1, axis=0), np.roll(x, 1, axis=1), np.roll(x, 1, axis=2)):
        assert abs((x * other).mean()) < 0.01


def test_shuffled_labels_leave_the_vectors_of_a_token_and_nothing_of_its_layers():
    ordered = nulls.means_only(np.random.default_rng(7), LIKE, D)
    x = nulls.shuffled_labels(np.random.default_rng(7), LIKE, D)
    np.testing.assert_array_equal(np.sort(x[..., 0], axis=0), np.sort(ordered[..., 0], axis=0))
    places = (x[:, None, ..., 0] == ordered[None, ..., 0]).mean((2, 3))  # [layer, layer it came from]
    np.testing.assert_allclose(places, 1 / STATES, atol=0.05)


# --- what they do under the rules


@pytest.mark.parametrize(
    ("row", "null", "expected"),
    [
        ("layers-linearly-separable", "means only", R),
        ("layers-linearly-separable", "shuffled labels", N),
        ("layer-means-suffice", "means only", R),
        ("layers-differ-beyond-their-means", "means only", N),
        ("each-layer-uses-a-subspace", "random walk", N),
    ],
)
def test_what_a_row_makes_of_a_null_model(row, null, expected):
    assert nulls.judged(study(null), row)[0] is expected


def test_a_random_walk_passes_the_drift_in_most_draws():
    (found,) = [one for one in table.passed("pca-shows-drift") if one["name"] == "random walk"]
    assert found["passed"] > 0.5


# --- the table


def test_every_row_has_null_models_or_a_reason_why_not():
    assert set(post_claims()) | {LENS} == set(ROWS) | set(NOT_DRAWN)
    assert not set(ROWS) & set(NOT_DRAWN)
    assert all(reason.endswith(".") for reason in NOT_DRAWN.values())


def test_the_table_has_every_row_and_every_null_model():
    assert list(KEPT["rows"]) == list(ROWS)
    for row, found in KEPT["rows"].items():
        assert list(found) == list(NULLS)
        for one in found.values():
            assert one["draws"] == ROWS[row].draws
            assert 0 <= one["replicated"] <= one["draws"] - one["not_replicated"]


@pytest.mark.parametrize("null", NULLS)
@pytest.mark.parametrize(
    "row",
    ["pca-shows-drift", "layer-zero-closes-a-ring", "last-layer-norm-dominates", "layers-linearly-separable",
     "layers-differ-beyond-their-means"],
)  # fmt: skip
def test_what_was_drawn_is_what_the_row_does_now(row, null):
    verdict, estimate = nulls.judged(study(null), row)
    assert ROWS[row].dimensions == D
    assert [str(verdict), pytest.approx(estimate, abs=1e-4)] == KEPT["rows"][row][null]["first"]


def test_the_page_says_what_the_package_says():
    assert (nulls.DOCS / "nulls.md").read_text(encoding="utf-8") == nulls.page(KEPT)


def test_the_package_says_the_share_that_passes():
    for one in table.passed("pca-shows-drift"):
        kept = KEPT["rows"]["pca-shows-drift"][one["name"]]
        assert one == {
            "name": one["name"], "passed": kept["replicated"] / kept["draws"], "draws": kept["draws"],
        }  # fmt: skip
    assert table.passed("punctuation-explains-the-drop") == table.passed("no-such-row") == []


def test_documents_of_the_other_corpus_are_others():
    found = study("random walk")
    main, transfer = (found.store(role).state(3) for role in ("main", "transfer"))
    assert main.shape[0] == transfer.shape[0] == DOCUMENTS
    assert not np.isin(transfer[..., 0], main[..., 0]).any()
