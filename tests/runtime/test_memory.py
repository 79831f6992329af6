"""Large matrices in a file: the same numbers, nothing left behind, one sentence where there is no room."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from layerclaims.errors import LayerclaimsError
from layerclaims.experiments.probes import layer_weights
from layerclaims.experiments.series import MIXED_ON_TRANSFER, RAW, SHUFFLED, TRANSFER, UNIT, at_context
from layerclaims.experiments.study import Study
from layerclaims.protocol import Protocol
from layerclaims.runtime.memory import Memory, automatic, parse

from tests import tiny

ROOT = Path(__file__).resolve().parents[2]


def test_only_a_matrix_above_the_limit_is_kept_in_a_file(tmp_path):
    memory = Memory(limit=400, directory=tmp_path / "matrices")
    assert not isinstance(memory.empty((10, 10)), np.memmap)
    assert not memory.directory.exists()
    large = memory.empty((10, 11))
    assert isinstance(large, np.memmap)
    assert (large.dtype, large.shape, large.flags.c_contiguous) == (np.float32, (10, 11), True)
    large[:] = 3
    assert large.sum() == 330
    assert list(memory.directory.iterdir()) == [], "a killed run leaves nothing"


def test_a_full_disk_is_a_sentence():
    # a file-size limit stands for a full disk: both refuse the same call
    code = (
        "import resource, signal, pathlib\n"
        "from layerclaims.runtime.memory import Memory\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "Memory(limit=0, directory=pathlib.Path('.')).empty((100, 100))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "LayerclaimsError: A matrix of 40.0 kB exceeds --memory" in done.stderr
    assert "--cache-dir" in done.stderr


@pytest.mark.parametrize(
    ("text", "size"), [("800MB", 800 * 10**6), ("1.5 GB", 1500 * 10**6), ("2tb", 2 * 10**12)]
)
def test_sizes_are_read_with_their_unit(text, size):
    assert parse(text) == size


def test_half_of_the_machine_is_the_default():
    assert parse("auto") == automatic() > 10**8


@pytest.mark.parametrize("text", ["", "4", "4 gigabytes", "-1GB", "1MB", "4GB\n", "٤GB"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(LayerclaimsError, match="--memory"):
        parse(text)


@pytest.mark.parametrize("name", ["rigorous", "as-published"])
def test_measurements_are_the_same_bit_for_bit(tmp_path, name):
    model = tiny.build("gpt2", tmp_path / "model", n_layer=2, n_embd=16)
    for seed, corpus in enumerate(("main", "transfer")):
        tiny.write_jsonl(tmp_path / f"{corpus}.jsonl", tiny.texts(60, seed=seed))
    protocol = Protocol(
        model=str(model),
        corpus=str(tmp_path / "main.jsonl"),
        transfer_corpus=str(tmp_path / "transfer.jsonl"),
        n_texts=40,
        context=8,
        name=name,
    )
    within, beyond = (
        Study(protocol, cache_dir=tmp_path / where, memory=limit) for where, limit in (("a", 10**9), ("b", 0))
    )
    for series in (RAW, UNIT, SHUFFLED, at_context(5), MIXED_ON_TRANSFER, TRANSFER):
        np.testing.assert_array_equal(within.counts(series).correct, beyond.counts(series).correct)
    assert isinstance(beyond.rows("main").x, np.memmap)
    for one, other in zip(layer_weights(within), layer_weights(beyond), strict=True):
        np.testing.assert_array_equal(one, other)
