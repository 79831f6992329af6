"""A directory that is no model is refused by what it holds, quickly, and in one sentence."""

import json
import os

import pytest
from layerclaims.errors import LayerclaimsError
from layerclaims.models.directory import WEIGHTS
from layerclaims.models.files import MOST_JSON
from layerclaims.models.model import LanguageModel
from layerclaims.models.source import check_model_name, resolve
from layerclaims.models.tokenizer import Tokenizer

from tests import tiny


@pytest.fixture
def model(tmp_path):
    return tiny.build("gpt2", tmp_path / "m")


def refused(path, message):
    for ask in (check_model_name, resolve):
        with pytest.raises(LayerclaimsError, match=message) as caught:
            ask(str(path))
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 900


def edit(path, **entries):
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


class TestWhatIsThere:
    def test_an_adapter_beside_the_weights(self, model):
        (model / "adapter_config.json").write_text("{}")
        refused(
            model,
            r"has an adapter, 'adapter_config\.json', in .*; name the base model, and this directory as --adapter",
        )

    def test_an_adapter_only(self, tmp_path):
        (tmp_path / "adapter_model.safetensors").write_bytes(b"")
        refused(
            tmp_path,
            r"has an adapter, 'adapter_model\.safetensors', in .*, and no whole model; name the base model",
        )

    @pytest.mark.parametrize("file", ["pytorch_model.bin", "model.pt", "consolidated.00.pth"])
    def test_a_pickle(self, model, file):
        (model / WEIGHTS).rename(model / file)
        refused(model, f"only the pickle '{file}', which could run any code")

    @pytest.mark.parametrize("without_config", [False, True])
    def test_a_gguf_file(self, model, without_config):
        (model / WEIGHTS).rename(model / "whole.gguf")
        if without_config:
            (model / "config.json").unlink()
        refused(model, r"it has 'whole\.gguf'")

    def test_weights_that_no_index_lists(self, model):
        (model / WEIGHTS).rename(model / "model-00001-of-00002.safetensors")
        refused(model, r"it has 'model-00001-of-00002\.safetensors', which no index lists")

    def test_a_distributed_checkpoint(self, model):
        (model / "shard-00000-model-00001-of-00002.safetensors").write_bytes(b"")
        refused(model, "a part of a distributed checkpoint")

    @pytest.mark.parametrize(
        ("file", "key", "value"),
        [
            ("config.json", "transformers_weights", "other.safetensors"),
            ("config.json", "configuration_files", ["config.5.0.0.json"]),
            ("tokenizer_config.json", "fast_tokenizer_files", ["tokenizer.4.0.0.json"]),
        ],
    )
    def test_files_of_other_names_that_the_key_would_not_cover(self, model, file, key, value):
        edit(model / file, **{key: value})
        with pytest.raises(LayerclaimsError, match=f"names other files to read in '{key}'"):
            resolve(str(model))

    def test_quantised_weights_whose_package_is_missing(self, tmp_path):
        path = tiny.build("llama", tmp_path / "m")
        edit(path / "config.json", quantization_config={"quant_method": "awq", "bits": 4})
        with pytest.raises(
            LayerclaimsError, match="its weights are quantised with 'awq': install what that needs"
        ):
            LanguageModel.load(resolve(str(path)), device="cpu")

    def test_a_sentencepiece_model_whose_package_is_missing(self, tmp_path, monkeypatch):
        path = tiny.build("llama", tmp_path / "m")
        (path / "tokenizer.json").unlink()
        (path / "tokenizer.model").write_bytes(b"read by nobody")
        monkeypatch.setattr("layerclaims.models.tokenizer.find_spec", lambda _: None)
        with pytest.raises(
            LayerclaimsError, match=r"its tokenizer\.model is read with the packages sentencepiece"
        ):
            Tokenizer(resolve(str(path)))

    def test_shards_named_after_the_whole_file(self, tmp_path):
        path = tmp_path / "m"
        made = tiny.model("llama")
        made.save_pretrained(path, max_shard_size="60KB")
        tiny.tokenizer().save_pretrained(path)
        index = path / "model.safetensors.index.json"
        text = index.read_text()
        for shard in path.glob("model-*.safetensors"):
            other = shard.name.replace("model-", "model.safetensors-")
            shard.rename(path / other)
            text = text.replace(shard.name, other)
        index.write_text(text)
        facts = LanguageModel.load(resolve(str(path)), device="cpu").facts
        assert facts.n_parameters == made.num_parameters()


class TestFilesThatAreNone:
    @pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json", "vocab.txt"])
    @pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
    def test_a_pipe_or_directory_is_not_waited_for(self, model, file, make):
        (model / file).unlink(missing_ok=True)
        make(model / file)
        refused(model, rf"/{file}' is a (pipe, device or socket|directory) where a file is expected")

    def test_a_device(self, model):
        (model / "config.json").unlink()
        (model / "config.json").symlink_to("/dev/zero")
        refused(model, "is a pipe, device or socket where a file is expected")

    def test_a_loop_of_links(self, model):
        (model / WEIGHTS).unlink()
        (model / WEIGHTS).symlink_to(model / WEIGHTS)
        refused(model, "cannot be looked at")


class TestConfiguration:
    @pytest.mark.parametrize("value", [0, -1, 10**400, 12.0, True, "12", float("nan"), [3]])
    @pytest.mark.parametrize("key", ["n_layer", "n_embd", "n_positions", "n_head", "vocab_size"])
    def test_a_count_that_is_none(self, model, key, value):
        edit(model / "config.json", **{key: value})
        refused(model, f"has '{key}': .*, where a whole number from 1 to")

    @pytest.mark.parametrize(
        "text",
        ["", "{", "[]", '{"n_layer": ' + "1" * 5_000 + "}", '{"a": ' * 100_000, "\udcff"],
        ids=["empty", "cut off", "list", "digits", "nested", "bytes"],
    )
    def test_json_that_is_none(self, model, text):
        (model / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        refused(model, "cannot be read as JSON|is not a JSON object")

    def test_a_file_too_large_to_be_one(self, model):
        with (model / "config.json").open("r+b") as file:
            file.truncate(MOST_JSON + 1)
        refused(model, r"has more than 64\.0 MB, which no file of its kind has")
