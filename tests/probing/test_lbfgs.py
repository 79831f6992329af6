"""L-BFGS on functions whose minimum is known."""

import numpy as np
import pytest
from layerclaims.probing.lbfgs import Descent
from layerclaims.probing.objective import Value


class Quadratic:
    """|v - centre|^2 / 2 in a metric with these eigenvalues along the axes; it counts its evaluations."""

    def __init__(self, eigenvalues, centre):
        self.eigenvalues, self.centre, self.asked = eigenvalues, centre, 0

    def __call__(self, v):
        self.asked += 1
        gradient = self.eigenvalues * (v - self.centre)
        return Value(
            value=float(gradient @ (v - self.centre)) / 2,
            gradient=gradient,
            gradient_norm=float(np.linalg.norm(gradient)),
        )


def rosenbrock(v):
    x, y = v
    gradient = np.array([-400 * x * (y - x * x) - 2 * (1 - x), 200 * (y - x * x)])
    return Value(
        value=100 * (y - x * x) ** 2 + (1 - x) ** 2,
        gradient=gradient,
        gradient_norm=float(np.linalg.norm(gradient)),
    )


def solve(descent, ask, v, *, below=1e-8, iterations=500):
    return descent.run(ask, (v, ask(v)), iterations=iterations, done=lambda at: at.gradient_norm <= below)


class TestDescent:
    def test_finds_the_minimum_of_a_curved_valley(self):
        v, at, iterations = solve(Descent(), rosenbrock, np.array([-1.2, 1.0]))
        np.testing.assert_allclose(v, 1, atol=1e-6)
        assert at.gradient_norm <= 1e-8
        assert iterations < 60

    @pytest.mark.parametrize("seed", range(5))
    def test_finds_the_minimum_of_a_long_one(self, seed):
        rng = np.random.default_rng(seed)
        ask = Quadratic(np.geomspace(1e-3, 1, 200), rng.standard_normal(200))
        v, _, iterations = solve(Descent(), ask, np.zeros(200), below=1e-6)
        np.testing.assert_allclose(v, ask.centre, atol=2e-3)
        assert ask.asked <= 1.3 * iterations + 3

    @pytest.mark.parametrize("seed", range(5))
    def test_knows_the_curvature_of_an_objective_that_resembles_the_last(self, seed):
        rng = np.random.default_rng(seed)
        eigenvalues, centre = np.geomspace(1e-3, 1, 80), rng.standard_normal(80)
        descent = Descent()
        v, *_ = solve(descent, Quadratic(eigenvalues, centre), np.zeros(80), below=1e-4)
        moved = Quadratic(eigenvalues * rng.uniform(0.9, 1.1, 80), centre + 0.1 * rng.standard_normal(80))
        found, _, warm = solve(descent, moved, v, below=1e-4)
        _, _, cold = solve(Descent(), moved, v, below=1e-4)
        np.testing.assert_allclose(found, moved.centre, atol=0.1)  # 1e-4 over the least curvature
        assert warm < 0.75 * cold

    def test_never_goes_up(self):
        values = []
        Descent().run(
            rosenbrock,
            (np.array([-1.2, 1.0]), rosenbrock(np.array([-1.2, 1.0]))),
            iterations=30,
            done=lambda at: values.append(at.value),
        )
        assert len(values) == 30
        assert values == sorted(values, reverse=True)

    @pytest.mark.parametrize("seed", range(5))
    def test_finds_the_minimum_where_values_are_rounded_and_gradients_are_not(self, seed):
        rng = np.random.default_rng(seed)
        exact = Quadratic(np.geomspace(1e-3, 1, 50), rng.standard_normal(50))

        def ask(v):
            at = exact(v)
            return Value(
                value=(1 + at.value) * (1 + 3e-5 * rng.uniform(-1, 1)),
                gradient=at.gradient,
                gradient_norm=at.gradient_norm,
            )

        v, at, _ = solve(Descent(), ask, np.zeros(50), below=1e-6)
        assert at.gradient_norm <= 1e-6
        np.testing.assert_allclose(v, exact.centre, atol=2e-3)

    def test_ends_where_it_is_told_to(self):
        v, _, iterations = solve(Descent(), rosenbrock, np.array([-1.2, 1.0]), iterations=3)
        assert iterations == 3
        assert rosenbrock(v).value < rosenbrock(np.array([-1.2, 1.0])).value

    def test_stays_at_a_minimum(self):
        ask = Quadratic(np.ones(3), np.ones(3))
        v, _, iterations = solve(Descent(), ask, np.ones(3), below=-1)
        np.testing.assert_array_equal(v, 1)
        assert iterations == 0

    def test_ends_where_there_is_no_way_down_but_what_cannot_be_computed(self):
        def ask(v):
            value = -v.sum() if v.max() < 1e-5 else np.nan
            return Value(value=float(value), gradient=-np.ones(2), gradient_norm=1.4)

        v, at, _ = solve(Descent(), ask, np.zeros(2), iterations=50)
        assert np.isfinite(at.value)
        assert v.max() < 1e-5
