"""Conclusion: embeddings of different layers belong to different subspaces."""

from layerclaims import CENTRED, POST, SHAPES, SHAPES_OF_ONE_SIZE, AsPublished, accuracy, claim, quarter
from layerclaims.quantities import first_position, geometry
from layerclaims.recording import figures


@claim(
    section="subspaces",
    says="embeddings of different layers belong to different subspaces",
    source=POST,
    where="Conclusion",
    estimand="for neighbouring layers, of unit vectors around their layer's mean: of the variance of layer i on one "
    "half of the documents that its own first 10 principal directions from the other half carry, the share that those "
    "of layer i+1 do not; the lowest over i",
    rationale="Directions that were found on other documents miss some variance of their own layer too: what counts "
    "is what goes beyond that. A twentieth is the least that one would call a subspace of its own.",
)
def test_layers_occupy_different_subspaces(judge):
    """In every layer, the directions of the next layer miss more than .05 of the variance."""
    judge(
        geometry.missed_by_neighbour.above(
            0.05, otherwise="one layer at least lies almost wholly in the directions of the next"
        ),
        controls=[first_position.missed_by_neighbour],
        figures=[figures.missed_by_neighbours, figures.angles],
        as_published=AsPublished.NEVER,
    )


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
    """In every layer, the effective rank is below half of the dimensions."""
    judge(
        geometry.highest_rank.below(0.5),
        controls=[first_position.highest_rank],
        figures=[figures.effective_rank],
        as_published=AsPublished.NEVER,
    )


@claim(
    section="subspaces",
    says="embeddings of different layers belong to different subspaces, not only to different places",
    source=POST,
    where="Conclusion",
    estimand="accuracy of a quadratic classifier (one shrunk covariance a layer) on documents it never saw, after the "
    "mean of each vector's own layer was taken off",
    rationale="What is left without the means is shape and size of the layers: the same bar as for the linear "
    "classifier, on that alone.",
)
def test_layers_differ_beyond_their_means(judge):
    """A quadratic classifier of states without their own layer's mean has an accuracy above quarter(.25)."""
    judge(
        accuracy(SHAPES, name="accuracy of shapes alone").above(quarter(0.25)),
        controls=[
            accuracy(CENTRED, name="accuracy of the linear probe on the same"),
            accuracy(SHAPES_OF_ONE_SIZE, name="accuracy of shapes of one size"),
        ],
        figures=[figures.beyond_means],
        as_published=AsPublished.NEVER,
    )
