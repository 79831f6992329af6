"""How norms grow with depth, and what the final norm makes of them."""

from layerclaims.experiments.norms import norms_by_state
from layerclaims.experiments.study import Study
from layerclaims.metrics import norms
from layerclaims.quantities.computed import of_study, quantity
from layerclaims.statistics.bootstrap import bootstrap_documents
from layerclaims.statistics.estimate import Estimate
from layerclaims.verdicts.evidence import Finding


@quantity("growth of the log norm a layer", norms_by_state)
def growth_rate(study: Study) -> Finding:
    """Slope of the log mean norm over states 1..L, position 0 left out."""
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


@quantity("final-normed over state L-1", norms_by_state)
def last_norm_ratio(study: Study) -> Finding:
    """Mean norm of the final-normed state over that of state L-1, position 0 left out."""
    sums = study.values(norms_by_state).arrays["sums"][:, [study.n_labels, study.n_labels - 2]]
    estimate = bootstrap_documents(
        sums,
        norms.last_norm_ratio,
        confidence=1 - study.protocol.alpha,
        rng=study.rng(9),
        support=norms.last_norm_ratio_support(sums),
    )
    return _finding(study, estimate)


def _finding(study: Study, estimate: Estimate) -> Finding:
    store = study.store("main")
    return of_study(study, estimate, store.n_documents * (store.n_positions - 1) * store.n_blocks)
