"""What the published procedure says of models with planted truth: what is true of it, not of the model.

It differs from the rigorous protocol where its own ingredients speak: vectors of one text on either side of the split,
unit vectors of standardised features, a fixed number of steps at a fixed rate, and neighbours masked in place of the
dimensions that recur. Each of these is planted here, with a reason why it must come out.
"""

import pytest
from layerclaims.errors import NotTestedError
from layerclaims.experiments.probes import recurring_dimensions
from layerclaims.experiments.series import MASKED, MASKED_NEIGHBOURS, RAW
from layerclaims.experiments.study import Study
from layerclaims.protocol import Protocol
from layerclaims.verdicts.declaration import NEVER, AsPublished
from layerclaims.verdicts.registry import post_claims
from layerclaims.verdicts.verdict import Verdict

from tests.claims import planted

R, N, U = Verdict.REPLICATED, Verdict.NOT_REPLICATED, Verdict.INCONCLUSIVE
CHANCE = 1 / (planted.BLOCKS + 1)
TEXTS = 60
FEW = 40  # where the verdict is clear

SEPARATED = {"layers-linearly-separable": R, "transfer-beats-chance": R, "norm-is-not-the-only-feature": R}
# uniform entries are all positive: the norm of such a vector is a coordinate, along the sum of all axes, and a line
# cut into as many intervals as there are labels is what a linear probe can learn, however little it tells of states
READ_BY_LENGTH = {"random-vectors-fail": N}

DICTATED = {
    "equal": {
        "layers-linearly-separable": N,
        "norm-is-a-feature": N,
        "norm-is-not-the-only-feature": N,
        "random-vectors-fail": R,  # no label has norms of its own
        "layer-norms-grow-exponentially": N,
        "last-layer-norm-dominates": N,
        "transfer-beats-chance": N,
    },
    "norm only, exponential": {
        **SEPARATED,  # standardising moves the origin: what differed by length now differs by direction too
        **READ_BY_LENGTH,
        "norm-is-a-feature": R,
        "layer-norms-grow-exponentially": R,
        "last-layer-norm-dominates": R,
    },
    "norm only, one block": {
        **SEPARATED,
        **READ_BY_LENGTH,
        # standardised features put the two states on either side of the origin: unit vectors tell them apart
        "norm-is-a-feature": N,
        "layer-norms-grow-exponentially": Verdict.NOT_TESTED,  # of two states
        "last-layer-norm-dominates": Verdict.NOT_TESTED,
    },
    "shifted": {
        **SEPARATED,
        "random-vectors-fail": R,  # norms hardly differ
        "last-layer-norm-dominates": N,
    },
    "moved corpus": {
        "layers-linearly-separable": R,
        "accuracy-drops-on-another-corpus": R,
    },
}
# where the rigorous protocol says otherwise of the same model and texts: the finding is the procedure's
OTHERWISE = {
    "norm only, exponential": {"norm-is-not-the-only-feature": N, "random-vectors-fail": R},
    "norm only, one block": {
        "norm-is-a-feature": R,
        "norm-is-not-the-only-feature": N,
        "random-vectors-fail": R,  # isotropic directions have no axis along which a norm could be read
    },
}


@pytest.mark.parametrize(
    ("plant", "architecture", "seed"),
    [
        *((plant, "gpt2", 0) for plant in DICTATED),
        ("norm only, exponential", "llama", 1),
    ],
)
def test_the_published_procedure_says_what_is_planted(plant, architecture, seed, tmp_path):
    rigorous = planted.study(plant, architecture, tmp_path, seed=seed, n_texts=TEXTS)
    published = planted.published(rigorous)
    wrong = {}
    for study, dictated in ((published, DICTATED[plant]), (rigorous, OTHERWISE.get(plant, {}))):
        found = {row: planted.verdict(row, study) for row in dictated}
        wrong |= {
            f"{study.protocol.name}: {row}": f"{verdict}: {reason}"
            for row, (verdict, reason) in found.items()
            if verdict is not dictated[row]
        }
    assert not wrong
    if plant == "equal":
        # one vector stands under all labels: a split by vectors leaves those that are not tested for training,
        # and the probe names any but the right one
        assert published.counts(RAW).accuracy < CHANCE


@pytest.mark.parametrize(("architecture", "seed"), [("gpt2", 0), ("llama", 1)])
def test_masking_the_neighbours_of_the_only_dimensions_costs_nothing(architecture, seed, tmp_path):
    """The numbers of a figure that counts from 1 are not the dimensions that it shows."""
    # so many steps that the four outgrow, in every layer, the weights that others have had from the start
    rigorous = planted.study("four dimensions", architecture, tmp_path, seed=seed, n_texts=4 * TEXTS)
    published, row = planted.published(rigorous), "masking-recurring-dimensions-is-negligible"
    assert sorted(recurring_dimensions(published)) == list(planted.FOUR)
    assert published.counts(MASKED).accuracy < published.counts(RAW).accuracy - 0.5
    assert published.counts(MASKED_NEIGHBOURS).accuracy == published.counts(RAW).accuracy
    # where nothing at all is masked the row says so; test_planted_states.py has neighbours that are not empty
    verdict, reason = planted.verdict(row, published)
    assert verdict is U
    assert "No document differs" in reason
    assert planted.verdict(row, rigorous)[0] is N


@pytest.mark.parametrize(("architecture", "seed"), [("gpt2", 0), ("llama", 1)])
def test_a_scale_of_all_states_moves_the_published_accuracy_alone(architecture, seed, tmp_path):
    """A step of SGD at a fixed rate goes as far as the features are large; what a model tells has no unit."""
    row, found = "layers-linearly-separable", {}
    for scale in (1.0, 2.0**-9):
        rigorous = planted.study(
            "shifted", architecture, tmp_path / str(scale), seed=seed, n_texts=FEW, scale=scale
        )
        published = planted.published(rigorous)
        own = rigorous.judge(row)
        found[scale] = {
            "rigorous": (own.verdict, [part.finding.estimate.value for part in own.evidence.parts]),
            "published": planted.verdict(row, published)[0],
            "raw": published.counts(RAW).accuracy,
        }
    large, small = found.values()
    assert large["rigorous"][0] is small["rigorous"][0] is R
    assert small["rigorous"][1] == pytest.approx(large["rigorous"][1], abs=1e-3)
    assert (large["published"], small["published"]) == (R, N)
    assert large["raw"] > 0.95
    assert small["raw"] < 0.3


NEVER_PUBLISHED = (
    "every-layer-recognised",
    "decision-tree-separates",
    "layers-occupy-different-subspaces",
    "each-layer-uses-a-subspace",
    "layers-differ-beyond-their-means",
    "mixed-training-restores-accuracy",
    "punctuation-explains-the-drop",
    "early-norms-overlap",
    "unembedding-fits-the-last-layer-only",
    "unseen-tokens-are-classified",
    "layer-means-suffice",
    "new-tokens-explain-the-drop",
    "a-tenth-of-the-dimensions-suffices",
)


@pytest.mark.parametrize("row", NEVER_PUBLISHED)
def test_what_was_never_published_has_no_verdict(row):
    """Before a model is touched."""
    with pytest.raises(NotTestedError, match=NEVER):
        Study(Protocol(model="no such model", name="as-published")).judge(row)


def test_nothing_else_was_never_published():
    declared = {row: found.declaration for row, found in post_claims().items()}
    never = {row for row, rule in declared.items() if rule.as_published is AsPublished.NEVER}
    assert never == set(NEVER_PUBLISHED)
