"""The logit lens on tiny models: what transformers itself would count, and known answers."""

import dataclasses

import numpy as np
import pytest
import torch
from layerclaims.errors import NotTestedError
from layerclaims.experiments import inputs, lens, plan
from layerclaims.experiments.lens import logit_lens, sampled_positions
from layerclaims.experiments.series import LENS
from layerclaims.experiments.study import Study
from layerclaims.models.model import LanguageModel
from layerclaims.protocol import Protocol
from layerclaims.verdicts.declaration import rule_of
from layerclaims.verdicts.registry import registered
from layerclaims.verdicts.verdict import Verdict
from safetensors.torch import load_file, save_file

from tests import tiny

N_TEXTS, CONTEXT, BLOCKS = 40, 8, 5
ROW = "unembedding-fits-the-last-layer-only"


def made(architecture="llama", *, seed=0, spread=0.4):
    """A model that says more than one token: random weights of the usual size hardly move its states."""
    key = "n_layer" if architecture == "gpt2" else "num_hidden_layers"
    model = tiny.model(architecture, seed=seed, **{key: BLOCKS})
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(std=spread)
    return model


def without_head(place):
    """A model whose files hold no output head."""
    path = tiny.save(made(), place / "model")
    tensors = load_file(path / "model.safetensors")
    del tensors["lm_head.weight"]
    save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
    return path


def study_of(model, place, *, seed=0, **options):
    path = model if not isinstance(model, torch.nn.Module) else tiny.save(model, place / "model")
    corpus = tiny.write_jsonl(place / "main.jsonl", tiny.texts(60))
    protocol = Protocol(
        model=f"local:{path}",
        corpus=str(corpus),
        transfer_corpus=None,
        n_texts=N_TEXTS,
        context=CONTEXT,
        seed=seed,
    )
    return Study(protocol, cache_dir=place / "cache", device="cpu", **options)


def by_hand(model, study, norm):
    """Agreement [documents, L-1] and divergence [documents, L] by one forward of transformers a document."""
    store, values = study.store("main"), study.values(logit_lens)
    agreed, divergences = [], []
    for ids, at in zip(store.token_ids, values.arrays["positions"], strict=True):
        with torch.inference_mode():
            out = model(torch.from_numpy(ids)[None], output_hidden_states=True)
            own = out.logits[0, at]
            raw = [*out.hidden_states[1:-1]]
            said = [model.lm_head(norm(state))[0, at] for state in raw]
        agreed.append([int(one.argmax() == own.argmax()) for one in said])
        p = own.softmax(-1)
        divergences.append(
            [float((p * (own.log_softmax(-1) - one.log_softmax(-1))).sum()) for one in [*said, own]]
        )
    return np.array(agreed), np.array(divergences)


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_counts_what_transformers_counts(architecture, tmp_path):
    model = made(architecture)
    study = study_of(model, tmp_path)
    norm = model.transformer.ln_f if architecture == "gpt2" else model.model.norm
    agreed, divergence = by_hand(model, study, norm)
    counts = study.counts(LENS)
    np.testing.assert_array_equal(counts.correct, agreed)
    np.testing.assert_array_equal(counts.total, np.ones((N_TEXTS, BLOCKS - 1)))
    np.testing.assert_array_equal(counts.documents, study.store("main").document_ids)
    assert 0 < agreed.sum() < agreed.size
    np.testing.assert_allclose(study.values(logit_lens).arrays["kl"], divergence, rtol=1e-4, atol=1e-4)


def test_blocks_of_any_size_give_the_same(tmp_path, monkeypatch):
    study = study_of(made(), tmp_path)
    expected = study.values(logit_lens).arrays
    monkeypatch.setattr(lens, "BLOCK_BYTES", 7 * 4 * tiny.VOCABULARY)
    again = logit_lens.compute(study).arrays
    np.testing.assert_array_equal(again["logit lens/correct"], expected["logit lens/correct"])
    np.testing.assert_allclose(again["kl"], expected["kl"], rtol=1e-4, atol=1e-5)


def test_blocks_that_do_nothing_agree_everywhere(tmp_path):
    model = made()
    with torch.no_grad():
        for block in model.model.layers:
            block.self_attn.o_proj.weight.zero_()
            block.mlp.down_proj.weight.zero_()
    study = study_of(model, tmp_path)
    assert study.counts(LENS).correct.all()
    assert study.values(logit_lens).arrays["kl"].max() < 1e-4
    assert study.judge(ROW).verdict is Verdict.NOT_REPLICATED


def test_blocks_that_turn_the_stream_step_by_step_agree_late_only(tmp_path):
    """What a block adds outweighs all before it, so that only the last states know the output."""
    model = made(spread=0.05)
    with torch.no_grad():
        for i, block in enumerate(model.model.layers):
            block.self_attn.o_proj.weight.zero_()
            block.mlp.down_proj.weight.normal_(std=20.0**i, generator=torch.Generator().manual_seed(i))
    agreed = study_of(model, tmp_path).counts(LENS).recall
    assert agreed[0] < 0.3


class TestTheSample:
    def test_leaves_out_the_first_position(self):
        drawn = sampled_positions(2000, 1, 5, rng=np.random.default_rng(0))
        assert set(drawn.tolist()) == {1, 2, 3, 4}

    def test_of_a_study_never_has_the_first_position_and_depends_on_the_seed(self, tmp_path):
        model = tiny.save(made(), tmp_path / "shared")
        drawn = {}
        for seed in (0, 1):
            place = tmp_path / str(seed)
            place.mkdir()
            drawn[seed] = study_of(model, place, seed=seed).values(logit_lens).arrays["positions"]
            assert drawn[seed].min() >= 1
            assert drawn[seed].max() == CONTEXT - 1
        assert (drawn[0] != drawn[1]).any()

    def test_is_told_beside_the_verdict(self, tmp_path):
        facts = study_of(made(), tmp_path).judge(ROW).evidence.facts
        assert facts["sample"].startswith(f"one position of each of {N_TEXTS} texts, drawn by the seed,")
        assert facts["sample"].endswith(f"{BLOCKS - 1} states of each")


class TestNotTested:
    def reason(self, study):
        with pytest.raises(NotTestedError) as raised:
            study.judge(ROW)
        return str(raised.value)

    def test_a_model_of_few_blocks(self, tmp_path):
        study = study_of(tiny.model("llama"), tmp_path)
        assert self.reason(study).startswith("A model of 3 blocks has no 3 states before the last one")

    def test_a_model_whose_files_have_no_head(self, tmp_path):
        assert "not in its weight files" in self.reason(study_of(without_head(tmp_path), tmp_path))

    def test_as_published(self, tmp_path):
        study = study_of(made(), tmp_path)
        study.protocol = dataclasses.replace(study.protocol, name="as-published")
        assert self.reason(study).startswith("Never published")

    def test_logits_that_are_not_finite(self, tmp_path, monkeypatch):
        study = study_of(made(), tmp_path)
        own = study.unembedding()
        monkeypatch.setattr(
            lens.Study, "unembedding", lambda _: _Broken(own, bad=study.store("main").state(2))
        )
        assert "logits of state 2 that are not finite" in self.reason(study)


class _Broken:
    """Gives no numbers for the vectors of one state."""

    def __init__(self, own, bad):
        self._own, self._bad = own, {vector.tobytes() for document in bad for vector in document}
        self.vocabulary = own.vocabulary

    def __call__(self, states):
        logits = self._own(states).clone()
        if states[0].numpy().tobytes() in self._bad:
            logits[:] = torch.nan
        return logits


class TestTheHead:
    def prepared(self, study, rows=(ROW,)):
        declarations = [rule_of(registered(row).test) for row in rows]
        plan.make_plan([(study, declarations, ())]).prepare()

    @pytest.fixture
    def loads(self, monkeypatch):
        made_of, own = [], LanguageModel.load.__func__

        def load(cls, *args, **options):
            made_of.append(options.get("head"))
            return own(cls, *args, **options)

        monkeypatch.setattr(LanguageModel, "load", classmethod(load))
        return made_of

    def test_stays_when_the_lens_is_wanted_so_that_the_model_is_loaded_once(self, tmp_path, loads):
        study = study_of(made(), tmp_path)
        self.prepared(study)
        assert "_model" not in study.__dict__
        study.judge(ROW)
        assert loads == [True]

    def test_goes_when_the_lens_has_been_measured(self, tmp_path):
        study = study_of(made(), tmp_path)
        self.prepared(study)
        assert study._head is not None
        study.judge(ROW)
        assert study._head is None

    def test_is_not_kept_for_other_claims(self, tmp_path, loads):
        study = study_of(made(), tmp_path)
        self.prepared(study, ["last-layer-norm-dominates"])
        assert loads == [False]
        assert study._head is None

    def test_is_read_again_where_the_states_are_there_already(self, tmp_path, loads):
        first = study_of(made(), tmp_path)
        self.prepared(first, ["last-layer-norm-dominates"])
        again = Study(first.protocol, cache_dir=first.cache_dir, device="cpu")
        again.judge(ROW)
        assert loads == [False, True]

    def test_is_not_asked_for_again_once_the_lens_is_kept(self, tmp_path, loads):
        study = study_of(made(), tmp_path)
        study.judge(ROW)
        n = len(loads)
        Study(study.protocol, cache_dir=study.cache_dir, device="cpu").judge(ROW)
        assert len(loads) == n

    def test_that_is_not_there_is_not_looked_for_twice(self, tmp_path, loads):
        study = study_of(without_head(tmp_path), tmp_path)
        self.prepared(study)
        with pytest.raises(NotTestedError, match="not in its weight files"):
            study.judge(ROW)
        assert loads == [True]

    def test_is_checked_on_texts_of_the_corpus(self, tmp_path, monkeypatch):
        study, asked = study_of(made(), tmp_path), []
        own = LanguageModel.unembedding
        monkeypatch.setattr(
            LanguageModel, "unembedding", lambda self, ids: asked.append(ids.numpy()) or own(self, ids)
        )
        study.counts(LENS)
        expected = study.store("main").token_ids[: inputs.CHECKED_TEXTS, : inputs.CHECKED_TOKENS]
        np.testing.assert_array_equal(asked[0], expected)
