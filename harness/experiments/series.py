"""Every series that a claim can ask for, by the name of its constant."""

from layerclaims.experiments.conditions import (
    MIXED_ON_MAIN,
    MIXED_ON_TRANSFER,
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
from layerclaims.experiments.probes import (
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

__all__ = [
    "MASKED",
    "MASKED_AT_RANDOM",
    "MASKED_NEIGHBOURS",
    "MASKED_TO_MEAN",
    "MASKED_WIDEST",
    "MIXED_ON_MAIN",
    "MIXED_ON_TRANSFER",
    "NORM",
    "RANDOM",
    "RANDOM_TRAINED",
    "RAW",
    "SHUFFLED",
    "SIZES",
    "STRIPPED",
    "STRIPPED_TRANSFER",
    "TRANSFER",
    "TRANSFER_BACK",
    "TRANSFER_OWN",
    "TREE",
    "UNIT",
    "at_context",
    "of_texts",
    "raw_of",
]
