"""How norms grow with depth, and what the final norm makes of them."""

from harness.claim import Measured
from harness.measure import norms
from harness.statistics import Estimate, bootstrap_documents
from harness.study import Study


def growth_rate(study: Study) -> Measured:
    """Slope of the log mean norm over states 1..L, position 0 left out."""
    sums = study.norms.arrays["sums"][:, study.states[1:]]
    estimate = bootstrap_documents(
        sums,
        norms.growth_rate,
        confidence=1 - study.protocol.alpha,
        rng=study.rng(5),
        support=norms.growth_support(sums),
    )
    return _measured(study, "growth of the log norm a layer", estimate)


def log_linear_advantage(study: Study) -> Measured:
    """How much better log-linear growth predicts a layer left out than linear growth does."""
    sums = study.norms.arrays["sums"][:, study.states[1:]]
    estimate = norms.log_linear_advantage(sums, rng=study.rng(6))
    return _measured(study, "log-linear over linear", estimate)


def last_norm_ratio(study: Study) -> Measured:
    """Mean norm of the final-normed state over that of state L-1, position 0 left out."""
    sums = study.norms.arrays["sums"][:, [study.n_labels, study.n_labels - 2]]
    estimate = bootstrap_documents(
        sums,
        norms.last_norm_ratio,
        confidence=1 - study.protocol.alpha,
        rng=study.rng(9),
        support=norms.last_norm_ratio_support(sums),
    )
    return _measured(study, "final-normed over state L-1", estimate)


def _measured(study: Study, name: str, estimate: Estimate) -> Measured:
    store = study.store("main")
    vectors = store.n_documents * (store.n_positions - 1) * store.n_blocks
    return Measured(name=name, estimate=estimate, n_documents=store.n_documents, n_vectors=vectors)
