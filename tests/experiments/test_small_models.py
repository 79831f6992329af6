"""A model with fewer states or dimensions than a rule needs is not tested: its size would decide, not its states."""

from unittest import mock

import numpy as np
import pytest
from layerclaims.errors import NotTestedError
from layerclaims.experiments.study import Study
from layerclaims.metrics import geometry
from layerclaims.protocol import Protocol
from layerclaims.verdicts.registry import post_claims
from layerclaims.verdicts.verdict import Verdict

from tests import tiny
from tests.claims.synthetic import Drawn

ANY = 2, 1  # states and dimensions of the smallest model that there is
LEAST = {
    "no-dimension-dominates": (3, 21),
    "contribution-is-distributed": (3, 21),
    "few-dimensions-recur": (5, 38),
    "attribution-sign-flips-with-depth": (3, 11),
    "masking-recurring-dimensions-is-negligible": (2, 11),
    "pca-shows-drift": (6, 1),
    "normalising-tightens-drift": (4, 1),
    "layer-zero-closes-a-ring": (4, 2),
    "pca-orders-layers-better": (6, 1),
    "layer-norms-grow-exponentially": (5, 1),
    "last-layer-norm-dominates": (3, 1),
    "early-norms-overlap": (6, 1),
    "a-tenth-of-the-dimensions-suffices": (2, 10),
    "top-dimensions-recur-across-runs": (2, 22),
    "layers-occupy-different-subspaces": (2, 11),
    "each-layer-uses-a-subspace": (2, 3),
}


def refused(row, states, dimensions):
    """Why a row is not tested in a model of that size, before anything is measured; None where it is."""
    study = Drawn(seed=0, labels=states, weights=np.ones((5, dimensions, states)))
    rule = post_claims()[row].declaration
    with mock.patch.object(geometry, "check_installed"):
        try:
            for need in rule.needs:
                study.check(need)
            for condition in rule.conditions:
                condition.quantity.check(study)
        except NotTestedError as error:
            return str(error)
    return None


@pytest.mark.parametrize("row", LEAST)
def test_a_row_is_tested_from_some_size_on(row):
    states, dimensions = LEAST[row]
    assert refused(row, states, dimensions) is None
    if states > ANY[0]:
        assert "too small" in refused(row, states - 1, dimensions)
    if dimensions > ANY[1]:
        assert "too small" in refused(row, states, dimensions - 1)


@pytest.mark.parametrize("row", sorted(set(post_claims()) - set(LEAST) - {"larger-model-lower-accuracy"}))
def test_other_rows_are_tested_whatever_the_size(row):
    assert refused(row, *ANY) is None


@pytest.mark.parametrize(("blocks", "width"), [(1, 4), (2, 8), (3, 10)])
def test_no_row_of_a_tiny_model_errs(tmp_path, blocks, width):
    """Every row is judged, or says in one sentence before it measures anything that the model is too small."""
    model = tiny.build("gpt2", tmp_path / "model", n_layer=blocks, n_embd=width, n_head=1)
    main, other = (
        str(tiny.write_jsonl(tmp_path / f"{seed}.jsonl", tiny.texts(40, seed=seed, words=(30, 40))))
        for seed in (1, 2)
    )
    protocol = Protocol(model=str(model), corpus=main, transfer_corpus=other, n_texts=40, context=8)
    study = Study(protocol, cache_dir=tmp_path / "cache", device="cpu")
    for row in post_claims():
        states, dimensions = LEAST.get(row, ANY)
        if row == "larger-model-lower-accuracy":
            continue
        if blocks + 1 < states or width < dimensions:
            with pytest.raises(NotTestedError, match=r"^The model is too small for this: [^.]*\.$"):
                study.judge(row)
        else:
            assert study.judge(row).verdict in set(Verdict) - {Verdict.ERROR, Verdict.NOT_TESTED}
