"""Further Plans, and caveats of the post that can be true or false of a model."""

from layerclaims import (
    A_TENTH,
    LDA,
    LENS,
    NEAREST_MEAN,
    POST,
    RAW,
    SEEN,
    TRANSFER,
    TRANSFER_SEEN,
    UNSEEN,
    AsPublished,
    accuracy,
    beyond_half_the_drop,
    claim,
    difference,
    quarter,
    share_above_chance,
    trend_over_states,
)
from layerclaims.quantities import lens
from layerclaims.recording import figures


@claim(
    section="plans and caveats",
    says="the unembedding matrix is tailored to the last layer; on other layers it generalises poorly",
    source=POST,
    where="Introduction",
    estimand="how often states 1 to L-1, through the model's own final norm and unembedding, name the token that its "
    "own output names (logit lens); and Page's trend of that agreement over the states",
    rationale="A matrix that fits fewer than half of the tokens generalises poorly; one that is tailored to the end "
    "fits better the nearer the end.",
)
def test_unembedding_fits_the_last_layer_only(judge):
    """Over states 1 to L-1, the mean agreement with the model's own output is below .5, and it rises with depth
    (Page's trend).
    """
    judge(
        accuracy(LENS, name="agreement of the unembedded states with the output").below(0.5),
        trend_over_states(LENS, name="trend of the agreement with depth").above(0.0),
        figures=[figures.lens_agreement, figures.lens_divergence],
        facts=[lens.sample, lens.last_but_one],
        as_published=AsPublished.NEVER,
    )


@claim(
    section="plans and caveats",
    says="training data need not cover every word for a layer to be recognised",
    source=POST,
    where="Machine learning method",
    estimand="accuracy of the layer probe on tokens that none of its training documents has",
    rationale="A look-up of words would be at chance here: the same bar as for all tokens.",
)
def test_unseen_tokens_are_classified(judge):
    """The accuracy on test tokens that no training document has is above quarter(.25)."""
    judge(
        accuracy(UNSEEN, name="accuracy on unseen tokens").above(quarter(0.25)),
        controls=[accuracy(SEEN, name="accuracy on seen tokens")],
        figures=[figures.accuracy_by_token],
        as_published=AsPublished.NEVER,
    )


@claim(
    section="plans and caveats",
    says="why simple linear models do so well: layers differ by where they lie",
    source=POST,
    where="Further Plans",
    estimand="how far above chance the nearest layer mean is under one shared covariance (LDA, closed form), over how "
    "far above chance the layer probe is",
    rationale="Four fifths of what the probe finds is nearly all of it.",
)
def test_layer_means_suffice(judge):
    """LDA is above chance by more than .8 of what the probe is above chance."""
    judge(
        share_above_chance(LDA, RAW, name="share of the probe's skill that layer means have").above(0.8),
        controls=[
            share_above_chance(NEAREST_MEAN, RAW, name="share that plain nearest means have"),
            accuracy(LDA, name="accuracy of LDA"),
        ],
        figures=[figures.accuracy_in_closed_form],
        as_published=AsPublished.NEVER,
    )


@claim(
    section="plans and caveats",
    says="words that the training corpus does not have may be why accuracy drops on another corpus",
    source=POST,
    where="Further Plans",
    estimand="accuracy on those tokens of the other corpus that the training documents have, minus the middle between "
    "accuracy on all of its tokens and accuracy on the main corpus",
    rationale="What explains a drop takes more than half of it away with it; and there has to be one.",
)
def test_new_tokens_explain_the_drop(judge):
    """On the other corpus, the accuracy on known tokens exceeds that on all tokens by more than half of the drop."""
    judge(
        beyond_half_the_drop(
            TRANSFER_SEEN, TRANSFER, RAW, name="accuracy on known tokens beyond half the drop"
        ).above(0.0, otherwise="new tokens do not explain half of the loss"),
        difference(RAW, TRANSFER, name="accuracy lost on the other corpus").above(0.0),
        controls=[accuracy(TRANSFER_SEEN, name="accuracy on known tokens of the other corpus")],
        figures=[figures.accuracy_by_token],
        as_published=AsPublished.NEVER,
    )


@claim(
    section="plans and caveats",
    says="a part of the dimensions is enough: how far are they utilised?",
    source=POST,
    where="Further Plans",
    estimand="how far above chance probes of a tenth of the dimensions are, drawn at random, over how far above chance "
    "the probe of all is; mean over five draws",
    rationale="Four fifths of what the probe finds, from a tenth of what it sees.",
)
def test_a_tenth_of_the_dimensions_suffices(judge):
    """Probes of a tenth of the dimensions are above chance by more than .8 of what the probe of all is above chance."""
    judge(
        share_above_chance(
            A_TENTH, RAW, name="share of the probe's skill in a tenth of the dimensions"
        ).above(0.8),
        figures=[figures.accuracy_by_dimensions],
        as_published=AsPublished.NEVER,
    )
