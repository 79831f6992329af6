"""Do embeddings form different spaces? Reduction."""

from layerclaims import POST, claim
from layerclaims.quantities import first_position, geometry
from layerclaims.recording import figures


@claim(
    section="geometry",
    says="in PCA the layers form a drift, in order",
    source=POST,
    where="Reduction",
    estimand="Spearman correlation of the distance in depth |i - j| with the distance of the layers' centroids in the "
    "first two principal components of unit vectors",
    reported="Fig. 3",
    rationale="A correlation of .5 is what Cohen calls large.",
)
def test_pca_shows_drift(judge):
    """The Spearman correlation of distance in depth with distance of centroids, in the PCA plane of unit vectors, is
    above .5.
    """
    judge(
        geometry.drift.above(0.5),
        controls=[geometry.raw_drift, first_position.drift],
        figures=[figures.path_of_layers, figures.reductions],
    )


@claim(
    section="geometry",
    says="after normalisation the last layer is no longer far away",
    source=POST,
    where="Reduction",
    estimand="log of the last step of the path of centroids over its median step, for vectors as they are, minus the "
    "same for unit vectors; and the last step over the median step for unit vectors",
    reported="Fig. 2 against Fig. 3",
    rationale="If the norm alone put the last layer far away, unit vectors must bring it nearer by any amount; and "
    "three usual steps are the most that is “no longer far”.",
)
def test_normalising_tightens_drift(judge):
    """The last step over the median step is larger for vectors as they are than for unit vectors, and there below 3."""
    judge(
        geometry.tightening.above(0.0, otherwise="unit vectors do not bring the last layer nearer"),
        geometry.unit_last_step.below(3.0),
        controls=[geometry.final_tightening, first_position.tightening],
        figures=[figures.path_of_layers],
    )


@claim(
    section="geometry",
    says="with layer 0 included, the path of the layers closes to a ring (in GPT-2; not in GPT-2 XL)",
    source=POST,
    where="Reduction",
    estimand="distance of the centroid of layer 0 from that of layer L over the largest distance of two centroids, in "
    "the PCA plane of unit vectors; and the area that the path encloses over that of the disc on that distance",
    reported="Fig. 4",
    rationale="Ends that lie less than half the path's extent apart are what the eye reads as a ring, where the path "
    "does not come back the way it went: a fifth of the disc is the least area of a ring.",
)
def test_layer_zero_closes_a_ring(judge):
    """The first and the last centroid lie less than half of the path's extent apart, and the path encloses an area
    above .2.
    """
    judge(
        geometry.ring_gap.below(0.5),
        geometry.ring_area.above(0.2),
        controls=[geometry.final_ring_gap, first_position.ring_gap, first_position.ring_area],
        figures=[figures.path_of_layers],
        facts=[geometry.embeddings_tied],
    )


@claim(
    section="geometry",
    says="PCA shows the ideal result, t-SNE is more cluttered, UMAP inadequate",
    source=POST,
    where="Reduction",
    estimand="drift correlation of the layers' centroids under PCA minus that under t-SNE, and minus that under UMAP, "
    "each of the same sample of unit vectors; the mean over the folds, of which each is reduced by itself",
    rationale="PCA has to be better than either by whatever amount. t-SNE and UMAP put the same layers elsewhere at "
    "every run, so the interval is over samples that are reduced one by one. All is about samples of 500 vectors.",
)
def test_pca_orders_layers_better(judge):
    """The drift correlation of PCA is above that of t-SNE and above that of UMAP."""
    judge(
        geometry.advantage_over_tsne.above(0.0, otherwise="PCA orders the layers no better than t-SNE"),
        geometry.advantage_over_umap.above(0.0, otherwise="PCA orders the layers no better than UMAP"),
        figures=[figures.reductions],
    )
