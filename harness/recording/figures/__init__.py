"""The figures of our own claims, by their names."""

from layerclaims.recording.figures.accuracy import (
    accuracy_by_classifier,
    accuracy_by_corpus,
    accuracy_by_dimensions,
    accuracy_by_features,
    accuracy_by_layer,
    accuracy_by_model,
    accuracy_by_run,
    accuracy_by_size,
    accuracy_by_token,
    accuracy_in_closed_form,
    accuracy_masked,
    beyond_means,
    confusion,
    mixed_training,
    punctuation,
)
from layerclaims.recording.figures.attribution import cumulative_contribution, largest_shares, top_dimensions
from layerclaims.recording.figures.geometry import (
    angles,
    effective_rank,
    missed_by_neighbours,
    path_of_layers,
    reductions,
)
from layerclaims.recording.figures.lens import lens_agreement, lens_divergence
from layerclaims.recording.figures.norms import early_norms_by_state, laws_of_growth, norms_by_layer
from layerclaims.recording.figures.published import (
    accuracy_by_context,
    accuracy_by_texts,
    learning_accuracy,
    learning_loss,
)

__all__ = [
    "accuracy_by_classifier",
    "accuracy_by_context",
    "accuracy_by_corpus",
    "accuracy_by_dimensions",
    "accuracy_by_features",
    "accuracy_by_layer",
    "accuracy_by_model",
    "accuracy_by_run",
    "accuracy_by_size",
    "accuracy_by_texts",
    "accuracy_by_token",
    "accuracy_in_closed_form",
    "accuracy_masked",
    "angles",
    "beyond_means",
    "confusion",
    "cumulative_contribution",
    "early_norms_by_state",
    "effective_rank",
    "largest_shares",
    "laws_of_growth",
    "learning_accuracy",
    "learning_loss",
    "lens_agreement",
    "lens_divergence",
    "missed_by_neighbours",
    "mixed_training",
    "norms_by_layer",
    "path_of_layers",
    "punctuation",
    "reductions",
    "top_dimensions",
]
