"""Model names and directories that are wrong."""

# ruff: noqa: E501  a list is easier to read with one input a line

import json
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.faults.bad_inputs import SELECTION, BadInput
from tests.faults.world import World

Change = Callable[[Path], object]
ABSENT = object()
# key of config.json -> values that no Llama of this size has
CONFIG: dict[str, tuple[Any, ...]] = {
    "hidden_size": (
        0,
        -1,
        10**12,
        2**63,
        33,
        16,
        1.5,
        "32",
        None,
        [],
        {},
        float("nan"),
        float("inf"),
        ABSENT,
        True,
    ),
    "num_hidden_layers": (0, -1, 10**9, 4, 2.5, "3", None, float("nan"), [3]),
    "num_attention_heads": (0, -4, 5, 10**9, None, "4"),
    "num_key_value_heads": (0, -2, 3, "2"),
    "vocab_size": (0, -1, 10**13, 3, None, "320", float("nan")),
    "max_position_embeddings": (0, -1, "256", None, float("nan"), 4),
    "intermediate_size": (0, -1, 10**12, None, 47),
    "model_type": ("", "no_such_model", None, 7, [], "bert", "t5", "../llama", "llama\0"),
    "architectures": (["BertModel"],),
    "rms_norm_eps": ("x", None, float("nan"), -1e30),
    "rope_parameters": ("x", 7, {"rope_type": "no such"}, {"rope_type": "yarn"}),
    "hidden_act": ("no such", 7, None),
    "quantization_config": ({"quant_method": "no such"}, 7, {"load_in_8bit": True}),
    "auto_map": ({"AutoModelForCausalLM": "evil.Model"},),
    "text_config": ("x", [], 7),
    "torch_dtype": ("float99",),
    "dtype": ("float99", 7),
}
# what changes no number, or is what transformers takes for the usual
FINE = {
    "quantization_config={'quant_method': 'no such'}",
    "hidden_size=True", "architectures=['BertModel']", "auto_map={'AutoModelForCausalLM': 'evil.Model'}",
    "max_position_embeddings='256'", "max_position_embeddings=None", "text_config='x'", "text_config=[]", "text_config=7",
    "torch_dtype='float99'", "dtype='float99'", "dtype=7", "hidden_size='32'", "num_hidden_layers='3'", "vocab_size='320'",
    "num_attention_heads='4'", "num_key_value_heads='2'", "hidden_size=absent", "rope_parameters={'rope_type': 'yarn'}",
    "rope_parameters='x'", "rope_parameters=7", "quantization_config=7", "max_position_embeddings=nan", "rms_norm_eps=None",
}  # fmt: skip


def inputs() -> Iterator[BadInput]:
    """All of them."""
    for key, values in CONFIG.items():
        for value in values:
            said = "absent" if value is ABSENT else repr(value)
            name = f"{key}={said}"
            yield _of_directory("config.json", name, _with_config(key, value), fine=name in FINE)
    for name, change in DIRECTORIES.items():
        yield _of_directory("model directory", name, change, fine=name in FINE_DIRECTORIES)
    for name in NAMES:

        def make(world: World, place: Path, name: str = name) -> Callable[[], int]:
            return world.pytest(SELECTION, place, "--offline", model=name)

        yield BadInput(kind="model name", name=repr(name)[:60], make=make)


def _of_directory(kind: str, name: str, change: Change, *, fine: bool = False) -> BadInput:
    def make(world: World, place: Path) -> Callable[[], int]:
        model = place / "model"
        shutil.copytree(world.model, model)
        change(model)
        return world.pytest(SELECTION, place, model=model)

    return BadInput(kind=kind, name=name, make=make, fine=fine)


def _with_config(key: str, value: Any) -> Change:
    def change(model: Path) -> None:
        config = json.loads((model / "config.json").read_bytes())
        config[key] = value
        if value is ABSENT:
            del config[key]
        (model / "config.json").write_text(json.dumps(config), "ascii")

    return change


def _content(file: str, content: bytes) -> Change:
    return lambda model: (model / file).write_bytes(content)


def _cut(file: str, size: int) -> Change:
    return lambda model: os.truncate(model / file, size)


def _in_place(file: str, what: Callable[[Path], object]) -> Change:
    def change(model: Path) -> None:
        (model / file).unlink()
        what(model / file)

    return change


def _header(change: Callable[[dict[str, Any]], object], *, length: int | None = None) -> Change:
    """Change the header of the weights; `length` is what the file then says of its header's length."""

    def made(model: Path) -> None:
        path = model / "model.safetensors"
        data = path.read_bytes()
        (size,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + size])
        change(header)
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data[8 + size :])

    return made


def _first(header: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = header[sorted(name for name in header if name != "__metadata__")[0]]
    return found


def _index(*files: str) -> Change:
    def change(model: Path) -> None:
        (model / "model.safetensors").rename(model / "model-00001-of-00001.safetensors")
        listed = {f"tensor.{number}": file for number, file in enumerate(files)}
        (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": listed}), "utf-8")

    return change


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 177384\n"
DEEP = b"[" * 100_000
DIRECTORIES: dict[str, Change] = {
    "empty": lambda model: [path.unlink() for path in model.iterdir()],
    **{
        f"{file} {what}": change
        for file in ("config.json", "tokenizer.json", "model.safetensors")
        for what, change in {
            "absent": lambda model, file=file: (model / file).unlink(),
            "empty": _content(file, b""),
            "half": lambda model, file=file: os.truncate(model / file, (model / file).stat().st_size // 2),
            "a FIFO": _in_place(file, os.mkfifo),
            "a directory": _in_place(file, Path.mkdir),
            "a link to itself": _in_place(file, lambda path: path.symlink_to(path.name)),
            "/dev/zero": _in_place(file, lambda path: path.symlink_to("/dev/zero")),
            "an LFS pointer": _content(file, LFS),
            "binary": _content(file, bytes(range(256))),
            "nested deeply": _content(file, DEEP),
            "a list": _content(file, b"[]"),
        }.items()
    },
    "config.json a number of 5,000 digits": _content("config.json", b'{"model_type": "llama", "hidden_size": ' + b"9" * 5000 + b"}"),
    "weights of 7 bytes": _cut("model.safetensors", 7),
    "weights of 8 bytes": _cut("model.safetensors", 8),
    "weights without the last byte": lambda model: os.truncate(
        model / "model.safetensors", (model / "model.safetensors").stat().st_size - 1
    ),
    "header of 2**63 bytes": _header(lambda _: None, length=2**63),
    "header of 0 bytes": _header(lambda _: None, length=0),
    "header of 100 GB": _header(lambda _: None, length=10**11),
    "a dtype that is none": _header(lambda header: _first(header).update(dtype="F99")),
    "weights of int8": _header(lambda header: _first(header).update(dtype="I8")),
    "another shape": _header(lambda header: _first(header).update(shape=[1])),
    "a negative shape": _header(lambda header: _first(header).update(shape=[-1, 32])),
    "offsets that run backwards": _header(lambda header: _first(header).update(data_offsets=[8, 0])),
    "offsets outside the file": _header(lambda header: _first(header).update(data_offsets=[0, 2**60])),
    "index out of the directory": _index("../../../etc/passwd"),
    "index to an absolute path": _index("/etc/passwd.safetensors"),
    "index to a missing file": _index("model-00001-of-00002.safetensors"),
    "index to a pickle": _index("pytorch_model.bin"),
    "index of nothing": _index(),
    "index without the tensors": _index("model-00001-of-00001.safetensors"),
    "only a pickle": lambda model: (model / "model.safetensors").rename(model / "pytorch_model.bin"),
    "an adapter beside": _content(
        "adapter_config.json", b'{"peft_type": "LORA", "r": 8, "target_modules": ["q_proj"], "base_model_name_or_path": "x"}'
    ),
    "tokenizer_config.json that is none": _content("tokenizer_config.json", b"[1"),
    "a tokenizer of another class": _content("tokenizer_config.json", b'{"tokenizer_class": "NoSuchTokenizer"}'),
    "weights not finite": lambda model: _nan(model / "model.safetensors"),
    "fewer tensors": _header(lambda header: header.pop(sorted(name for name in header if "layers.1" in name)[0])),
}  # fmt: skip
# an adapter that is not applied is for the other engineers' tests; here it must not crash
FINE_DIRECTORIES = {"a tokenizer of another class", "tokenizer_config.json that is none"}


def _nan(path: Path) -> None:
    data = bytearray(path.read_bytes())
    (size,) = struct.unpack("<Q", data[:8])
    data[8 + size :] = b"\xff" * (len(data) - 8 - size)
    path.write_bytes(data)


NAMES = (
    "", " ", ".", "..", "/", "//", "./", "~nobody-of-this-name/model", "local:", "local:/nowhere", "./nowhere", "/dev/null",
    "/dev/zero", "a" * 300, "a/" + "b" * 300, "./" + "c" * 5000, "no-such-model-of-anybody", "owner/name/more", "gpt2@",
    "gpt2@no-such-revision", "@", "name\nnewline", "\x1b[31mred", "nul\0byte", "\u202egnirts", "ünïcode", "-x", "--",
    "nowhere.gguf", ".gguf", "./nowhere/.gguf", "http://127.0.0.1:9/x", "hf:", "embedded:", "../" * 200, "model.bin",
    "\udcff",
)  # fmt: skip
