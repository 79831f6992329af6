"""Reductions: the documents of each fold by themselves, so that their differences are independent."""

import sys

import numpy as np
import pytest
from layerclaims.errors import NotTestedError
from layerclaims.experiments.geometry import reduction
from layerclaims.metrics import geometry
from layerclaims.quantities.geometry import advantage_over_tsne
from layerclaims.verdicts.verdict import Verdict

from tests.claims import plants
from tests.claims.synthetic import Drawn, InMemory, gaussian

ROW = "pca-orders-layers-better"


def states():
    rng = np.random.default_rng(0)
    return gaussian(rng, plants.along(np.arange(6.0)[:, None], 6), documents=40, positions=5)


def test_what_one_fold_says_changes_no_other_folds_reduction():
    x = states()
    before = InMemory(x)
    own = before.folds("main") == 2
    x[:, own] += 3
    found, again = (one.values(reduction("PCA")).arrays["centroids"] for one in (before, InMemory(x)))
    assert found.shape == (5, 6, 2)
    changed = [fold for fold in range(5) if not np.allclose(found[fold], again[fold])]
    assert changed == [2]


def test_the_places_of_the_first_folds_sample_are_kept():
    found = InMemory(states()).values(reduction("PCA"))
    assert found.arrays["places"].shape == (6, 32, 2)  # four tokens of each of eight documents
    np.testing.assert_array_equal(found.arrays["places"].mean(axis=1), found.arrays["centroids"][0])
    assert found.facts == {"documents": 8}


def test_each_fold_starts_with_a_seed_of_its_own(monkeypatch):
    seeds = []

    def reduced(vectors, reducer, *, seed):
        seeds.append(seed)
        return np.zeros((*vectors.shape[:2], 2))

    monkeypatch.setattr(geometry, "reduced", reduced)
    InMemory(states(), seed=2**32 - 2).values(reduction("t-SNE"))
    assert len(set(seeds)) == 5
    assert max(seeds) < 2**32


def test_the_interval_is_students_of_the_folds_differences():
    study = plants.ordered(1, 0.15)
    differences = np.array(
        [
            geometry.drift_correlation(pca) - geometry.drift_correlation(tsne)
            for pca, tsne in zip(study._paths["PCA"], study._paths["t-SNE"], strict=True)
        ]
    )
    (found,) = advantage_over_tsne.find(study)
    reach = 2.776445 * differences.std(ddof=1) / 5**0.5
    assert found.estimate.value == pytest.approx(differences.mean())
    assert found.estimate.low == pytest.approx(differences.mean() - reach)
    assert found.estimate.high == pytest.approx(differences.mean() + reach)


def test_paths_without_any_order_are_seldom_decided():
    """Each of both differences is above 0 in one sample of forty at most; that both are is rarer."""
    found = []
    for seed in range(60):
        rng = np.random.default_rng([seed, 9])
        paths = {name: rng.normal(size=(5, 10, 2)) for name in ("PCA", "t-SNE", "UMAP")}
        found.append(Drawn(seed=seed, labels=10, paths=paths).judge(ROW).verdict)
    assert found.count(Verdict.REPLICATED) <= 3


def test_without_umap_the_row_is_not_tested(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(NotTestedError, match="UMAP is not installed"):
        plants.ordered(0, 0.5).judge(ROW)
