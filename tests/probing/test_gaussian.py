"""Classifiers in closed form: planted means and shapes are told apart, and scikit-learn gives the same answers."""

import numpy as np
import pytest
from layerclaims.probing import gaussian
from layerclaims.probing.gaussian import Likelihoods
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.neighbors import NearestCentroid

DOCUMENTS, POSITIONS = 150, 6
N = DOCUMENTS * POSITIONS


def drawn(rng, means, factors, documents=DOCUMENTS):
    """Layers [documents, positions, d], normal around means [K, d] with covariances F_k F_k', factors [K, d, d]."""
    normal = rng.standard_normal((len(means), documents, POSITIONS, means.shape[1]))
    x = np.einsum("knpd,ked->knpe", normal, factors) + means[:, None, None]
    return [[layer.astype(np.float32)] for layer in x]


def turned(rng, d, k, sizes):
    """Factors [K, d, d] of covariances with the same eigenvalues, in axes of their own."""
    return np.stack([np.linalg.qr(rng.standard_normal((d, d)))[0] * np.sqrt(sizes) for _ in range(k)])


def flat(layers):
    x = np.concatenate([piece.reshape(-1, piece.shape[-1]) for pieces in layers for piece in pieces])
    return x, np.repeat(np.arange(len(layers)), len(x) // len(layers))


def likelihoods(layers, at, asked, own):
    """Of vectors asked for [n, d], whose own layers are `own` [n]."""
    x = np.stack([at.centred(one[None], int(k))[0] for one, k in zip(asked, own, strict=True)])
    found = [gaussian.shape(pieces, at, k) for k, pieces in enumerate(layers)]
    return Likelihoods(
        forms=np.stack([one.forms(x) for one in found], axis=1),
        log_determinants=np.array([one.log_determinant for one in found]),
        sizes=np.array([one.size for one in found]),
        d=x.shape[1],
    )


def accuracy_of_shapes(rng, means, factors, **how):
    layers, others = drawn(rng, means, factors, **how), drawn(rng, means, factors)
    asked, own = flat(others)
    found = likelihoods(layers, gaussian.places(layers), asked, own)
    return [(labels == own).mean() for labels in (found.likeliest(), found.likeliest_of_one_size(own))]


@pytest.mark.parametrize("wide", [1.0, 50.0])
@pytest.mark.parametrize("documents", [8, DOCUMENTS])
def test_layers_of_one_place_and_their_own_axes_are_told_apart(wide, documents):
    """Also where one dimension is fifty times as wide as the others, and where vectors are hardly more than d."""
    rng = np.random.default_rng(0)
    factors = turned(rng, 24, 4, np.geomspace(1, 0.02, 24))
    factors[:, 3] *= wide
    accuracy, of_one_size = accuracy_of_shapes(rng, np.zeros((4, 24)), factors, documents=documents)
    assert accuracy > (0.9 if documents == DOCUMENTS else 0.6)
    assert of_one_size > (0.9 if documents == DOCUMENTS else 0.6)


def test_layers_that_differ_by_place_alone_are_not_told_apart_by_shape():
    rng = np.random.default_rng(1)
    means = 20 * rng.standard_normal((4, 12))
    factors = np.stack([turned(rng, 12, 1, np.geomspace(1, 0.1, 12))[0]] * 4)
    for accuracy in accuracy_of_shapes(rng, means, factors):
        assert accuracy == pytest.approx(0.25, abs=0.06)


def test_layers_that_differ_by_size_alone_are_told_apart_until_they_have_one_size():
    rng = np.random.default_rng(2)
    factors = np.stack([np.eye(12) * size for size in (1.0, 2.0, 4.0)])
    accuracy, of_one_size = accuracy_of_shapes(rng, np.zeros((3, 12)), factors)
    assert accuracy > 0.9
    assert of_one_size == pytest.approx(1 / 3, abs=0.06)


@pytest.mark.parametrize("documents", [3, 20, DOCUMENTS])
def test_a_covariance_is_shrunk_as_scikit_learn_shrinks_it(documents):
    """Features over their deviations, around the layer's mean."""
    rng = np.random.default_rng(3)
    layers = drawn(
        rng, rng.standard_normal((2, 20)), turned(rng, 20, 2, np.geomspace(1, 0.01, 20)), documents
    )
    at = gaussian.places(layers)
    (x,) = layers[1]
    z = (x.reshape(-1, 20) - at.means[1]) / at.deviations
    oracle = LedoitWolf(assume_centered=True).fit(z)
    found = gaussian.shape(layers[1], at, 1)
    assert found.shrinkage == pytest.approx(oracle.shrinkage_, rel=1e-3)
    np.testing.assert_allclose(found.factor @ found.factor.T, oracle.covariance_, atol=1e-4)
    assert found.log_determinant == pytest.approx(np.linalg.slogdet(oracle.covariance_)[1], abs=1e-3)
    np.testing.assert_allclose(found.forms(z[:5].astype(np.float32)),
                               np.einsum("nd,de,ne->n", z[:5], oracle.precision_, z[:5]), rtol=1e-3)  # fmt: skip


def test_the_likeliest_shape_is_that_of_shrunk_normal_distributions():
    rng = np.random.default_rng(4)
    means, factors = 3 * rng.standard_normal((3, 10)), turned(rng, 10, 3, np.geomspace(1, 0.1, 10))
    layers, others = drawn(rng, means, factors, 10), drawn(rng, means, factors, 10)
    at = gaussian.places(layers)
    asked, own = flat(others)
    z = (asked - at.means[own]) / at.deviations
    trained = [(flat([pieces])[0] - at.means[k]) / at.deviations for k, pieces in enumerate(layers)]
    oracle = np.stack(
        [multivariate_normal(cov=LedoitWolf(assume_centered=True).fit(x).covariance_).logpdf(z) for x in trained],
        axis=1,
    )  # fmt: skip
    found = likelihoods(layers, at, asked, own)
    assert (found.likeliest() == oracle.argmax(axis=1)).mean() > 0.99
    # of one size: vectors and shapes over the root of their layer's mean variance
    sizes = np.array([np.sqrt((x**2).mean()) for x in trained])
    shrunk = [
        LedoitWolf(assume_centered=True).fit(x / s).covariance_ for x, s in zip(trained, sizes, strict=True)
    ]
    z = z / sizes[own][:, None]
    oracle = np.stack([multivariate_normal(cov=one).logpdf(z) for one in shrunk], axis=1)
    assert (found.likeliest_of_one_size(own) == oracle.argmax(axis=1)).mean() > 0.99


def test_with_many_vectors_a_quadratic_classifier_of_scikit_learn_is_as_right():
    rng = np.random.default_rng(5)
    means, factors = 5 * rng.standard_normal((3, 8)), turned(rng, 8, 3, np.geomspace(1, 0.05, 8))
    layers, others = drawn(rng, means, factors), drawn(rng, means, factors)
    at = gaussian.places(layers)
    (x, y), (asked, own) = flat(layers), flat(others)
    oracle = QuadraticDiscriminantAnalysis(priors=[1 / 3] * 3, reg_param=1e-4)
    named = oracle.fit(x - at.means[y], y).predict(asked - at.means[own])
    found = likelihoods(layers, at, asked, own).likeliest()
    assert (found == own).mean() == pytest.approx((named == own).mean(), abs=0.01)
    assert (found == named).mean() > 0.97


def test_lda_and_nearest_means_are_those_of_scikit_learn():
    rng = np.random.default_rng(6)
    means = 0.6 * rng.standard_normal((4, 10))
    factors = np.stack([turned(rng, 10, 1, np.geomspace(1, 0.1, 10))[0]] * 4)
    factors[:, 2] *= 30  # one wide feature
    layers = drawn(rng, means, factors)
    (x, y), (asked, own) = flat(layers), flat(drawn(rng, means, factors))
    at = gaussian.places(layers)
    covariance = np.mean([gaussian.shape(p, at, k).covariance for k, p in enumerate(layers)], axis=0)
    named = gaussian.shared_covariance(at, covariance).predict(asked)
    oracle = LinearDiscriminantAnalysis(solver="lsqr", priors=[0.25] * 4).fit(x, y)
    assert (named == oracle.predict(asked)).mean() > 0.99
    assert (named == own).mean() > 0.5
    few = np.array([7, 1, 4])
    oracle = LinearDiscriminantAnalysis(solver="lsqr", priors=[0.25] * 4).fit(x[:, few], y)
    found = gaussian.shared_covariance(at, covariance, few)
    assert (found.predict(asked) == oracle.predict(asked[:, few])).mean() > 0.99
    assert set(np.flatnonzero(found.weights.any(axis=1))) == set(few)
    within = np.sqrt(np.mean([x[y == k].var(axis=0) for k in range(4)], axis=0))
    nearest = NearestCentroid().fit(x / within, y)
    assert (gaussian.nearest_mean(at).predict(asked) == nearest.predict(asked / within)).mean() > 0.99


def test_a_layer_may_come_in_pieces_and_far_from_the_origin():
    rng = np.random.default_rng(7)
    (whole,) = drawn(rng, 1000 + np.zeros((1, 6)), turned(rng, 6, 1, np.ones(6)))
    pieces = [whole[0][:40], whole[0][40:]]
    at, of_pieces = gaussian.places([whole]), gaussian.places([pieces])
    np.testing.assert_allclose(of_pieces.means, at.means)
    np.testing.assert_allclose(of_pieces.deviations, at.deviations, rtol=1e-5)
    np.testing.assert_allclose(at.deviations, whole[0].astype(np.float64).std(axis=(0, 1)), rtol=1e-4)
    np.testing.assert_allclose(
        gaussian.shape(pieces, at, 0).covariance, gaussian.shape(whole, at, 0).covariance, atol=1e-5
    )


def test_features_that_are_constant_and_a_layer_that_does_not_vary_are_no_fault():
    rng = np.random.default_rng(8)
    layers = drawn(rng, np.zeros((3, 6)), np.stack([np.eye(6)] * 3))
    for (layer,) in layers:
        layer[..., 2] = 7.0
    layers[1][0][:] = 7.0
    at = gaussian.places(layers)
    assert at.varying.tolist() == [0, 1, 3, 4, 5]
    asked, own = flat(layers)
    found = likelihoods(layers, at, asked, own)
    assert np.isfinite(found.forms).all()
    assert (found.likeliest()[own == 1] == 1).all(), "a point is where it is"
    assert set(found.likeliest_of_one_size(own)) <= {0, 1, 2}
    covariance = np.mean([gaussian.shape(p, at, k).covariance for k, p in enumerate(layers)], axis=0)
    for linear in (gaussian.nearest_mean(at), gaussian.shared_covariance(at, covariance, np.arange(3))):
        assert np.isfinite(linear.weights).all()
        assert not linear.weights[2].any()


def test_a_feature_that_only_names_the_layer_is_read_by_means_and_has_no_shape():
    rng = np.random.default_rng(9)
    layers = drawn(rng, np.zeros((3, 6)), np.stack([np.eye(6)] * 3))
    for k, (layer,) in enumerate(layers):
        layer[..., 2] = 5.0 + k
    at = gaussian.places(layers)
    asked, own = flat(layers)
    covariance = np.mean([gaussian.shape(p, at, k).covariance for k, p in enumerate(layers)], axis=0)
    assert (gaussian.shared_covariance(at, covariance).predict(asked) == own).all()
    assert (gaussian.nearest_mean(at).predict(asked) == own).mean() > 0.5
    assert (likelihoods(layers, at, asked, own).likeliest() == own).mean() < 0.45


def test_layers_that_do_not_vary_at_all_have_no_shape_to_be_told_by():
    layers = [[np.full((4, 3, 5), float(k), dtype=np.float32)] for k in range(3)]
    at = gaussian.places(layers)
    asked, own = flat(layers)
    assert (gaussian.nearest_mean(at).predict(asked) == own).all()
    assert (gaussian.shared_covariance(at, np.zeros((0, 0))).predict(asked) == own).all()
    assert (likelihoods(layers, at, asked, own).likeliest() == own).mean() == pytest.approx(1 / 3)


def test_a_layer_without_vectors_is_refused():
    with pytest.raises(ValueError, match="without vectors"):
        gaussian.places([[np.zeros((0, 4, 3), dtype=np.float32)]])
