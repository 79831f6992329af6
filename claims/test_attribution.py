"""Question 1: Visualization of classify attribution?"""

from harness.claim import claim


@claim(
    section="attribution",
    says="the largest contribution of one dimension is about 1 %",
    where="Question 1: Visualization of classify attribution?",
    estimand="largest share of one dimension in one layer's sum of |weight| x standard deviation of the feature",
    reported="~.01",
    reported_value=0.01,
    rationale="Five times what the post saw would be a dimension that stands out.",
)
def test_no_dimension_dominates(study, judge):
    """Max share over dimensions and layers < .05."""
    judge(study.largest_share().below(0.05))


@claim(
    section="attribution",
    says="masking the four recurring dimensions barely matters",
    where="Question 1: Visualization of classify attribution?",
    estimand="accuracy minus accuracy with the four recurring dimensions set to zero",
    reported=".8322 -> .8303",
    reported_value=0.0019,
    rationale="“Barely” is a claim of equivalence: it takes an interval inside the margin, not a missing difference.",
)
def test_masking_recurring_dimensions_is_negligible(study, judge):
    """Equivalence: the 90 % interval of acc - acc(masked) lies inside +-.01."""
    judge(
        study.difference("raw", "masked", name="accuracy lost by masking", equivalence=True).inside(0.01),
        controls=[
            study.difference("raw", "masked to mean", name="lost with the mean in place of zero"),
            study.difference("raw", "masked at random", name="lost by masking four random dimensions"),
            study.difference("raw", "masked widest", name="lost by masking the four of largest variance"),
        ],
        figures=["accuracy-masked"],
        facts={"recurring dimensions": ", ".join(map(str, study.recurring_dimensions))},
    )
