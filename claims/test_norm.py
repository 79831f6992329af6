"""Question 4: Just learned the norm?"""

from layerclaims import (
    NORM,
    POST,
    RANDOM,
    RANDOM_TRAINED,
    RAW,
    UNIT,
    AsPublished,
    accuracy,
    claim,
    difference,
    quarter,
    rule,
)
from layerclaims.quantities import first_position, norm
from layerclaims.recording import figures


@claim(
    section="norm",
    says="unit-normalising the vectors lowers accuracy: the size of the norm is a learnable feature",
    source=POST,
    where="Question 4: Just learned the norm?",
    estimand="accuracy on vectors as they are minus accuracy on unit vectors, each with its own probe",
    reported=".83 -> .64",
    reported_value=0.19,
    rationale="One point is the smallest loss that anyone would call one.",
)
def test_norm_is_a_feature(judge):
    """Unit-normalising costs more than .01 of accuracy."""
    lost = difference(RAW, UNIT, name="accuracy lost by unit-normalising").above(0.01)
    judge(
        lost,
        figures=[figures.accuracy_by_features],
        as_published=rule(
            lost, figures=[figures.accuracy_by_features, figures.learning_accuracy, figures.learning_loss]
        ),
    )


@claim(
    section="norm",
    says="accuracy stays far above guessing after unit-normalising: the norm is not the only thing learned",
    source=POST,
    where="Question 4: Just learned the norm?",
    estimand="accuracy on unit vectors, and accuracy on vectors as they are minus accuracy on their norm alone",
    reported=".64",
    reported_value=0.64,
    rationale="Direction alone has to do, and the norm alone has to fall short.",
)
def test_norm_is_not_the_only_feature(judge):
    """The accuracy on unit vectors is above quarter(.25), and the norm alone loses more than .05 of accuracy."""
    judge(
        accuracy(UNIT, name="accuracy on unit vectors").above(quarter(0.25)),
        difference(RAW, NORM, name="accuracy lost when only the norm is seen").above(0.05),
        controls=[accuracy(NORM, name="accuracy on the norm alone")],
        figures=[figures.accuracy_by_features],
        as_published=rule(
            accuracy(UNIT, name="accuracy on unit vectors").above(quarter(0.25)),
            figures=[figures.accuracy_by_features],
        ),
    )


@claim(
    section="norm",
    says="random vectors drawn to each layer's norm distribution are not classified",
    source=POST,
    where="Question 4: Just learned the norm?",
    estimand="accuracy of the layer probe on isotropic directions scaled to the norms of the layer's own vectors; and "
    "accuracy of a probe trained and tested on such vectors, made of standardised states",
    reported=".0537 (a probe trained on them)",
    rationale="A probe that had learned norms only could not tell these vectors from real ones.",
)
def test_random_vectors_fail(judge):
    """The accuracy on random directions with the layer's own norms is below quarter(.10), and that of a probe trained
    on such vectors is below quarter(.25).
    """
    trained = accuracy(RANDOM_TRAINED, name="accuracy of a probe trained on random vectors").below(
        quarter(0.25)
    )
    judge(
        accuracy(RANDOM, name="accuracy on random directions").below(quarter(0.10)),
        trained,
        figures=[figures.accuracy_by_features],
        as_published=rule(trained, figures=[figures.accuracy_by_features]),
    )


@claim(
    section="norm",
    says="norms grow exponentially with depth",
    source=POST,
    where="Reduction",
    estimand="slope of the log mean norm over states 1 to L; and the error with which the best of four other laws of "
    "two parameters (a + b i, a + b i^2, a + b i^3, a i^b) predicts the log norm of a layer left out, minus the "
    "exponential's",
    reported="Fig. 2; x1.045 a layer in gpt2-xl",
    reported_value=0.044,
    rationale="Growth alone is not exponential growth. All laws are fitted to log norms, so that none is judged on a "
    "scale that it was not fitted on.",
)
def test_layer_norms_grow_exponentially(judge):
    """Norms grow with depth, and in 95 % of document resamples the exponential predicts them better than every rival
    law.
    """
    judge(
        norm.growth_rate.above(0.0),
        norm.exponential_advantage.above(0.0),
        controls=[first_position.growth_rate, first_position.exponential_advantage],
        figures=[figures.laws_of_growth, figures.norms_by_layer],
    )


@claim(
    section="norm",
    says="the norms of the last layer are much larger than those of the others",
    source=POST,
    where="Reduction",
    estimand="mean norm of state L, before the final norm, divided by the largest mean norm of any other state",
    reported="Fig. 2",
    rationale="The authors read the output of the last block, before the final norm. Half as large again is the least "
    "that “much larger” can mean.",
)
def test_last_layer_norm_dominates(judge):
    """The mean norm of state L, before the final norm, is more than 1.5 times the largest mean norm of any other
    state.
    """
    judge(
        norm.last_norm_ratio.above(1.5),
        controls=[norm.final_norm_ratio, first_position.last_norm_ratio],
        figures=[figures.norms_by_layer],
    )


@claim(
    section="norm",
    says="the norms of the early layers hardly differ: by its norm alone no vector could be told from its neighbours'",
    source=POST,
    where="Question 4: Just learned the norm?",
    estimand="mean share of a state's norms inside the central 95 % of its neighbour's norms, over neighbouring states "
    "of the first third",
    rationale="Where more than half of the norms would be usual ones for the neighbour, the norm alone does not tell "
    "the two apart.",
)
def test_early_norms_overlap(judge):
    """Over neighbouring states of the first third, on average more than half of a state's norms lie within the other's
    central 95 %.
    """
    judge(
        norm.early_overlap.above(0.5),
        figures=[figures.early_norms_by_state, figures.norms_by_layer],
        as_published=AsPublished.NEVER,
    )
