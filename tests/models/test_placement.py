"""A model that is spread over devices, memory and disk gives the states of one that is whole."""

import gc
import weakref

import pytest
import torch
from layerclaims.errors import LayerclaimsError
from layerclaims.models import placement
from layerclaims.models.model import LanguageModel
from layerclaims.models.source import resolve

from tests import tiny


@pytest.fixture(scope="module")
def sharded(tmp_path_factory):
    """A model in several files, some of whose weights transformers joins as it reads them."""
    path = tmp_path_factory.mktemp("placement") / "m"
    tiny.model("mixtral").save_pretrained(path, max_shard_size="60KB")
    tiny.tokenizer().save_pretrained(path)
    assert (path / "model.safetensors.index.json").exists()
    return path


def ids_of(model, n=3, context=12):
    return torch.tensor([model.encode(text)[:context] for text in tiny.texts(n)])


@pytest.fixture
def little_memory(monkeypatch):
    monkeypatch.setattr(placement, "available", lambda: 100_000)  # bytes; the model has more


@pytest.mark.usefixtures("little_memory")
class TestWithoutEnoughMemory:
    def test_weights_on_disk_give_the_same_states(self, sharded, tmp_path):
        whole = LanguageModel.load(resolve(str(sharded)), device="cpu")
        spread = LanguageModel.load(
            resolve(str(sharded)), device="cpu", device_map="auto", offload_dir=tmp_path / "offload"
        )
        assert any(p.device.type == "meta" for p in spread._decoder.parameters())  # on disk
        assert (whole.passes, spread.passes) == (2, 1)
        assert spread.device.type == "cpu"
        assert spread.facts == whole.facts
        assert torch.equal(spread.states(ids_of(whole)), whole.states(ids_of(whole)))

    def test_the_files_on_disk_go_with_the_model(self, sharded, tmp_path):
        model = LanguageModel.load(
            resolve(str(sharded)), device="cpu", device_map="auto", offload_dir=tmp_path / "offload"
        )
        assert list((tmp_path / "offload").iterdir())
        del model
        gc.collect()
        assert not list((tmp_path / "offload").iterdir())

    def test_the_unembedding_is_the_models_own(self, sharded, tmp_path):
        model = LanguageModel.load(
            resolve(str(sharded)), device="cpu", device_map="auto", offload_dir=tmp_path, head=True
        )
        ids = ids_of(model)
        assert model.unembedding(ids).vocabulary == tiny.VOCABULARY  # checked against the model's own logits

    def test_a_directory_that_cannot_be_written_is_one_sentence(self, sharded, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(LayerclaimsError, match="Weights cannot be kept on disk"):
            LanguageModel.load(
                resolve(str(sharded)), device="cpu", device_map="auto", offload_dir=tmp_path / "file" / "x"
            )


def test_what_a_killed_run_left_on_disk_is_removed_when_a_model_is_loaded(sharded, tmp_path):
    left, living = tmp_path / "layerclaims-weights-left", placement.Offload(tmp_path)
    left.mkdir()
    (left / "weights.dat").touch()
    LanguageModel.load(resolve(str(sharded)), device="cpu", offload_dir=tmp_path)
    assert list(tmp_path.iterdir()) == [living.path]


def test_with_enough_memory_nothing_is_spread(sharded):
    model = LanguageModel.load(resolve(str(sharded)), device="cpu", device_map="auto")
    assert not placement.is_spread(model._decoder)
    assert torch.equal(
        model.states(ids_of(model)),
        LanguageModel.load(resolve(str(sharded)), device="cpu").states(ids_of(model)),
    )


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (
            {"device_map": "balanced"},
            "--device-map 'balanced' is not possible: it has to be one of none, auto",
        ),
        ({"device_map": "auto", "device": "cuda:1"}, "leave out one of the two"),
        (
            {"device_map": "auto", "initialise": 1},
            "The untrained twin of .* cannot be made with --device-map",
        ),
        ({"dtype": "int8"}, "--dtype int8 needs the package bitsandbytes"),
    ],
)
def test_what_cannot_be_honoured_is_one_sentence(sharded, options, why, monkeypatch):
    monkeypatch.setattr("layerclaims.models.formats.find_spec", lambda _: None)
    with pytest.raises(LayerclaimsError, match=why):
        LanguageModel.load(resolve(str(sharded)), **{"device": "cpu", **options})


def test_states_leave_the_device_as_they_appear(tmp_path):
    """However deep the model, no more than the state that a block reads and the one that it gives are alive."""
    path = tiny.build("llama", tmp_path / "m", num_hidden_layers=8)
    model = LanguageModel.load(resolve(str(path)), device="cpu")
    alive, most = [], []

    def count(_, __, output):
        state = output if isinstance(output, torch.Tensor) else output[0]
        alive.append(weakref.ref(state))
        most.append(sum(ref() is not None for ref in alive))

    for block in model._anatomy.blocks:
        block.register_forward_hook(count)
    model.states(ids_of(model))
    assert len(most) == 8
    assert max(most) <= 2
