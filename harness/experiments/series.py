"""Every series that a claim can ask for, by the name of its constant."""

from layerclaims.experiments.closed_form import (
    CENTRED,
    LDA,
    NEAREST_MEAN,
    SHAPES,
    SHAPES_OF_ONE_SIZE,
)
from layerclaims.experiments.conditions import (
    ALL_POSITIONS,
    MIXED_ON_MAIN,
    MIXED_ON_TRANSFER,
    OWN_CONTEXT,
    SHUFFLED,
    SIZES,
    STRIPPED,
    STRIPPED_TRANSFER,
    TRANSFER_BACK,
    TRANSFER_OWN,
    TREE,
    at_context,
    of_texts,
)
from layerclaims.experiments.dimensions import A_TENTH
from layerclaims.experiments.lens import LENS
from layerclaims.experiments.probes import (
    EARLY,
    MASKED,
    MASKED_AT_RANDOM,
    MASKED_NEIGHBOURS,
    MASKED_TO_MEAN,
    MASKED_WIDEST,
    NORM,
    RANDOM,
    RAW,
    TRANSFER,
    UNIT,
)
from layerclaims.experiments.random_vectors import RANDOM_TRAINED
from layerclaims.experiments.runs import raw_of
from layerclaims.experiments.tokens import CONTROL_TASK, SEEN, TRANSFER_SEEN, UNSEEN

__all__ = [
    "ALL_POSITIONS",
    "A_TENTH",
    "CENTRED",
    "CONTROL_TASK",
    "EARLY",
    "LDA",
    "LENS",
    "MASKED",
    "MASKED_AT_RANDOM",
    "MASKED_NEIGHBOURS",
    "MASKED_TO_MEAN",
    "MASKED_WIDEST",
    "MIXED_ON_MAIN",
    "MIXED_ON_TRANSFER",
    "NEAREST_MEAN",
    "NORM",
    "OWN_CONTEXT",
    "RANDOM",
    "RANDOM_TRAINED",
    "RAW",
    "SEEN",
    "SHAPES",
    "SHAPES_OF_ONE_SIZE",
    "SHUFFLED",
    "SIZES",
    "STRIPPED",
    "STRIPPED_TRANSFER",
    "TRANSFER",
    "TRANSFER_BACK",
    "TRANSFER_OWN",
    "TRANSFER_SEEN",
    "TREE",
    "UNIT",
    "UNSEEN",
    "at_context",
    "of_texts",
    "raw_of",
]
