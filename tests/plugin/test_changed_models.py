"""A run on a model with an adapter or another tokenizer, spread over devices, in its checkpoint's own format."""

from pathlib import Path
from typing import Any

import pytest
import torch
from layerclaims.cli.main import main

from tests import tiny
from tests.plugin_runs import Place, Run

SELECTED = ("-k", "random_vectors_fail", "--verdicts-only")


def option(run: Run, name: str) -> Any:
    """What results.json says of an option: its value and where it came from."""
    return next((o["value"], o["source"]) for o in run.results["protocol"]["options"] if o["name"] == name)


def check(run: Run) -> None:
    """The run ended well, and its file holds against itself."""
    assert run.status == 0, run.out + run.err
    assert main(["verify", str(run.directory / "results.json")]) == 0


def test_another_tokenizer_is_named_in_file_and_header(place: Place) -> None:
    tiny.tokenizer(bos=True).save_pretrained(place.path / "tokens")
    run = place.run(*SELECTED, "--tokenizer", f"{place.path}/tokens")
    check(run)
    named = f"{place.path}/model with the tokenizer {place.path}/tokens"
    assert run.results["model"]["name"] == named
    assert run.results["model"]["tokenizer"] == f"{place.path}/tokens"
    assert option(run, "tokenizer") == (f"{place.path}/tokens", "command line")
    assert named in run.out


def test_auto_is_said_as_it_was_asked_and_as_it_was_understood(place: Place) -> None:
    path = tiny.save(tiny.model("gpt2", n_layer=2).to(torch.bfloat16), place.path / "halves")
    run = place.run(*SELECTED, "--device-map", "auto", "--device", "cpu", model=path)
    check(run)
    assert (run.results["protocol"]["dtype"], run.results["model"]["dtype"]) == ("auto", "float32")
    assert option(run, "device_map") == ("auto", "command line")
    assert "tokenizer" not in run.results["model"]


def test_an_adapter_is_named_with_its_checksum_and_has_states_of_its_own(
    place: Place, tmp_path: Path
) -> None:
    peft = pytest.importorskip("peft")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of peft about transformers
        wrapped = peft.get_peft_model(
            tiny.model("gpt2", n_layer=2, n_embd=16), peft.LoraConfig(r=2, init_lora_weights=False)
        )
    wrapped.save_pretrained(tmp_path)
    run, plain = place.run(*SELECTED, "--adapter", str(tmp_path)), place.run(*SELECTED)
    check(run)
    assert run.results["model"]["adapter"]["name"] == str(tmp_path)
    assert len(run.results["model"]["adapter"]["sha256"]) == 64
    assert run.results["model"]["weights_sha256"] != plain.results["model"]["weights_sha256"]
