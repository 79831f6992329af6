"""Question 3: Training stability?"""

from layerclaims import POST, claim, rule
from layerclaims.quantities import attribution, stability
from layerclaims.recording import figures


@claim(
    section="stability",
    says="training is stable: the accuracy range of the model is guaranteed",
    source=POST,
    where="Question 3: Training stability?",
    estimand="standard deviation of accuracy over runs with other training and test documents; as published over three "
    "runs on the same texts, each with a split, a start and an order of its own",
    rationale="A point of accuracy is the smallest difference that the post speaks of.",
)
def test_accuracy_stable_across_runs(judge):
    """Over five or more splits of the documents, the upper 95 % bound of the accuracy's standard deviation is below
    .01.
    """
    judge(stability.spread_of_accuracy.below(0.01), figures=[figures.accuracy_by_run])


@claim(
    section="stability",
    says="the same dimensions recur in repeated experiments",
    source=POST,
    where="Question 3: Training stability?",
    estimand="mean pairwise Jaccard overlap of the runs' ten most recurring dimensions; each run is a probe of one "
    "fold's documents alone",
    reported="dimensions 591, 690, 581 and 239",
    rationale="Overlap above .3 means that two runs share about half of their ten. Runs on shuffled labels agree too, "
    "and these have to agree more.",
)
def test_top_dimensions_recur_across_runs(judge):
    """The mean overlap (Jaccard) of two runs' recurring dimensions is above .3, and above that of runs on shuffled
    labels.
    """
    judge(
        attribution.overlap_of_runs.above(0.3),
        attribution.overlap_beyond_shuffled.above(0.0),
        controls=[attribution.overlap_of_shuffled_runs],
        figures=[figures.top_dimensions],
        as_published=rule(attribution.overlap_of_runs.above(0.3), figures=[figures.top_dimensions]),
    )
