"""Do embeddings form different spaces? Machine learning method."""

from harness.claim import claim


@claim(
    section="separability",
    says="a linear classifier tells a vector's layer far above guessing",
    where="Machine learning method",
    estimand="accuracy of the layer probe on documents it never saw",
    reported="gpt2 .92; gpt2-medium .8322; gpt2-xl ~.60 (chance ~.02)",
    reported_value=0.8322,
    rationale="A quarter of the way from chance to perfect is far above guessing for any number of layers; a probe "
    "on shuffled labels that beats chance would say that answers leak.",
)
def test_layers_linearly_separable(study, judge):
    """acc > quarter(.25), and the shuffled-label control's interval contains chance."""
    judge(
        study.accuracy("raw", name="accuracy").above(study.quarter(0.25)),
        study.accuracy("shuffled", name="accuracy on shuffled labels").contains(study.chance),
        figures=["confusion"],
    )


@claim(
    section="separability",
    says="embeddings of different layers belong to different subspaces",
    where="Conclusion",
    estimand="the lowest recall that any one layer has under the layer probe",
    rationale="The conclusion speaks of every layer, so the worst one decides.",
)
def test_every_layer_recognised(study, judge):
    """The lowest per-layer recall > quarter(.10)."""
    judge(study.lowest_recall("raw").above(study.quarter(0.10)), figures=["accuracy-by-layer"])
