"""How norms grow with depth, and what the final norm makes of them."""

from dataclasses import replace

from layerclaims.experiments.measurement import at_least
from layerclaims.experiments.norms import early_norms, norms_by_state
from layerclaims.experiments.study import Study
from layerclaims.metrics import growth, norms
from layerclaims.quantities.computed import left_out, of_study, quantity
from layerclaims.runtime.text import number
from layerclaims.statistics.bootstrap import bootstrap_documents
from layerclaims.statistics.estimate import Estimate
from layerclaims.verdicts.evidence import Finding


@quantity("growth of the log norm a layer", norms_by_state)
def growth_rate(study: Study) -> Finding:
    """Slope of the log mean norm over states 1..L."""
    sums = study.values(norms_by_state).arrays["sums"][:, study.states[1:]]
    estimate = bootstrap_documents(
        sums,
        growth.growth_rate,
        confidence=1 - study.protocol.alpha,
        rng=study.rng(5),
        support=growth.growth_support(sums),
    )
    return _finding(study, estimate)


# of states 1 to 3 two are left to fit two parameters to, which no law can miss
@quantity("lead of the exponential over the best other law", norms_by_state, takes=at_least(states=5))
def exponential_advantage(study: Study) -> Finding:
    """How much better exponential growth predicts a layer that is left out than any rival law does, in log norm."""
    sums = study.values(norms_by_state).arrays["sums"][:, study.states[1:]]
    errors = growth.fit_errors(norms.mean_norms(sums))
    note = ", ".join(f"{law} {number(float(error))}" for law, error in zip(growth.LAWS, errors, strict=True))
    estimate = growth.exponential_advantage(sums, confidence=1 - 2 * study.protocol.alpha, rng=study.rng(6))
    return replace(_finding(study, estimate), note=f"errors: {note}")


@quantity("overlap of neighbouring early norms", early_norms)
def early_overlap(study: Study) -> Finding:
    """Mean share of a state's norms inside the central 95 % of its neighbour's, over the first third of the states."""
    found = study.values(early_norms).arrays["overlaps"]
    store = study.store("main")
    return left_out(
        study,
        found[1:].mean(axis=1),
        value=float(found[0].mean()),
        support=(0.0, 1.0),
        n_vectors=store.n_documents * (store.n_positions - study.first_position) * (study.n_labels // 3),
        note=f"from state 0 to 1 {found[0, 0]:.3f}",
    )


@quantity("last norm over the largest other", norms_by_state, takes=at_least(states=3))  # two others
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
