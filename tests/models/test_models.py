"""Models: names, files, and that state i is block i's output in every architecture."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from layerclaims.activations.shards import check_finite
from layerclaims.errors import LayerclaimsError
from layerclaims.models.gguf import gguf_read_once
from layerclaims.models.model import LanguageModel
from layerclaims.models.source import check_model_name, resolve
from layerclaims.models.tokenizer import Tokenizer

from tests import tiny

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    """A directory for each architecture, made when first asked for."""
    base = tmp_path_factory.mktemp("models")
    return lambda name: (base / name) if (base / name).exists() else tiny.build(name, base / name)


@pytest.fixture(scope="module")
def gpt2(directories):
    return directories("gpt2")


def load(path, **options):
    return LanguageModel.load(resolve(str(path)), device="cpu", **options)


def ids_of(model, n=3, context=12):
    return torch.tensor([model.encode(text)[:context] for text in tiny.texts(n)])


@pytest.mark.parametrize("name", sorted(tiny.ARCHITECTURES))
class TestEveryArchitecture:
    def test_states_are_those_of_the_library_and_the_raw_last_one_besides(self, directories, name):
        from transformers import AutoModelForCausalLM

        model = load(directories(name))
        ids = ids_of(model)
        states = model.states(ids)
        oracle = AutoModelForCausalLM.from_pretrained(directories(name)).eval()
        with torch.inference_mode():
            hidden = oracle(ids, output_hidden_states=True).hidden_states
        n = model.facts.n_blocks
        assert len(hidden) == n + 1 == len(states) - 1
        for i in range(n):
            torch.testing.assert_close(states[i], hidden[i], rtol=0, atol=1e-5)
        if model.facts.final_norm:
            torch.testing.assert_close(states[n + 1], hidden[n], rtol=0, atol=1e-5)
            assert not torch.equal(states[n], states[n + 1])
        else:
            assert torch.equal(states[n], states[n + 1])

    def test_states_are_the_same_from_several_threads_at_once(self, directories, name):
        model = load(directories(name))
        batches = [ids_of(model)[i : i + 1] for i in range(3)] * 4
        alone = [model.states(ids) for ids in batches]
        with ThreadPoolExecutor(4) as pool:
            for one, other in zip(alone, pool.map(model.states, batches), strict=True):
                assert torch.equal(one, other)

    def test_the_last_raw_state_is_what_the_last_block_gives(self, directories, name):
        # independent of the hooks: with everything but the blocks' own arithmetic left alone, the final norm
        # module applied to state L gives the final state
        model = load(directories(name))
        states = model.states(ids_of(model))
        norm = model._anatomy.norm
        if norm is not None:
            with torch.inference_mode():
                torch.testing.assert_close(norm(states[-2]), states[-1])

    def test_a_batch_gives_what_single_texts_give(self, directories, name):
        model = load(directories(name))
        ids = ids_of(model)
        batch = model.states(ids)
        single = torch.cat([model.states(row[None]) for row in ids], dim=1)
        torch.testing.assert_close(batch, single, rtol=1e-4, atol=1e-5)

    def test_the_facts_agree_with_configuration_and_weights(self, directories, name):
        from transformers import AutoModelForCausalLM

        source, facts = resolve(str(directories(name))), load(directories(name)).facts
        oracle = AutoModelForCausalLM.from_pretrained(directories(name))
        assert facts.n_blocks == source.n_blocks == oracle.config.num_hidden_layers
        assert facts.hidden_size == source.hidden_size == tiny.HIDDEN
        assert facts.n_parameters == oracle.num_parameters()
        assert facts.tied_embeddings == bool(oracle.config.tie_word_embeddings)
        assert (facts.dtype, facts.architecture) == ("float32", type(oracle).__name__)


class TestLoading:
    def test_the_text_part_of_a_model_that_also_sees_is_read(self, tmp_path):
        from transformers import Gemma3Config, Gemma3ForConditionalGeneration, SiglipVisionConfig

        eyes = SiglipVisionConfig(
            hidden_size=16, intermediate_size=16, num_hidden_layers=3, num_attention_heads=2, image_size=28,
            patch_size=14,
        )  # fmt: skip
        config = Gemma3Config(
            text_config=tiny.config("gemma3").to_dict(), vision_config=eyes.to_dict(), mm_tokens_per_image=1,
            image_token_index=5, boi_token_index=6, eoi_token_index=7,
        )  # fmt: skip
        path = tiny.save(Gemma3ForConditionalGeneration(config), tmp_path / "m")
        model = load(path)
        assert (model.facts.n_blocks, model.facts.hidden_size) == (tiny.BLOCKS, tiny.HIDDEN)
        assert resolve(str(path)).n_blocks == tiny.BLOCKS

    def test_weights_saved_in_half_precision_are_read_as_float32(self, tmp_path):
        path = tiny.save(tiny.model("llama").to(torch.bfloat16), tmp_path / "m")
        model = load(path)
        assert model.states(ids_of(model)).dtype == torch.float32

    def test_bfloat16_is_kept_when_asked_for(self, gpt2):
        model = load(gpt2, dtype="bfloat16")
        assert model.facts.dtype == "bfloat16"
        assert model.states(ids_of(model)).dtype == torch.bfloat16

    def test_massive_activations_stay_finite_in_float32_and_are_refused_in_float16(self, tmp_path):
        made = tiny.model("gemma3")
        with torch.no_grad():
            made.get_input_embeddings().weight[0] += 100_000.0
        path = tiny.save(made, tmp_path / "m", bos=True)
        model = load(path)
        assert model.facts.bos_added
        states = model.states(ids_of(model))
        assert torch.isfinite(states).all()
        assert states[0, 0, 0].norm() > 100_000
        half = load(path, dtype="float16")
        overflowed = half.states(ids_of(half))
        with pytest.raises(
            LayerclaimsError, match=r"not finite; float16 cannot hold it: use --dtype float32"
        ):
            check_finite(overflowed, "m", "float16")

    def test_the_untrained_twin_is_one_for_a_seed_and_leaves_the_generator_alone(self, gpt2):
        torch.manual_seed(5)
        before = torch.random.get_rng_state()
        one, same, other = (load(gpt2, initialise=seed) for seed in (1, 1, 2))
        assert torch.equal(before, torch.random.get_rng_state())
        ids = ids_of(one)
        assert torch.equal(one.states(ids), same.states(ids))
        assert not torch.allclose(one.states(ids), other.states(ids))
        assert not torch.allclose(one.states(ids), load(gpt2).states(ids))

    def test_states_can_be_written_into_a_part_of_a_larger_array(self, gpt2):
        model = load(gpt2)
        ids = ids_of(model)
        out = torch.zeros(model.n_states, 5, 12, tiny.HIDDEN)
        model.states(ids, out=out[:, 1:4])
        assert torch.equal(out[:, 1:4], model.states(ids))
        assert not out[:, 0].any()

    def test_hooks_do_not_stay(self, gpt2):
        model = load(gpt2)

        def count():  # the library keeps some of its own for its hidden states
            return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model._decoder.modules())

        before = count()
        model.states(ids_of(model))
        assert count() == before

    def test_no_library_writes_to_the_screen(self, tmp_path, capfd):
        load(tiny.build("llama", tmp_path / "m"))
        capfd.readouterr()
        load(tmp_path / "m")
        assert capfd.readouterr() == ("", "")

    def test_tokens_outside_the_vocabulary_are_refused(self, gpt2):
        with pytest.raises(LayerclaimsError, match="gives token 320, but the model has 320 embeddings"):
            load(gpt2).states(torch.full((1, 4), 320))

    def test_missing_weights_are_not_filled_with_random_numbers(self, tmp_path):
        from safetensors.torch import load_file, save_file

        path = tiny.build("gpt2", tmp_path / "m")
        tensors = load_file(path / "model.safetensors")
        gone = next(name for name in tensors if "h.1.mlp.c_fc.weight" in name)
        del tensors[gone]
        save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(LayerclaimsError, match=r"lack 1 tensors .*h\.1\.mlp\.c_fc\.weight"):
            load(path)

    def test_damaged_weights_are_one_sentence(self, tmp_path):
        path = tiny.build("gpt2", tmp_path / "m")
        (path / "model.safetensors").write_bytes(b"junk")
        with pytest.raises(LayerclaimsError, match="is not a whole safetensors file"):
            load(path)

    def test_a_model_that_looks_ahead_is_refused(self, tmp_path):
        from transformers import BertConfig, BertLMHeadModel

        config = BertConfig(
            vocab_size=tiny.VOCABULARY, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
            intermediate_size=48,
        )  # fmt: skip
        path = tiny.save(BertLMHeadModel(config), tmp_path / "m")
        with pytest.raises(LayerclaimsError, match="depends on the tokens after it"):
            load(path)

    def test_an_unknown_or_remote_architecture_is_refused_without_running_its_code(self, tmp_path):
        path = tiny.build("gpt2", tmp_path / "m")
        config = json.loads((path / "config.json").read_text())
        marker = tmp_path / "ran"
        (path / "modeling_evil.py").write_text(f"open({str(marker)!r}, 'w')\n")
        config["model_type"] = "evil"
        config["auto_map"] = {"AutoConfig": "modeling_evil.C", "AutoModelForCausalLM": "modeling_evil.M"}
        (path / "config.json").write_text(json.dumps(config))
        with pytest.raises(LayerclaimsError, match="could not be loaded"):
            load(path)
        assert not marker.exists()

    @pytest.mark.parametrize(("option", "value"), [("dtype", "float8"), ("device", "abacus")])
    def test_a_bad_option_is_one_sentence(self, gpt2, option, value):
        with pytest.raises(LayerclaimsError, match=f"{option} '{value}'"):
            LanguageModel.load(resolve(str(gpt2)), **{option: value})

    def test_special_tokens_are_the_tokenizers_default(self, directories, tmp_path):
        plain = Tokenizer(resolve(str(directories("llama"))))
        with_bos = Tokenizer(resolve(str(tiny.build("llama", tmp_path / "m", bos=True))))
        assert with_bos("river") == [0, *plain("river")]
        assert (plain.bos_added, with_bos.bos_added) == (False, True)
        assert plain.batch(["river stone", "x"]) == [plain("river stone"), plain("x")]


class TestNames:
    def test_local_and_paths_lead_to_the_directory(self, gpt2, monkeypatch):
        monkeypatch.chdir(gpt2.parent)
        sources = [resolve(name) for name in (str(gpt2), "local:gpt2", "./gpt2", "gpt2/", f"local:{gpt2}")]
        assert {source.path for source in sources} == {gpt2}
        assert len({source.weights_sha256 for source in sources}) == 1
        assert {source.kind for source in sources} == {"directory"}

    def test_a_directory_with_the_spelling_of_a_hub_id_does_not_shadow_the_hub(self, gpt2, monkeypatch):
        monkeypatch.chdir(gpt2.parent)
        with pytest.raises(LayerclaimsError, match=r"not in the hub's local cache .*\./gpt2"):
            resolve("gpt2", offline=True)

    def test_checksums_follow_the_files_and_nothing_else(self, tmp_path):
        one = tiny.build("gpt2", tmp_path / "a")
        two = tiny.build("gpt2", tmp_path / "b")
        assert resolve(str(one)).weights_sha256 == resolve(str(two)).weights_sha256
        (two / "README.md").write_text("x")
        os.utime(two / "model.safetensors", (1, 1))
        assert resolve(str(one)).weights_sha256 == resolve(str(two)).weights_sha256
        other = resolve(str(tiny.build("gpt2", tmp_path / "c", seed=1)))
        assert other.weights_sha256 != resolve(str(one)).weights_sha256
        assert other.tokenizer_sha256 == resolve(str(one)).tokenizer_sha256
        bos = resolve(str(tiny.build("gpt2", tmp_path / "d", bos=True)))
        assert bos.tokenizer_sha256 != other.tokenizer_sha256

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("./nowhere", "does not exist"),
            ("local:nowhere", "does not exist"),
            ("nowhere.gguf", "does not exist"),
            ("", "is not the name of a model"),
            ("..", "config.json|does not exist"),
            ("a b", "is not the name of a model"),
            ("gpt2@", "is not a revision"),
            ("gpt2@..", "is not a revision"),
            ("owner/../x", "does not exist"),
            ("<img src=x>", "is not the name of a model"),
            ("x\x1b[31m" + "y" * 10_000, "is not the name of a model"),
        ],
    )
    def test_a_wrong_name_is_one_printable_sentence(self, name, message, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for ask in (check_model_name, resolve):
            with pytest.raises(LayerclaimsError, match=message) as caught:
                ask(name)
            assert str(caught.value).isprintable()
            assert len(str(caught.value)) < 600

    def test_pickles_are_refused_and_named(self, tmp_path):
        path = tiny.build("gpt2", tmp_path / "m")
        (path / "model.safetensors").rename(path / "pytorch_model.bin")
        with pytest.raises(
            LayerclaimsError, match=r"only the pickle 'pytorch_model.bin', which could run any code"
        ):
            resolve(str(path))

    def test_an_index_does_not_lead_out_of_the_directory(self, tmp_path):
        path = tiny.build("gpt2", tmp_path / "m")
        (path / "model.safetensors").rename(tmp_path / "outside.safetensors")
        index = path / "model.safetensors.index.json"
        index.write_text(json.dumps({"weight_map": {"a": "../outside.safetensors"}}))
        with pytest.raises(LayerclaimsError, match="is not the name of a safetensors file"):
            resolve(str(path))
        index.write_text(json.dumps({"weight_map": {"a": "model-00001-of-00001.safetensors"}}))
        with pytest.raises(LayerclaimsError, match="is incomplete"):
            resolve(str(path))

    def test_sharded_weights_are_read(self, tmp_path):
        path = tmp_path / "m"
        made = tiny.model("llama")
        made.save_pretrained(path, max_shard_size="60KB")
        tiny.tokenizer().save_pretrained(path)
        assert (path / "model.safetensors.index.json").exists()
        assert load(path).facts.n_parameters == made.num_parameters()

    @pytest.mark.parametrize("gone", ["config.json", "tokenizer.json"])
    def test_an_incomplete_directory_says_what_is_missing(self, tmp_path, gone):
        path = tiny.build("gpt2", tmp_path / "m")
        (path / gone).unlink()
        (path / "tokenizer_config.json").unlink()
        with pytest.raises(LayerclaimsError, match=f"has no {gone.split('.')[0]}"):
            resolve(str(path))

    def test_a_file_that_is_not_gguf_is_refused(self, tmp_path):
        (tmp_path / "m.gguf").write_bytes(b"junk")
        with pytest.raises(LayerclaimsError, match="is not GGUF"):
            resolve(str(tmp_path / "m.gguf"))

    def test_a_truncated_gguf_is_one_sentence(self, tmp_path):
        (tmp_path / "m.gguf").write_bytes(b"GGUF\x03\0\0\0")
        with pytest.raises(LayerclaimsError, match="is cut off"):
            Tokenizer(resolve(str(tmp_path / "m.gguf")))

    def test_gguf_is_read_once_until_it_changes(self, tmp_path, monkeypatch):
        import gguf
        import gguf.gguf_reader

        read, own = [], gguf.GGUFReader

        class Counting:
            def __init__(self, path):
                read.append(path)

        monkeypatch.setattr(gguf.gguf_reader, "GGUFReader", Counting)
        file = tmp_path / "m.gguf"
        file.write_bytes(b"GGUF\x03\0\0\0" + bytes(16))  # no tensor and no entry
        with gguf_read_once("m.gguf"):
            assert gguf.GGUFReader(str(file)) is gguf.GGUFReader(str(file))
        assert gguf.GGUFReader is own
        os.utime(file, ns=(0, 0))
        with gguf_read_once("m.gguf"):
            gguf.GGUFReader(str(file))
        assert read == [str(file)] * 2

    def test_resolving_needs_no_torch(self, gpt2):
        code = (
            "import sys; from layerclaims.models.source import resolve; "
            f"s = resolve({str(gpt2)!r}); assert s.n_blocks == {tiny.BLOCKS}; "
            "assert not {'torch', 'transformers'} & set(sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
