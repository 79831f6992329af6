"""Plain SGD as published: step for step what a PyTorch loop does, whatever runs beside it or was interrupted."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from layerclaims.probing import procedure, sgd_layer
from layerclaims.probing.sgd import BATCH, EPOCHS, RATE, Task, curve_epochs, fit_sgd, initial, order
from layerclaims.probing.transforms import (
    RAW,
    Transform,
    entry_moments,
    feature_moments,
    one_scale,
    predict,
    reciprocal_norms,
    standardised,
    standardised_unit,
)

EVERY = {
    "raw": lambda _x, _rows: RAW,
    "standardised": standardised,
    "first phase, unit": standardised_unit,
    "second phase": one_scale,
    "second phase, unit": lambda x, rows: one_scale(x, rows, unit=True),
    "all parts": lambda x, rows: replace(
        one_scale(x, rows, unit=True), after=np.linspace(0.5, 2, len(x), dtype=np.float32)
    ),
}


def states(seed=0, *, n=2500, d=20, k=5):
    """Vectors of k layers, with massive means and features of different scale: x float32 [n, d], y [n]."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    x = rng.standard_normal((k, d))[y] + rng.standard_normal((n, d))
    x = x * np.geomspace(0.3, 3, d) + 5 * rng.standard_normal(d)
    return np.ascontiguousarray(x, dtype=np.float32), y


def task(n=2500, **given):
    """Four fifths to train on."""
    rows = np.random.default_rng(3).permutation(n)
    return Task(
        **{"train": rows[: n * 4 // 5], "test": rows[n * 4 // 5 :], "seed": (7,), "epochs": 3, **given}
    )


def transformed(x, transform):
    """The second matrix that a fit does without, in float64."""
    z = x.astype(np.float64)
    z = z if transform.before is None else z * transform.before[:, None]
    z = z if transform.shift is None else z - transform.shift
    z = z if transform.scale is None else z * transform.scale
    return z if transform.after is None else z * transform.after[:, None]


def plain_loop(x, y, task, n_labels, *, dtype=torch.float32):
    """As one would write it: weights [d, K] and bias [K] after each step."""
    z, labels = torch.tensor(transformed(x, task.transform), dtype=dtype), torch.tensor(y)
    layer = torch.nn.Linear(x.shape[1], n_labels, dtype=dtype)
    with torch.no_grad():
        for parameter, value in zip(
            layer.parameters(), initial(task.seed, x.shape[1], n_labels), strict=True
        ):
            parameter.copy_(value)
    solver, loss = torch.optim.SGD(layer.parameters(), lr=0.01), torch.nn.CrossEntropyLoss()
    trail = []
    for epoch in range(task.epochs):
        for rows in torch.tensor(order(task.seed, epoch, task.train.astype(np.int32))).long().split(1024):
            solver.zero_grad()
            loss(layer(z[rows]), labels[rows]).backward()
            solver.step()
            trail.append((layer.weight.detach().T.clone().numpy(), layer.bias.detach().clone().numpy()))
    return trail


def same(one, other):
    """Whether two fits are, bit for bit."""
    pairs = [(one.weights, other.weights), (one.bias, other.bias)]
    pairs += [
        (a, b) for mark in one.marked for a, b in zip(one.marked[mark], other.marked[mark], strict=True)
    ]
    pairs += [
        (getattr(one.curve, name), getattr(other.curve, name)) for name in ("epochs", "loss", "accuracy")
    ]
    pairs += [(np.array([f.loss, f.gradient_norm, f.steps]) for f in (one, other))]
    return one.marked.keys() == other.marked.keys() and all(a.tobytes() == b.tobytes() for a, b in pairs)


@pytest.fixture
def threads():
    """Set how many cores torch may use, until the test ends."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


class TestProcedure:
    def test_is_the_published_one(self):
        assert (RATE, BATCH, EPOCHS) == (0.01, 1024, 1000)
        assert task().epochs == 3
        assert Task(train=np.arange(5), test=np.arange(0), seed=(0,)).epochs == 1000

    @pytest.mark.parametrize("name", EVERY)
    def test_equals_a_plain_loop_step_for_step(self, name):
        x, y = states()
        one = task(marks=tuple(range(7)))
        one = replace(one, transform=EVERY[name](x, np.arange(len(x))))
        (fit,) = fit_sgd(x, y, [one], n_labels=5)
        for step, (weights, bias) in enumerate(plain_loop(x, y, one, 5), 1):
            if step in fit.marked:
                np.testing.assert_allclose(fit.marked[step][0], weights, atol=3e-6)
                np.testing.assert_allclose(fit.marked[step][1], bias, atol=3e-6)
        np.testing.assert_allclose(fit.weights, weights, atol=3e-6)
        np.testing.assert_allclose(fit.bias, bias, atol=3e-6)
        assert fit.steps == one.steps == 6

    def test_features_far_from_0_cost_no_more_than_float32_lost_of_them(self):
        """Means of 1,000 deviations: as the same loop in float64 on what x holds."""
        x, y = states()
        x += 1000 * x.std(0)
        one = task(epochs=20, transform=standardised_unit(x, np.arange(len(x))))
        (fit,) = fit_sgd(x, y, [one], n_labels=5)
        weights, bias = plain_loop(x, y, one, 5, dtype=torch.float64)[-1]
        np.testing.assert_allclose(fit.weights, weights, atol=2e-5)
        np.testing.assert_allclose(fit.bias, bias, atol=2e-5)

    @pytest.mark.parametrize(
        ("n", "d", "k"), [(1025, 1, 2), (40, 7, 2), (1500, 33, 31), (2048, 3, 33), (9, 50, 16)]
    )
    def test_equals_it_for_awkward_sizes(self, n, d, k):
        x, y = states(n=n, d=d, k=k)
        x -= x.mean(0)
        one = task(n, transform=standardised_unit(x, np.arange(n)) if d > 1 else RAW)
        (fit,) = fit_sgd(x, y, [one], n_labels=k)
        weights, bias = plain_loop(x, y, one, k)[-1]
        assert fit.weights.shape == (d, k)
        np.testing.assert_allclose(fit.weights, weights, atol=3e-6)
        np.testing.assert_allclose(fit.bias, bias, atol=3e-6)

    def test_has_no_penalty_and_no_momentum(self):
        """Rows of norm 0 leave the weights as they were; a second step on one batch is as long as the first."""
        x, y = np.zeros((100, 4), dtype=np.float32), np.arange(100) % 2
        (fit,) = fit_sgd(x, y, [task(100, marks=(0,), epochs=50)], n_labels=2)
        assert (fit.weights == fit.marked[0][0]).all()
        x, y = np.full((100, 1), 1e-3, dtype=np.float32), np.zeros(100, dtype=np.int64)
        (fit,) = fit_sgd(x, y, [task(100, marks=(0, 1, 2))], n_labels=2)
        steps = np.diff([fit.marked[mark][1] for mark in (0, 1, 2)], axis=0)
        np.testing.assert_allclose(steps[1], steps[0], rtol=0.02)

    def test_begins_as_pytorch_does(self):
        bound = 1 / np.sqrt(400)
        weights, bias = initial((3, 1), 400, 30)
        values = torch.cat([weights.ravel(), bias]).double().numpy()
        assert np.abs(values).max() <= bound * (1 + 1e-6)
        counts, _ = np.histogram(values, bins=10, range=(-bound, bound))
        np.testing.assert_allclose(counts, len(values) / 10, rtol=0.1)
        state = torch.get_rng_state()
        (fit,) = fit_sgd(*states(), [task(marks=(0,), epochs=1)], n_labels=5)
        assert (fit.marked[0][0] == initial((7,), 20, 5)[0].T.numpy()).all()
        assert (torch.get_rng_state() == state).all()

    def test_initialisation_is_that_of_a_linear_layer(self, monkeypatch):
        monkeypatch.setattr(procedure, "_entropy", lambda *_: np.random.SeedSequence(5))
        seed = int(np.random.SeedSequence(5).generate_state(1, np.uint32)[0])
        weights, bias = initial((5,), 20, 5)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            layer = torch.nn.Linear(20, 5)
        assert torch.equal(layer.weight, weights)
        assert torch.equal(layer.bias, bias)

    def test_an_epoch_visits_each_training_row_once_in_an_order_of_its_own(self):
        rows = np.arange(100, 1300, dtype=np.int32)
        orders = [order((1,), epoch, rows) for epoch in range(20)]
        assert all((np.sort(one) == rows).all() for one in orders)
        assert (
            len({one.tobytes() for one in [rows, *orders, order((2,), 0, rows), order((1, 0), 0, rows)]})
            == 23
        )
        assert (order((1,), 7, rows) == orders[7]).all()


class TestResult:
    def test_depends_on_the_seed_and_on_nothing_else(self, threads):
        """Same bits alone, beside others on one core or three, and on batches gathered by another or for several."""
        x, y = states()
        every = np.arange(len(x))
        tasks = [task(seed=(seed,), transform=EVERY[name](x, every)) for seed in (1, 2) for name in EVERY]
        tasks += [task(seed=(1,), train=every[:1100], epochs=5), task(seed=(2,), marks=(2,))]
        threads(1)
        alone = [fit_sgd(x, y, [one], n_labels=5)[0] for one in tasks]
        together = fit_sgd(x, y, tasks, n_labels=5)
        threads(3)
        assert all(same(a, b) for a, b in zip(alone, together, strict=True))
        assert all(same(a, b) for a, b in zip(alone, fit_sgd(x, y, tasks, n_labels=5), strict=True))
        assert all(same(a, fit_sgd(x, y, [one], n_labels=5)[0]) for a, one in zip(alone, tasks, strict=True))
        assert not any(same(a, b) for a, b in zip(alone[:6], alone[6:], strict=False))

    def test_test_rows_never_influence_the_fit(self):
        x, y = states()
        one = task()
        (fit,) = fit_sgd(x, y, [one], n_labels=5)
        x[one.test] = np.nan
        (other,) = fit_sgd(x, y, [one], n_labels=5)
        assert (fit.weights == other.weights).all()
        assert fit.loss == other.loss
        assert (fit.curve.loss == other.curve.loss).all()

    def test_a_memory_map_will_do(self, tmp_path):
        x, y = states()
        np.save(tmp_path / "x.npy", x)
        mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
        one = task(transform=standardised_unit(x, np.arange(len(x))))
        assert same(*fit_sgd(x, y, [one], n_labels=5), *fit_sgd(mapped, y, [one], n_labels=5))
        mine = standardised_unit(mapped, np.arange(len(x)))
        assert (mine.after == one.transform.after).all()

    def test_curve_tells_loss_and_accuracy_as_the_fit_stood(self):
        assert curve_epochs(1000) == [1, 3, 10, 30, 100, 300, 1000]
        assert curve_epochs(20) == [1, 3, 10, 20]
        assert curve_epochs(1) == [1]
        x, y = states()
        one = task(epochs=4, marks=(2, 6, 8), transform=standardised(x, np.arange(len(x))))
        (fit,) = fit_sgd(x, y, [one], n_labels=5)
        assert fit.curve.epochs.tolist() == [1, 3, 4]
        z = transformed(x, one.transform)
        for place, mark in enumerate(one.marks):
            weights, bias = fit.marked[mark]
            loss = torch.nn.functional.cross_entropy(
                torch.tensor(z[one.train] @ weights + bias), torch.tensor(y[one.train])
            )
            assert fit.curve.loss[place] == pytest.approx(float(loss), rel=1e-5)
            named = predict(x, one.test, weights, bias, one.transform)
            assert (named == (z[one.test] @ weights + bias).argmax(1)).all()
            assert fit.curve.accuracy[place] == (named == y[one.test]).mean()
        assert fit.loss == fit.curve.loss[-1]

    def test_test_rows_may_be_scaled_by_themselves(self):
        x, y = states()
        one = task()
        scaling = {"transform": one_scale(x, one.train), "test_transform": one_scale(x, one.test)}
        (fit,) = fit_sgd(x, y, [replace(one, **scaling)], n_labels=5)
        named = predict(x, one.test, fit.weights, fit.bias, scaling["test_transform"])
        assert fit.curve.accuracy[-1] == (named == y[one.test]).mean()

    @pytest.mark.parametrize("name", EVERY)
    def test_gradient_norm_is_that_of_the_loss_over_all_training_rows(self, name):
        x, y = states()
        one = task(transform=EVERY[name](x, np.arange(len(x))))
        (fit,) = fit_sgd(x, y, [one], n_labels=5)
        z, labels = torch.tensor(transformed(x, one.transform)[one.train]), torch.tensor(y[one.train])
        w = torch.tensor(fit.weights, dtype=torch.float64, requires_grad=True)
        b = torch.tensor(fit.bias, dtype=torch.float64, requires_grad=True)
        loss = torch.nn.functional.cross_entropy(z @ w + b, labels)
        loss.backward()
        assert fit.loss == pytest.approx(float(loss.detach()), rel=1e-5)
        assert fit.gradient_norm == pytest.approx(
            float((w.grad**2).sum() + (b.grad**2).sum()) ** 0.5, rel=1e-4
        )

    def test_what_diverges_ends_with_nan_and_without_a_crash(self):
        x, y = states()
        told = []
        wild = task(epochs=12, marks=(0, 24), transform=Transform(scale=1e38))
        fits = fit_sgd(x, y, [wild, task(epochs=12)], n_labels=5, advance=told.append)
        assert np.isnan(fits[0].loss)
        assert np.isnan(fits[0].gradient_norm)
        assert np.isnan(fits[0].curve.loss[-1])
        assert np.isnan(fits[0].marked[24][0]).all()
        assert np.isfinite(fits[0].marked[0][0]).all()
        assert fits[0].steps < wild.steps
        assert np.isfinite(fits[1].loss)
        assert sum(told) == 2 * wild.steps

    def test_no_test_rows_have_no_accuracy(self):
        (fit,) = fit_sgd(*states(), [task(test=np.arange(0))], n_labels=5)
        assert np.isnan(fit.curve.accuracy).all()
        assert np.isfinite(fit.curve.loss).all()


class Killed(Exception):  # noqa: N818  what ends a fit from without
    pass


class TestCheckpoint:
    def interrupted(self, x, y, tasks, after):
        """Fits that are stopped once so many steps were made."""
        told = []

        def advance(steps):
            told.append(steps)
            if sum(told) >= after:
                raise Killed

        with pytest.raises(Killed):
            fit_sgd(x, y, tasks, n_labels=5, advance=advance)

    @pytest.fixture(autouse=True)
    def often(self, monkeypatch):
        monkeypatch.setattr(sgd_layer, "SAVED_EVERY", 0.0)

    @pytest.mark.parametrize("after", [3, 8, 13])
    def test_a_fit_goes_on_bit_for_bit(self, tmp_path, after):
        x, y = states()
        one = task(epochs=8, marks=(0, 3, 15), transform=standardised(x, np.arange(len(x))))
        (whole,) = fit_sgd(x, y, [one], n_labels=5)
        kept = replace(one, checkpoint=tmp_path / "new" / "fit.safetensors")
        self.interrupted(x, y, [kept], after)
        told = []
        (fit,) = fit_sgd(x, y, [kept], n_labels=5, advance=told.append)
        assert same(whole, fit)
        assert told[0] == (after - 1) // 2 * 2
        assert sum(told) == one.steps

    def test_a_finished_fit_is_not_made_again(self, tmp_path):
        x, y = states()
        one = task(checkpoint=tmp_path / "fit.safetensors")
        (fit,) = fit_sgd(x, y, [one], n_labels=5)
        told = []
        (again,) = fit_sgd(x, y, [one], n_labels=5, advance=told.append)
        assert same(fit, again)
        assert told == [one.steps]

    def test_fits_on_the_same_batches_go_on_from_where_each_stands(self, tmp_path, threads):
        x, y = states()
        every = np.arange(len(x))
        tasks = [
            task(epochs=6, transform=EVERY[name](x, every), checkpoint=tmp_path / name)
            for name in list(EVERY)[:3]
        ]
        whole = fit_sgd(x, y, [replace(one, checkpoint=None) for one in tasks], n_labels=5)
        threads(2)
        self.interrupted(x, y, tasks[:2], 5)
        self.interrupted(x, y, tasks[1:], 17)
        assert all(same(a, b) for a, b in zip(whole, fit_sgd(x, y, tasks, n_labels=5), strict=True))

    @pytest.mark.parametrize(
        "damage",
        [
            lambda _: b"",
            lambda raw: raw[:-20],
            lambda raw: raw[:-20] + bytes([raw[-20] ^ 1]) + raw[-19:],
            lambda _: b"nonsense" * 100,
        ],
    )
    def test_a_damaged_one_is_passed_over(self, tmp_path, damage):
        x, y = states()
        one = task(checkpoint=tmp_path / "fit.safetensors")
        (fit,) = fit_sgd(x, y, [one], n_labels=5)
        one.checkpoint.write_bytes(damage(one.checkpoint.read_bytes()))
        told = []
        (again,) = fit_sgd(x, y, [one], n_labels=5, advance=told.append)
        assert same(fit, again)
        assert len(told) > 1

    def test_another_tasks_is_passed_over(self, tmp_path):
        x, y = states()
        one = task(checkpoint=tmp_path / "fit.safetensors")
        fit_sgd(x, y, [one], n_labels=5)
        saved = one.checkpoint.read_bytes()
        others = [
            (x, y, replace(one, seed=(8,)), 5),
            (x, y, replace(one, epochs=4), 5),
            (x, y, replace(one, marks=(1,)), 5),
            (x, y, replace(one, train=one.train[::-1]), 5),
            (x, y, replace(one, test=one.test[1:]), 5),
            (x, y, replace(one, transform=Transform(scale=0.5)), 5),
            (x, y, replace(one, test_transform=Transform(scale=0.5)), 5),
            (x + np.float32(1), y, one, 5),
            (x, (y + 1) % 5, one, 5),
            (x, y, one, 6),
        ]
        for matrix, labels, other, n_labels in others:
            one.checkpoint.write_bytes(saved)
            told = []
            fit_sgd(matrix, labels, [other], n_labels=n_labels, advance=told.append)
            assert len(told) > 1


class TestRefusals:
    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ({"train": np.arange(0)}, "at least one training vector"),
            ({"epochs": 0}, "at least one epoch"),
            ({"marks": (7,)}, "marks lie in 0..6"),
        ],
    )
    def test_a_task_that_cannot_be_fitted(self, given, says):
        with pytest.raises(ValueError, match=says):
            task(**given)

    def test_rows_labels_and_matrices_that_do_not_fit(self):
        x, y = states()
        with pytest.raises(ValueError, match="rows lie in"):
            fit_sgd(x, y, [task(test=np.array([len(x)]))], n_labels=5)
        with pytest.raises(ValueError, match="labels lie in"):
            fit_sgd(x, y, [task()], n_labels=4)
        with pytest.raises(ValueError, match="C-contiguous float32"):
            fit_sgd(x.astype(np.float64), y, [task()], n_labels=5)


def test_probabilities_that_no_sum_would_notice_count_as_0():
    p = torch.tensor([[0.0, 1e-42, 1e-30, 1e-20, 0.5]])
    assert sgd_layer._tidied(p) is p
    torch.testing.assert_close(p, torch.tensor([[0.0, 0.0, 0.0, 1e-20, 0.5]]), rtol=0, atol=0)


class TestTransforms:
    def test_features_are_of_mean_0_and_deviation_1_over_all_rows(self):
        x, _ = states()
        x[:, 4] = 3.5
        rows = np.random.default_rng(0).permutation(len(x))[:2100]
        mean, sd = feature_moments(x, rows)
        np.testing.assert_allclose(mean, x[rows].mean(0, dtype=np.float64), rtol=1e-9)
        np.testing.assert_allclose(
            np.delete(sd, 4), np.delete(x[rows].std(0, dtype=np.float64), 4), rtol=1e-9
        )
        assert sd[4] == np.inf
        assert (transformed(x, standardised(x, rows))[:, 4] == 0).all()

    def test_first_phase_is_standardised_before_norms_are_1(self):
        x, _ = states()
        x[:, 4] = 3.5
        z = transformed(x, standardised_unit(x, np.arange(len(x))))
        np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, rtol=1e-5)
        by_hand = (x - x.mean(0, dtype=np.float64)) / np.where(
            np.arange(20) == 4, 1, x.std(0, dtype=np.float64)
        )
        np.testing.assert_allclose(z, by_hand / np.linalg.norm(by_hand, axis=1, keepdims=True), atol=1e-6)

    @pytest.mark.parametrize("unit", [False, True])
    def test_second_phase_has_one_mean_and_one_deviation_of_the_rows_asked_for(self, unit):
        x, _ = states()
        rows = np.arange(300, 2200)
        z = transformed(x, one_scale(x, rows, unit=unit))[rows]
        assert z.mean() == pytest.approx(0, abs=1e-6)
        assert z.std() == pytest.approx(1, rel=1e-6)
        by_hand = x[rows] / (np.linalg.norm(x[rows], axis=1, keepdims=True) if unit else 1)
        mean, sd = entry_moments(x, rows, reciprocal_norms(x, rows) if unit else None)
        assert mean == pytest.approx(by_hand.mean(dtype=np.float64), rel=1e-5)
        assert sd == pytest.approx(by_hand.std(dtype=np.float64), rel=1e-5)

    def test_a_zero_vector_stays_one(self):
        x, _ = states()
        x[17] = 0
        rows = np.arange(2000)
        found = reciprocal_norms(x, rows)
        assert found[17] == 0
        assert (found[2000:] == 0).all()
        np.testing.assert_allclose(found[:17], 1 / np.linalg.norm(x[:17], axis=1), rtol=1e-6)
