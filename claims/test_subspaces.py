"""Conclusion: embeddings of different layers belong to different subspaces."""

from harness.claim import claim
from harness.questions import geometry


@claim(
    section="subspaces",
    says="embeddings of different layers belong to different subspaces",
    where="Conclusion",
    estimand="mean principal angle between the PCA bases of layer i on one half of the documents and layer i+1 on the "
    "other, minus that of layer i with itself across the same halves, averaged over i",
    rationale="Two samples of one layer differ too: what counts is what goes beyond that. Five degrees are more than "
    "any sampling leaves.",
)
def test_layers_occupy_different_subspaces(study, judge):
    """The mean principal angle to the next layer exceeds the layer's own across halves by more than 5 degrees."""
    judge(geometry.angle_excess(study).above(5.0), figures=["angles"])


@claim(
    section="subspaces",
    says="each layer's representation utilises only a subspace",
    where="Machine learning method",
    estimand="exponential of the spectral entropy of the covariance of unit vectors over d, in the layer where it is "
    "largest",
    rationale="Half of the dimensions is the most that one would still call a part.",
)
def test_each_layer_uses_a_subspace(study, judge):
    """Effective rank / d < .5 in every layer."""
    judge(geometry.highest_rank(study).below(0.5), figures=["effective-rank"])
