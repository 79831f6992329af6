"""How norms grow with depth, and what the final norm makes of them."""

from dataclasses import replace

from layerclaims.experiments.norms import norms_by_state
from layerclaims.experiments.study import Study
from layerclaims.metrics import norms
from layerclaims.quantities.computed import of_study, quantity
from layerclaims.statistics.bootstrap import bootstrap_documents
from layerclaims.statistics.estimate import Estimate
from layerclaims.verdicts.evidence import Finding


@quantity("growth of the log norm a layer", norms_by_state)
def growth_rate(study: Study) -> Finding:
    """Slope of the log mean norm over states 1..L."""
    sums = study.values(norms_by_state).arrays["sums"][:, study.states[1:]]
    estimate = bootstrap_documents(
        sums,
        norms.growth_rate,
        confidence=1 - study.protocol.alpha,
        rng=study.rng(5),
        support=norms.growth_support(sums),
    )
    return _finding(study, estimate)


@quantity("log-linear over linear", norms_by_state)
def log_linear_advantage(study: Study) -> Finding:
    """How much better log-linear growth predicts a layer left out than linear growth does."""
    sums = study.values(norms_by_state).arrays["sums"][:, study.states[1:]]
    return _finding(study, norms.log_linear_advantage(sums, rng=study.rng(6)))


@quantity("last norm over the largest other", norms_by_state)
def last_norm_ratio(study: Study) -> Finding:
    """Mean norm of state L, before the final norm, over the largest mean norm of any other state."""
    return _over_others(study, study.n_labels - 1)


@quantity("final-normed over the largest other", norms_by_state)
def final_norm_ratio(study: Study) -> Finding:
    """Mean norm of the final-normed state over the largest mean norm of states 0 to L-1."""
    return _over_others(study, study.n_labels)


def _over_others(study: Study, state: int) -> Finding:
    columns = [state, *range(study.n_labels - 1)]
    sums = study.values(norms_by_state).arrays["sums"][:, columns]
    estimate = bootstrap_documents(
        sums,
        norms.ratio_to_largest,
        confidence=1 - study.protocol.alpha,
        rng=study.rng(9),
        support=norms.ratio_support(sums),
    )
    others = norms.mean_norms(sums)[1:]
    found = _finding(study, estimate)
    return replace(found, note=f"the largest other is state {int(others.argmax())}")


def _finding(study: Study, estimate: Estimate) -> Finding:
    store = study.store("main")
    return of_study(
        study, estimate, store.n_documents * (store.n_positions - study.first_position) * store.n_blocks
    )
