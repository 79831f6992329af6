"""Question 2: Dataset transferability?"""

from layerclaims import (
    MIXED_ON_MAIN,
    MIXED_ON_TRANSFER,
    POST,
    RAW,
    STRIPPED,
    STRIPPED_TRANSFER,
    TRANSFER,
    TRANSFER_BACK,
    TRANSFER_OWN,
    AsPublished,
    accuracy,
    claim,
    difference,
    half_the_drop,
    quarter,
    rule,
)
from layerclaims.recording import figures


@claim(
    section="transfer",
    says="accuracy drops on another corpus when the classifier is not retrained",
    source=POST,
    where="Question 2: Dataset transferability?",
    estimand="accuracy on unseen documents of the main corpus minus accuracy of the same probes on the other corpus",
    reported=".83 -> .66",
    reported_value=0.17,
    rationale="Two points is more than corpora differ by from one sample to the next.",
)
def test_accuracy_drops_on_another_corpus(judge):
    """The accuracy lost on the other corpus is above .02. The way back is reported beside it."""
    judge(
        difference(RAW, TRANSFER, name="accuracy lost on the other corpus").above(0.02),
        controls=[accuracy(TRANSFER_BACK, name="accuracy the other way round")],
        figures=[figures.accuracy_by_corpus],
        as_published=rule(
            difference(RAW, TRANSFER, name="accuracy lost on the other corpus").above(0.02),
            figures=[figures.accuracy_by_corpus],
        ),
    )


@claim(
    section="transfer",
    says="what remains on another corpus is far above guessing",
    source=POST,
    where="Question 2: Dataset transferability?",
    estimand="accuracy on the other corpus of probes trained on the main one",
    reported=".66",
    reported_value=0.66,
    rationale="The same bar as for the main corpus.",
)
def test_transfer_beats_chance(judge):
    """The accuracy on the other corpus is above quarter(.25)."""
    judge(
        accuracy(TRANSFER, name="accuracy on the other corpus").above(quarter(0.25)),
        figures=[figures.accuracy_by_corpus],
    )


@claim(
    section="transfer",
    says="a classifier trained on both corpora can be tested for accuracy on each",
    source=POST,
    where="Question 2: Dataset transferability?",
    estimand="accuracy of a corpus' own probe minus accuracy of a probe of half of either corpus, as many training "
    "vectors in all, on unseen documents of that corpus; for both corpora",
    rationale="Three points are the price that a probe may pay for half as many documents of each corpus.",
)
def test_mixed_training_restores_accuracy(judge):
    """On both corpora, a probe of mixed texts loses less than .03 of accuracy at equal training size."""
    judge(
        difference(RAW, MIXED_ON_MAIN, name="accuracy lost by mixing on the main corpus").below(0.03),
        difference(
            TRANSFER_OWN, MIXED_ON_TRANSFER, name="accuracy lost by mixing on the transfer corpus"
        ).below(0.03),
        figures=[figures.mixed_training],
        as_published=AsPublished.NEVER,
    )


@claim(
    section="transfer",
    says="punctuation may explain the drop on another corpus",
    source=POST,
    where="Question 2: Dataset transferability?",
    estimand="half of the accuracy lost on the other corpus, minus what is lost where all punctuation was removed from "
    "both corpora before training",
    rationale="What explains a drop takes most of it away with it; and there has to be one.",
)
def test_punctuation_explains_the_drop(judge):
    """Removing punctuation from both corpora cuts the drop by more than half."""
    judge(
        half_the_drop(
            (RAW, TRANSFER), (STRIPPED, STRIPPED_TRANSFER), name="half the drop minus the drop that is left"
        ).above(0.0, otherwise="removing punctuation did not halve the loss"),
        difference(RAW, TRANSFER, name="accuracy lost on the other corpus").above(0.0),
        figures=[figures.punctuation],
        as_published=AsPublished.NEVER,
    )
