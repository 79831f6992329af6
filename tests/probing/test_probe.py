"""The layer probe against scikit-learn run to convergence, and its certificate against the true optimum."""

from concurrent.futures import ThreadPoolExecutor

import layerclaims.probing.objective
import layerclaims.probing.probe
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from layerclaims.probing.objective import Objective, TrainingSet, Value
from layerclaims.probing.probe import TOLERANCE, LayerProbe, Probe
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler


def blobs(seed, *, n=600, d=12, k=5, spread=1.0, shift=0.0, scale=None):
    """Gaussian classes around random centres: X float32 [n, d], y [n]."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    X = spread * rng.standard_normal((k, d))[y] + rng.standard_normal((n, d))
    if scale is not None:
        X = X * scale
    return np.ascontiguousarray(X + shift, dtype=np.float32), y


def oracle(X, y, l2):
    """scikit-learn's minimum of the same objective: sum of losses * C + |W|^2 / 2, so C = 1 / (n l2)."""
    scaler = StandardScaler().fit(X.astype(np.float64))
    model = LogisticRegression(C=1 / (len(X) * l2), tol=1e-9, max_iter=20_000)
    model.fit(scaler.transform(X.astype(np.float64)), y)
    return scaler, model


def objective(weights, bias, Z, y, l2):
    logits = Z @ weights + bias
    top = logits.max(1, keepdims=True)
    log_p = logits - top - np.log(np.exp(logits - top).sum(1, keepdims=True))
    return -log_p[np.arange(len(y)), y].mean() + l2 / 2 * (weights**2).sum()


def gap_above(best: Probe, probe: Probe, X, y, l2=1e-4):
    """How far a probe's objective lies above the best one's, relative to it."""
    Z = standardised(best, X)
    lowest = objective(best.weights, best.bias, Z, y, l2)
    return objective(probe.weights, probe.bias, Z, y, l2) / lowest - 1


def standardised(probe: Probe, X):
    x = X.astype(np.float64)
    if probe.unit:
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
    return (x - probe.mean) / probe.sd


class TestOptimum:
    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize("l2", [1e-3, 1e-1])
    def test_is_that_of_scikit_learn(self, seed, l2):
        X, y = blobs(seed)
        scaler, model = oracle(X, y, l2)
        probe = LayerProbe(l2=l2, tolerance=1e-9, max_iterations=2000).fit(X, y)
        theirs = model.coef_.T - model.coef_.T.mean(1, keepdims=True)
        np.testing.assert_allclose(probe.weights, theirs, atol=2e-3 * np.abs(theirs).max())
        Z = scaler.transform(X.astype(np.float64))
        mine = objective(probe.weights, probe.bias, Z, y, l2)
        assert mine <= objective(model.coef_.T, model.intercept_, Z, y, l2) * (1 + 1e-6)

    @pytest.mark.parametrize("shift", [0.0, 1e3])
    def test_does_not_move_with_the_origin_or_the_units_of_a_feature(self, shift):
        scale = np.geomspace(1e-3, 1e3, 12)
        X, y = blobs(0)
        moved = np.ascontiguousarray(X.astype(np.float64) * scale + shift * scale, dtype=np.float32)
        one, other = (LayerProbe(l2=1e-2, tolerance=1e-8, max_iterations=1000).fit(x, y) for x in (X, moved))
        np.testing.assert_allclose(one.weights, other.weights, atol=1e-3)
        assert (one.predict(X) == other.predict(moved)).mean() > 0.99

    def test_is_the_same_for_unit_vectors_made_before_and_by_the_probe(self):
        X, y = blobs(1, shift=0.5)
        X *= np.random.default_rng(1).uniform(0.5, 500, (len(X), 1)).astype(np.float32)
        unit = np.ascontiguousarray(X / np.linalg.norm(X, axis=1, keepdims=True))
        probe = LayerProbe(l2=1e-3, tolerance=1e-8, max_iterations=1000)
        one, other = probe.fit(X, y, unit=True), probe.fit(unit, y)
        np.testing.assert_allclose(one.weights, other.weights, atol=2e-3)
        np.testing.assert_array_equal(one.predict(X), other.predict(unit))

    def test_of_some_rows_is_that_of_a_copy_of_them(self):
        X, y = blobs(2, n=5000)
        rows = [slice(0, 1500), slice(2100, 5000)]
        part = np.r_[0:1500, 2100:5000]
        probe = LayerProbe(l2=1e-3, tolerance=1e-8, max_iterations=1000)
        one = probe.fit(X, y, rows=rows)
        other = probe.fit(np.ascontiguousarray(X[part]), y[part])
        np.testing.assert_allclose(one.weights, other.weights, atol=1e-3)

    def test_survives_massive_first_positions(self):
        X, y = blobs(3, n=3000, spread=3.0)
        X[::30, :2] += 1e5  # norms above what float16 holds, in few dimensions, as models have them
        probe = LayerProbe().fit(X, y)
        assert np.isfinite(probe.weights).all()
        assert (probe.predict(X) == y).mean() > 0.8

    def test_is_bitwise_the_same_again(self):
        X, y = blobs(4)
        one, other = LayerProbe().fit(X, y), LayerProbe().fit(X, y)
        np.testing.assert_array_equal(one.weights, other.weights)


class TestCertificate:
    @pytest.mark.parametrize("seed", range(6))
    def test_gap_is_true_at_the_default_tolerance(self, seed):
        X, y = blobs(seed, n=7000, d=40, k=20, spread=0.6, scale=np.geomspace(0.01, 100, 40))
        test_X, test_y = X[3000:], y[3000:]
        X, y = np.ascontiguousarray(X[:3000]), y[:3000]
        rough, exact = LayerProbe().fit(X, y), LayerProbe(tolerance=1e-8, max_iterations=5000).fit(X, y)
        assert rough.certificate.converged
        assert rough.certificate.relative_gap <= LayerProbe().tolerance
        Z = standardised(exact, X)
        best = objective(exact.weights, exact.bias, Z, y, 1e-4)
        gap = objective(rough.weights, rough.bias, Z, y, 1e-4) / best - 1
        assert gap <= 2 * LayerProbe().tolerance
        loss = (exact.predict(test_X) == test_y).mean() - (rough.predict(test_X) == test_y).mean()
        assert abs(loss) <= 0.004

    def test_says_so_when_the_fit_was_cut_short(self):
        X, y = blobs(0, d=40, k=20, scale=np.geomspace(0.01, 100, 40))
        certificate = LayerProbe(max_iterations=3).fit(X, y).certificate
        assert not certificate.converged
        assert certificate.iterations == 3
        assert certificate.relative_gap > 0.002

    def test_is_perfect_where_there_is_nothing_to_learn(self):
        X = np.ones((60, 4), dtype=np.float32)
        probe = LayerProbe().fit(X, np.tile(np.arange(3), 20))
        assert probe.certificate.converged
        np.testing.assert_allclose(probe.weights, 0, atol=1e-9)


class TestProgress:
    """What is left by the estimate, of progress whose end is known."""

    @staticmethod
    def estimate(gaps, floor=1.0):
        progress = layerclaims.probing.probe._Progress(
            l2=1e-12, tolerance=1e-9, values=[floor + gap for gap in gaps]
        )
        return progress.gap(Value(value=floor, gradient=np.ones(1), gradient_norm=1.0)) * floor

    @pytest.mark.parametrize("power", [0.3, 0.5, 1, 1.3])
    @pytest.mark.parametrize("seen", [40, 100, 400])
    def test_is_right_of_a_power_of_the_iterations(self, power, seen):
        gaps = np.maximum(np.arange(seen + 1.0), 0.5) ** -power
        assert self.estimate(gaps) == pytest.approx(gaps[-1], rel=0.05)

    @pytest.mark.parametrize("rate", [0.8, 0.9, 0.98])
    def test_is_at_least_what_is_left_where_progress_is_geometric(self, rate):
        gaps = rate ** np.arange(60.0)
        assert gaps[-1] <= self.estimate(gaps)

    def test_is_at_least_what_is_left_where_a_power_is_quicker(self):
        gaps = np.maximum(np.arange(61.0), 0.5) ** -2
        assert gaps[-1] <= self.estimate(gaps) < 3 * gaps[-1]

    def test_knows_nothing_of_progress_that_gathers_speed_or_was_short(self):
        assert self.estimate(1 - np.linspace(0, 0.9, 40) ** 2) > 1e3
        assert self.estimate(0.5 ** np.arange(8.0)) > 1e3

    def test_is_nothing_where_nothing_goes_down(self):
        assert self.estimate(np.zeros(30)) == 0


class TestTogether:
    FOLDS = ((slice(0, 400), slice(800, 2000)), (slice(0, 1200),), (slice(400, 2000),))

    @pytest.mark.parametrize("unit", [False, True])
    def test_each_probe_is_the_one_that_it_would_be_alone(self, unit):
        X, y = blobs(7, n=2000, shift=0.5)
        labels = [y, y, np.random.default_rng(7).permutation(y)]  # the third has a label set of its own
        # a gap of 1e-8 puts weights within sqrt(2 gap objective / l2) = .0014 of the optimum, all together
        probe = LayerProbe(l2=1e-2, tolerance=1e-8, max_iterations=2000)
        sets = [TrainingSet(rows=rows, y=own) for rows, own in zip(self.FOLDS, labels, strict=True)]
        together = probe.fit_together(X, sets, unit=unit, n_labels=5)
        for one, rows, own in zip(together, self.FOLDS, labels, strict=True):
            alone = probe.fit(X, own, rows=rows, unit=unit, n_labels=5)
            assert one.certificate.converged
            np.testing.assert_allclose(one.mean, alone.mean, atol=1e-6)  # means near 0
            np.testing.assert_allclose(one.sd, alone.sd, rtol=1e-6)
            np.testing.assert_allclose(one.weights, alone.weights, atol=1e-3)
            np.testing.assert_allclose(one.bias, alone.bias, atol=1e-3)

    def test_a_row_outside_every_set_is_never_read(self):
        X, y = blobs(8, n=2000)
        sets = [TrainingSet(rows=[slice(0, 700)], y=y), TrainingSet(rows=[slice(500, 1500)], y=y)]
        clean = LayerProbe().fit_together(X, sets, n_labels=5)
        X[1500:] = np.nan
        for one, other in zip(clean, LayerProbe().fit_together(X, sets, n_labels=5), strict=True):
            np.testing.assert_array_equal(one.weights, other.weights)

    def test_each_certificate_is_true_of_its_own_probe(self):
        X, y = blobs(9, n=3000, d=40, k=20, spread=0.6, scale=np.geomspace(0.01, 100, 40))
        noise = np.random.default_rng(9).permutation(y)  # far from its optimum for another number of steps
        rows = [slice(0, 3000)]
        exact = LayerProbe(tolerance=1e-8, max_iterations=5000)
        sets = [TrainingSet(rows=rows, y=labels) for labels in (y, noise)]
        for labels, probe in zip((y, noise), LayerProbe().fit_together(X, sets, n_labels=20), strict=True):
            assert probe.certificate.converged
            assert gap_above(exact.fit(X, labels), probe, X, labels) <= 2 * LayerProbe().tolerance

    def test_is_bitwise_the_same_again(self):
        X, y = blobs(10, n=2000)
        sets = [TrainingSet(rows=rows, y=y) for rows in self.FOLDS]
        one, other = (LayerProbe().fit_together(X, sets, n_labels=5) for _ in range(2))
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a.weights, b.weights)

    def test_is_bitwise_the_same_on_any_number_of_cores(self):
        X, y = blobs(10, n=20_000)
        sets = [TrainingSet(rows=rows, y=y) for rows in ([slice(0, 15_000)], [slice(5000, 20_000)])]
        before, found = torch.get_num_threads(), []
        try:
            for threads in (1, 3):
                torch.set_num_threads(threads)
                found.append(LayerProbe().fit_together(X, sets, unit=True, n_labels=5))
                assert torch.get_num_threads() == threads
        finally:
            torch.set_num_threads(before)
        for a, b in zip(*found, strict=True):
            np.testing.assert_array_equal(a.weights, b.weights)

    def test_one_that_has_converged_waits_for_no_other(self):
        X, y = blobs(9, n=3000, d=40, k=20, spread=0.6, scale=np.geomspace(0.01, 100, 40))
        easy = y % 2
        sets = [TrainingSet(rows=[slice(0, 3000)], y=labels) for labels in (y, easy)]
        hard, quick = LayerProbe().fit_together(X, sets, n_labels=20)
        assert quick.certificate.iterations < hard.certificate.iterations

    def test_a_set_that_grows_goes_on_from_the_smaller_one(self):
        X, y = blobs(12, n=6000, d=40, k=20, spread=0.6, scale=np.geomspace(0.01, 100, 40))
        exact = LayerProbe(tolerance=1e-8, max_iterations=5000)
        series = [
            [TrainingSet(rows=[slice(start, start + n)], y=y) for n in (1000, 2000, 4000)]
            for start in (0, 1500)
        ]
        found = LayerProbe().fit_growing(X, series, n_labels=20)
        for grown, probes in zip(series, found, strict=True):
            for one, probe in zip(grown, probes, strict=True):
                (rows,) = one.rows
                part = np.ascontiguousarray(X[rows]), y[rows]
                assert probe.certificate.converged
                np.testing.assert_allclose(probe.mean, part[0].mean(0), atol=1e-3, rtol=1e-3)
                assert gap_above(exact.fit(*part), probe, *part) <= LayerProbe().tolerance
            alone = LayerProbe().fit(X, y, rows=grown[-1].rows, n_labels=20)
            assert probes[-1].certificate.iterations < alone.certificate.iterations

    def test_a_feature_that_is_constant_in_one_set_only_has_no_weight_there(self):
        X, y = blobs(13, n=2000)
        X[:500, 0] = 3.0
        series = [[TrainingSet(rows=[slice(0, n)], y=y) for n in (500, 2000)]]
        ((first, second),) = LayerProbe().fit_growing(X, series, n_labels=5)
        assert not first.weights[0].any()
        assert second.weights[0].any()
        assert first.certificate.converged
        np.testing.assert_allclose(first.weights, LayerProbe().fit(X[:500], y[:500]).weights, atol=0.05)

    def test_an_empty_set_is_refused(self):
        X, y = blobs(0)
        with pytest.raises(ValueError, match="at least one"):
            LayerProbe().fit_together(
                X, [TrainingSet(rows=[slice(0, 9)], y=y), TrainingSet(rows=[], y=y)], n_labels=5
            )


class TestRounding:
    """bfloat16 products on samples; every processor can compute them, fast or not."""

    @pytest.fixture(autouse=True)
    def rounding(self, monkeypatch):
        monkeypatch.setattr(layerclaims.probing.objective, "LARGE", 0)
        monkeypatch.setattr(layerclaims.probing.objective, "BLOCK", 256)
        monkeypatch.setattr(layerclaims.probing.probe, "multiplies_bfloat16", lambda: True)

    @pytest.mark.parametrize("unit", [False, True])
    @pytest.mark.parametrize("seed", range(3))
    def test_changes_no_answer_to_speak_of(self, seed, unit, monkeypatch):
        X, y = blobs(seed, n=6000, d=40, k=20, spread=0.6, shift=3.0, scale=np.geomspace(0.01, 100, 40))
        ranges = [slice(0, 5000), slice(500, 5000)]
        sets = [TrainingSet(rows=[rows], y=y) for rows in ranges]
        rounded = LayerProbe().fit_together(X, sets, unit=unit, n_labels=20)
        monkeypatch.setattr(layerclaims.probing.objective, "SAMPLES", ())
        exact = LayerProbe(tolerance=1e-6, max_iterations=5000).fit_together(X, sets, unit=unit, n_labels=20)
        for one, other, rows in zip(rounded, exact, ranges, strict=True):
            assert one.certificate.converged
            right, best = (np.mean(p.predict(X[5000:]) == y[5000:]) for p in (one, other))
            assert right == pytest.approx(best, abs=0.01)  # 10 of 1,000
            assert gap_above(other, one, X[rows], y[rows]) <= 2 * TOLERANCE

    def test_is_of_samples_only(self, monkeypatch):
        seen = set()

        class Watched(Objective):
            def _features(self, block, rounded):
                x = super()._features(block, rounded)
                seen.add((rounded, x.dtype))
                if not rounded:
                    assert not any(
                        one.kept for blocks in self.blocks.values() for one in blocks
                    )  # their memory is free again
                return x

        monkeypatch.setattr(layerclaims.probing.probe, "Objective", Watched)
        LayerProbe().fit(*blobs(9, n=4000))
        assert seen == {(True, torch.bfloat16), (False, torch.float32)}


def test_no_error_is_smaller_than_a_float32_can_normally_be(monkeypatch):
    products = []
    multiply = torch.Tensor.__matmul__

    def watched(a, b):
        products.append(a)
        return multiply(a, b)

    X, y = blobs(0, d=3, k=2, spread=0.01)
    monkeypatch.setattr(torch.Tensor, "__matmul__", watched)
    with ThreadPoolExecutor(1) as pool:
        objective = Objective(
            X, [TrainingSet(rows=[slice(0, len(X))], y=y)], unit=False, n_labels=2, l2=1e-4,
            standardise=True, rounds=False, pool=pool,
        )  # fmt: skip
        products.clear()
        far = np.zeros((4, 2))
        far[-1] = 95 / np.sqrt(2), 0  # a bias of 95, by which one label has a probability of 5e-42
        objective({0: far.ravel()})
    errors = torch.cat([one.flatten().abs() for one in products])
    assert not ((errors > 0) & (errors < torch.finfo(torch.float32).tiny)).any()
    assert (errors > 0).any()


class TestSamples:
    """A start on samples of the rows, as large training sets have it."""

    @pytest.fixture(autouse=True)
    def small(self, monkeypatch):
        monkeypatch.setattr(layerclaims.probing.objective, "LARGE", 0)
        monkeypatch.setattr(layerclaims.probing.objective, "BLOCK", 256)  # some to choose from

    @pytest.mark.parametrize("unit", [False, True])
    @pytest.mark.parametrize("seed", range(2))
    def test_leads_to_the_same_optimum_under_a_certificate_that_is_true(self, seed, unit):
        X, y = blobs(seed, n=6000, d=40, k=20, spread=0.6, shift=1.0, scale=np.geomspace(0.01, 100, 40))
        noise = np.random.default_rng(seed).permutation(y)
        ranges, labels = [slice(0, 3000), slice(500, 6000), slice(0, 6000)], [y, y, noise]
        sets = [TrainingSet(rows=[rows], y=own) for rows, own in zip(ranges, labels, strict=True)]
        exact = LayerProbe(tolerance=1e-7, max_iterations=5000)
        for probe, rows, own in zip(
            LayerProbe().fit_together(X, sets, unit=unit, n_labels=20), ranges, labels, strict=True
        ):
            best = exact.fit(X, own, rows=[rows], unit=unit, n_labels=20)
            assert probe.certificate.converged
            assert gap_above(best, probe, X[rows], own[rows]) <= 2 * TOLERANCE

    def test_spare_iterations_on_all_rows(self, monkeypatch):
        X, y = blobs(0, n=40_000, d=40, k=20, spread=0.6, scale=np.geomspace(0.01, 100, 40))
        started = LayerProbe().fit(X, y).certificate
        monkeypatch.setattr(layerclaims.probing.objective, "SAMPLES", ())
        cold = LayerProbe().fit(X, y).certificate
        assert started.iterations < cold.iterations

    def test_a_sample_whose_rounded_features_would_take_much_memory_is_not_rounded(self, monkeypatch):
        X, y = blobs(0, n=4000, d=40, k=20)
        rounded_shares = []

        class Watched(Objective):
            def _features(self, block, rounded):
                rounded_shares.append(self.rounded)
                return super()._features(block, rounded)

        monkeypatch.setattr(layerclaims.probing.probe, "Objective", Watched)
        monkeypatch.setattr(layerclaims.probing.probe, "multiplies_bfloat16", lambda: True)
        LayerProbe().fit(X, y)
        assert rounded_shares[0] == [1 / 16, 1 / 8, 1 / 4, 1 / 2]
        rounded_shares.clear()
        monkeypatch.setattr(layerclaims.probing.objective, "KEPT_BYTES", 2 * 40 * 1999)
        LayerProbe().fit(X, y)
        assert rounded_shares[0] == [1 / 16, 1 / 8, 1 / 4]

    def test_of_many_vectors_spare_iterations_in_few_dimensions_too(self, monkeypatch):
        monkeypatch.setattr(layerclaims.probing.objective, "LARGE", 10**7)  # more values than there are
        X, y = blobs(0, n=80_000, d=8, k=5, spread=0.6, scale=np.geomspace(0.01, 100, 8))
        started = LayerProbe(tolerance=1e-4).fit(X, y).certificate
        monkeypatch.setattr(layerclaims.probing.objective, "MANY", 10**7)
        cold = LayerProbe(tolerance=1e-4).fit(X, y).certificate
        assert started.iterations < cold.iterations

    def test_that_hold_no_vector_of_a_label_do_no_harm(self):
        X, y = blobs(3, n=6000)
        order = np.argsort(y, kind="stable")  # whole blocks of one label
        X, y = np.ascontiguousarray(X[order]), y[order]
        probe, best = LayerProbe(l2=1e-2).fit(X, y), LayerProbe(l2=1e-2, tolerance=1e-8).fit(X, y)
        assert probe.certificate.converged
        assert (probe.predict(X) == best.predict(X)).mean() > 0.98

    def test_are_drawn_from_rows_of_a_set_and_the_same_every_time(self):
        X, y = blobs(10, n=4000)
        sets = [TrainingSet(rows=[slice(0, 2000)], y=y), TrainingSet(rows=[slice(1000, 3000)], y=y)]
        one = LayerProbe().fit_together(X, sets, n_labels=5)
        X[3000:] = np.nan
        for a, b in zip(one, LayerProbe().fit_together(X, sets, n_labels=5), strict=True):
            np.testing.assert_array_equal(a.weights, b.weights)


def test_a_memory_map_that_cannot_be_written_is_read_as_it_is(tmp_path):
    X, y = blobs(14, n=2000)
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    one, other = LayerProbe().fit(X, y), LayerProbe().fit(mapped, y)
    np.testing.assert_array_equal(one.weights, other.weights)
    np.testing.assert_array_equal(one.predict(X), other.predict(mapped))


class TestMask:
    def test_to_zero_is_a_probe_on_vectors_with_zeros(self):
        X, y = blobs(5, shift=2.0)
        probe = LayerProbe().fit(X, y)
        masked = X.copy()
        masked[:, [3, 7]] = 0
        np.testing.assert_allclose(probe.masked([3, 7]).logits(X), probe.logits(masked), atol=1e-3)
        assert np.abs(probe.logits(X) - probe.logits(masked)).max() > 0.1

    def test_to_mean_is_a_probe_on_vectors_with_means(self):
        X, y = blobs(6, shift=2.0)
        probe = LayerProbe().fit(X, y)
        masked = X.copy()
        masked[:, [3, 7]] = probe.mean[[3, 7]]
        np.testing.assert_allclose(
            probe.masked([3, 7], to_mean=True).logits(X), probe.logits(masked), atol=1e-3
        )


class TestInput:
    def test_that_is_not_finite_is_refused(self):
        X, y = blobs(0)
        X[5, 3] = np.nan
        with pytest.raises(ValueError, match="not finite"):
            LayerProbe().fit(X, y)

    def test_without_rows_is_refused(self):
        X, y = blobs(0)
        with pytest.raises(ValueError, match="at least one"):
            LayerProbe().fit(X, y, rows=[])

    def test_with_labels_out_of_range_is_refused(self):
        X, y = blobs(0)
        with pytest.raises(ValueError, match="labels"):
            LayerProbe().fit(X, y, n_labels=3)

    def test_in_fortran_order_is_refused(self):
        X, y = blobs(0)
        with pytest.raises(ValueError, match="C-contiguous"):
            LayerProbe().fit(np.asfortranarray(X), y)

    @pytest.mark.parametrize("wrong", [{"l2": 0}, {"tolerance": -1}, {"max_iterations": 0}])
    def test_settings_without_a_minimum_are_refused(self, wrong):
        with pytest.raises(ValueError, match="positive"):
            LayerProbe(**wrong)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_a_rotation_of_white_features_changes_no_prediction_that_is_clear(seed):
    rng = np.random.default_rng(seed)
    X, y = blobs(seed, n=400, d=8, k=4, spread=3.0)
    X = X - X.mean(0)
    white = X @ np.linalg.inv(np.linalg.cholesky(np.cov(X.T)).T)  # standardising then turns with the rotation
    rotation = np.linalg.qr(rng.standard_normal((8, 8)))[0]
    one = np.ascontiguousarray(white, dtype=np.float32)
    other = np.ascontiguousarray(white @ rotation, dtype=np.float32)
    probe = LayerProbe(l2=1e-2, tolerance=1e-8, max_iterations=1000)
    a, b = probe.fit(one, y).logits(one), probe.fit(other, y).logits(other)
    np.testing.assert_allclose(a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True), atol=0.02)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_a_constant_feature_changes_nothing(seed):
    X, y = blobs(seed, n=300, d=6, k=3)
    wider = np.concatenate([X, np.full((len(X), 1), 7.0, dtype=np.float32)], axis=1)
    probe = LayerProbe(l2=1e-2, tolerance=1e-8, max_iterations=1000)
    one, other = probe.fit(X, y), probe.fit(np.ascontiguousarray(wider), y)
    np.testing.assert_allclose(one.weights, other.weights[:-1], atol=2e-3)
    np.testing.assert_array_equal(other.weights[-1], 0)
