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
)
from layerclaims.experiments.probes import (
    MASKED,
    MASKED_AT_RANDOM,
    MASKED_TO_MEAN,
    MASKED_WIDEST,
    NORM,
    RANDOM,
    RAW,
    TRANSFER,
    UNIT,
    raw_of,
)

__all__ = [
    "MASKED",
    "MASKED_AT_RANDOM",
    "MASKED_TO_MEAN",
    "MASKED_WIDEST",
    "MIXED_ON_MAIN",
    "MIXED_ON_TRANSFER",
    "NORM",
    "RANDOM",
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
    "raw_of",
]
