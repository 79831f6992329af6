"""Question 2: Dataset transferability?"""

from harness.claim import claim


@claim(
    section="transfer",
    says="accuracy drops on another corpus when the classifier is not retrained",
    where="Question 2: Dataset transferability?",
    estimand="accuracy on unseen documents of the main corpus minus accuracy of the same probes on the other corpus",
    reported=".83 -> .66",
    reported_value=0.17,
    rationale="Two points is more than corpora differ by from one sample to the next.",
)
def test_accuracy_drops_on_another_corpus(study, judge):
    """acc(A on A) - acc(A on B) > .02; B -> A is reported too."""
    judge(
        study.difference("raw", "transfer", name="accuracy lost on the other corpus").above(0.02),
        controls=[study.accuracy("transfer back", name="accuracy the other way round")],
        figures=["accuracy-by-corpus"],
    )


@claim(
    section="transfer",
    says="what remains on another corpus is far above guessing",
    where="Question 2: Dataset transferability?",
    estimand="accuracy on the other corpus of probes trained on the main one",
    reported=".66",
    reported_value=0.66,
    rationale="The same bar as for the main corpus.",
)
def test_transfer_beats_chance(study, judge):
    """acc(A on B) > quarter(.25)."""
    judge(
        study.accuracy("transfer", name="accuracy on the other corpus").above(study.quarter(0.25)),
        figures=["accuracy-by-corpus"],
    )
