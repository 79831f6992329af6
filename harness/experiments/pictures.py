"""The post's pictures: a sample of vectors of all layers in the plane of their first two principal components."""

from dataclasses import replace
from typing import Any, Final

import numpy as np
from layerclaims.errors import NotTestedError
from layerclaims.experiments.geometry import feature_scale, standardised
from layerclaims.experiments.measurement import Values, at_least, measurement
from layerclaims.experiments.study import Study
from layerclaims.metrics.geometry import sample_tokens
from layerclaims.metrics.plane import principal_plane
from numpy.typing import NDArray

SIZE: Final = 2_000  # vectors of a picture, about: equally many of each fold, the same tokens in every state
# the post's figures 2 to 4: as they are, of unit length, and those with state 0
RAW, UNIT, WITH_FIRST = "raw", "unit", "unit, with state 0"


@measurement("main", name="states-in-the-plane", weight=0.02, check=at_least(states=3, dimensions=2))
def planes(study: Study) -> Values:
    """Places of a sample in the plane of each picture.

    Arrays "KIND/places" [states, tokens, 2] and "KIND/shares" [2] of the variance. All but `WITH_FIRST` leave out
    state 0. Fact "documents": how many the tokens come from. Unit vectors are of standardised features as published.
    """
    store = study.store("main")
    tokens = sample_tokens(
        study.folds("main"),
        store.n_positions,
        study.n_labels,
        size=SIZE,
        first=study.first_position,
        rng=study.rng(25),
    )
    if not len(tokens.documents):
        raise NotTestedError("The texts have no position that counts.")
    documents, own = np.unique(tokens.documents, return_inverse=True)
    tokens = replace(tokens, documents=own)
    scale, raw, unit = feature_scale(study), [], []
    for i in study.states:
        state = store.state(i, documents)  # of which alone the disk is read
        raw.append(tokens.take(state, unit=False))
        if not np.isfinite(raw[-1]).all():
            raise NotTestedError(f"Some vectors of state {i} have values that are not finite.")
        unit.append(tokens.take(standardised(state, scale), unit=True))
    found = {RAW: np.stack(raw[1:]), UNIT: np.stack(unit[1:]), WITH_FIRST: np.stack(unit)}
    arrays: dict[str, NDArray[Any]] = {}
    for kind, vectors in found.items():
        plane = principal_plane(vectors)
        arrays[f"{kind}/places"] = plane.places.astype(np.float32)
        arrays[f"{kind}/shares"] = plane.shares
    return Values(arrays=arrays, facts={"documents": len(documents)})
