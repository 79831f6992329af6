"""With the first position: the numbers that leave it out, as they would be with it. They are shown, not judged."""

from collections.abc import Callable

import numpy as np
from layerclaims.experiments.conditions import all_positions
from layerclaims.experiments.geometry import layer_geometry
from layerclaims.experiments.norms import norms_by_state
from layerclaims.experiments.study import Study
from layerclaims.metrics import attribution, geometry, growth, norms
from layerclaims.quantities.computed import Computed, quantity, shown
from layerclaims.verdicts.evidence import Finding
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def _of_norms(name: str, number: Callable[[Floats], float]) -> Computed:
    """Of the sums of norms of states 0 to L."""

    @quantity(f"{name}, with the first position", norms_by_state)
    def found(study: Study) -> Finding:
        sums = norms.mean_norms(study.values(norms_by_state).arrays["sums of all positions"])
        return shown(study, number(sums[: study.n_labels]))

    return found


last_norm_ratio = _of_norms(
    "last norm over the largest other", lambda sums: float(sums[-1] / sums[:-1].max())
)
growth_rate = _of_norms("growth of the log norm a layer", lambda sums: float(growth.growth_rate(sums[1:])))
exponential_advantage = _of_norms(
    "lead of the exponential over the best other law", lambda sums: float(growth.advantage(sums[1:]))
)


def _of_geometry(name: str, number: Callable[[dict[str, Floats]], float]) -> Computed:
    """Of centroids "raw" and "unit" [S, 2], "missed" [S - 1] and "ranks" [S]."""
    kinds = ("raw", "unit", "missed", "ranks")

    @quantity(f"{name}, with the first position", layer_geometry)
    def found(study: Study) -> Finding:
        arrays = study.values(layer_geometry).arrays
        return shown(study, number({kind: arrays[f"all positions/{kind}"] for kind in kinds}))

    return found


def _tightening(of: dict[str, Floats]) -> float:
    with np.errstate(all="ignore"):
        return float(
            np.log(geometry.last_step_ratio(of["raw"])) - np.log(geometry.last_step_ratio(of["unit"]))
        )


drift = _of_geometry("drift correlation", lambda of: geometry.drift_correlation(of["unit"]))
tightening = _of_geometry("log ratio of last steps", _tightening)
ring_gap = _of_geometry("gap of the ring", lambda of: geometry.ring_ratio(of["unit"]))
ring_area = _of_geometry("area in the ring", lambda of: geometry.enclosed_area(of["unit"]))
missed_by_neighbour = _of_geometry(
    "lowest share that the next one's directions miss", lambda of: float(of["missed"].min())
)
highest_rank = _of_geometry("effective rank over d", lambda of: float(of["ranks"].max()))


def _of_weights(name: str, number: Callable[[Floats], float]) -> Computed:
    """Mean over the fits of what the weights [d, K] of a probe of all positions give."""

    @quantity(f"{name}, with the first position", all_positions)
    def found(study: Study) -> Finding:
        weights = study.values(all_positions).arrays["weights"]
        return shown(study, float(np.mean([number(one) for one in weights])))

    return found


def _needed(weights: Floats, part: float) -> Floats:
    return attribution.dimensions_needed(attribution.contribution_shares(weights), part)


fewest_dimensions = _of_weights(
    "share of dimensions behind 90 %", lambda weights: float(_needed(weights, 0.9).min() / len(weights))
)
variation_over_layers = _of_weights(
    "variation of n50 over layers", lambda weights: attribution.variation(_needed(weights, 0.5))
)
recurrence = _of_weights(
    "share of layers that list the most frequent dimension",
    lambda weights: attribution.recurrence(attribution.contribution_shares(weights)).frequency,
)
negative_share_first_third = _of_weights(
    "negative share in the first third", lambda weights: attribution.negative_share_by_thirds(weights)[0]
)
negative_share_last_third = _of_weights(
    "negative share in the last third", lambda weights: attribution.negative_share_by_thirds(weights)[1]
)
