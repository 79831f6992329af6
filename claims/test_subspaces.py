"""Conclusion: embeddings of different layers belong to different subspaces."""

from layerclaims import POST, AsPublished, claim
from layerclaims.quantities import geometry
from layerclaims.recording import figures


@claim(
    section="subspaces",
    says="embeddings of different layers belong to different subspaces",
    source=POST,
    where="Conclusion",
    estimand="mean principal angle between the PCA bases of layer i on one half of the documents and layer i+1 on the "
    "other, minus that of layer i with itself across the same halves, averaged over i",
    rationale="Two samples of one layer differ too: what counts is what goes beyond that. Five degrees are more than "
    "any sampling leaves.",
)
def test_layers_occupy_different_subspaces(judge):
    """The mean principal angle to the next layer exceeds the layer's own across halves by more than 5 degrees."""
    judge(geometry.angle_excess.above(5.0), figures=[figures.angles], as_published=AsPublished.NEVER)


@claim(
    section="subspaces",
    says="each layer's representation utilises only a subspace",
    source=POST,
    where="Machine learning method",
    estimand="exponential of the spectral entropy of the covariance of unit vectors over d, in the layer where it is "
    "largest",
    rationale="Half of the dimensions is the most that one would still call a part.",
)
def test_each_layer_uses_a_subspace(judge):
    """Effective rank / d < .5 in every layer."""
    judge(geometry.highest_rank.below(0.5), figures=[figures.effective_rank], as_published=AsPublished.NEVER)
