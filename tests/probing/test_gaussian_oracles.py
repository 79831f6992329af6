"""Classifiers in closed form against those of scikit-learn and scipy."""

import numpy as np
import pytest
from layerclaims.probing import gaussian
from scipy import stats
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

K, D, N = 4, 6, 400


def layers(seed, *, means=2.0):
    """Layers with a mean and a full covariance of their own, [K, N, D]."""
    rng = np.random.default_rng(seed)
    mixes = rng.normal(size=(K, D, D))
    x = np.einsum("knd,kde->kne", rng.normal(size=(K, N, D)), mixes)
    return (x + means * rng.normal(size=(K, 1, D)) + 100).astype(np.float32)


def moments_of(x):
    """As the probes' vectors come: a layer in pieces."""
    return gaussian.layer_moments([[layer[:150], layer[150:]] for layer in x])


@pytest.mark.parametrize("seed", range(3))
def test_moments_are_those_of_numpy_and_the_shrinkage_that_of_scikit_learn(seed):
    x = layers(seed)
    found = moments_of(x)
    for k, layer in enumerate(x.astype(np.float64)):
        np.testing.assert_allclose(found.means[k], layer.mean(0), rtol=1e-5)
        np.testing.assert_allclose(found.covariances[k], np.cov(layer.T, bias=True), rtol=1e-3, atol=1e-3)
        assert found.shrinkages[k] == pytest.approx(ledoit_wolf_shrinkage(layer), rel=1e-2)
    assert found.counts.tolist() == [N] * K


@pytest.mark.parametrize("seed", range(3))
def test_a_shared_covariance_is_scikit_learns_lda(seed):
    x = layers(seed)
    y = np.repeat(np.arange(K), N)
    flat = x.reshape(-1, D)
    oracle = LinearDiscriminantAnalysis(solver="lsqr").fit(flat.astype(np.float64), y)
    moments = moments_of(x)
    assert np.mean(gaussian.shared_covariance(moments).predict(flat) == oracle.predict(flat)) > 0.995
    few = np.array([1, 3, 4])
    oracle.fit(flat[:, few].astype(np.float64), y)
    classifier = gaussian.shared_covariance(moments, few)
    assert np.mean(classifier.predict(flat) == oracle.predict(flat[:, few])) > 0.99
    assert not classifier.weights[[0, 2, 5]].any()


def test_the_nearest_mean_is_nearest_in_deviations_within_a_layer():
    x = layers(0)
    x[..., 0] *= 50
    within = x.var(axis=1).mean(axis=0)
    means = x.mean(axis=1)
    distances = ((x[:, :, None] - means) ** 2 / within).sum(-1)  # [K, N, K]
    found = gaussian.nearest_mean(moments_of(x)).predict(x.reshape(-1, D))
    assert np.mean(found == distances.argmin(-1).ravel()) > 0.995


@pytest.mark.parametrize("seed", range(3))
def test_shapes_are_the_likeliest_of_normal_densities(seed):
    x = layers(seed)
    moments = moments_of(x)
    centred = (x - moments.means[:, None].astype(np.float32)).reshape(-1, D)
    likely = []
    for covariance, share in zip(moments.covariances.astype(np.float64), moments.shrinkages, strict=True):
        shrunk = (1 - share) * covariance + share * np.trace(covariance) / D * np.eye(D)
        likely.append(stats.multivariate_normal(cov=shrunk).logpdf(centred))
    found = gaussian.shapes(moments).predict(centred)
    assert np.mean(found == np.argmax(likely, axis=0)) > 0.999


def test_a_layer_without_vectors_is_refused():
    with pytest.raises(ValueError, match="without vectors"):
        gaussian.layer_moments([[np.zeros((0, 3), dtype=np.float32)]])
