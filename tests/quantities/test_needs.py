"""What a quantity asks of a study it declares, so that a run measures nothing that its plan does not name."""

import numpy as np
import pytest
from layerclaims.experiments.measurement import Measurement, Values
from layerclaims.quantities.computed import Computed
from layerclaims.verdicts.registry import post_claims

from tests.claims.synthetic import InMemory, gaussian


class Strict(InMemory):
    """A study that answers for what a quantity declares and for nothing else."""

    asks: Computed | None = None

    def values(self, measurement: Measurement) -> Values:
        asks, self.asks = self.asks, None  # a measurement may ask for what it is made of
        if asks is not None:
            allowed = {one for need in asks.needs for one in need.allowed(self.protocol.name)}
            assert measurement.under(self.protocol.name) in allowed, f"{asks.name} reads {measurement}"
        found = super().values(measurement)
        self.asks = asks
        return found


def computed() -> list[Computed]:
    """The quantities of the post's claims that are functions of a study, but for what needs a model, or minutes."""
    found = {}
    for row in post_claims().values():
        conditions = (condition.quantity for condition in row.declaration.conditions)
        found.update((one.name, one) for one in (*conditions, *row.declaration.controls))
    return [
        one
        for one in found.values()
        if isinstance(one, Computed)
        and all(
            need.roles("rigorous") == ("main",)
            and not need.reads_head
            and need.name.partition("-")[0] != "reduced"
            for need in one.needs
        )
    ]


@pytest.fixture(scope="module")
def study() -> Strict:
    rng = np.random.default_rng(0)
    return Strict(gaussian(rng, 3 * rng.normal(size=(6, 24)), documents=40, positions=6), n_texts=40)


@pytest.mark.parametrize("quantity", computed(), ids=lambda one: one.name)
def test_a_quantity_declares_what_it_reads(study, quantity):
    study.asks = quantity
    quantity.find(study)
