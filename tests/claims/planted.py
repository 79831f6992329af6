"""Planted truth: models in which each claim is true or false by construction, saved as a user has them.

`build(plant, architecture, directory, seed)` saves a real GPT-2 or Llama of transformers. Every block's attention
adds exactly nothing; what the MLP adds is set by hand, so that state i is known from state 0:

- "equal": nothing is added, all states are equal.
- "norm only, exponential" and "norm only, linear": state i = c_i * state 0, c_i growing by a factor or by a step.
- "norm only, one block": two states, the second twenty times the first.
- "shifted", "shifted, equal norms", "shifted ever further": state i = state 0 + V_i with one V_i for all tokens.
- "shifted, wide": by less, and in so many dimensions that none matters much.
- "four dimensions": shifted, and embeddings and shifts have only four coordinates that are not 0, no two of them
  side by side.
- "moved corpus": shifted, and the embeddings of the other corpus' tokens lie two shifts further.

The other corpus is written in tokens of its own (capital letters), whose embeddings are drawn like the others.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from layerclaims.errors import NotTestedError
from layerclaims.experiments.study import Study
from layerclaims.protocol import Protocol
from layerclaims.verdicts.verdict import Verdict

from tests import tiny

BLOCKS = 4
WIDTH = 48
WIDE = 192
CONTEXT = 10
GROWTH = 1.6  # of the norm a layer, where it grows exponentially
SHARED = 0.6  # cosine of every embedding with one direction, along which a linear probe can read the norm
CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FOUR = (5, 16, 27, 38)  # the only dimensions that are not 0 in "four dimensions"
BIAS = 20.0  # GELU is the identity from here on, in float32

PLANTS = (
    "equal",
    "norm only, exponential",
    "norm only, linear",
    "norm only, one block",
    "shifted",
    "shifted, equal norms",
    "shifted ever further",
    "shifted, wide",
    "four dimensions",
    "moved corpus",
)
ARCHITECTURES = ("gpt2", "llama")

R, N, U = Verdict.REPLICATED, Verdict.NOT_REPLICATED, Verdict.INCONCLUSIVE


def build(plant: str, architecture: str, directory: Path, *, seed: int, scale: float = 1.0) -> Path:
    """Save a planted model as a Hugging Face directory, all of its states multiplied by `scale` where it is shifted."""
    import torch

    blocks = 1 if plant.endswith("one block") else BLOCKS
    width = WIDE if plant.endswith("wide") else WIDTH
    if architecture == "gpt2":
        changes: dict[str, Any] = {"n_layer": blocks, "n_embd": width}
    else:
        changes = {
            "num_hidden_layers": blocks,
            "hidden_size": width,
            "intermediate_size": width,
            "mlp_bias": True,
        }
    rng = np.random.default_rng([seed, PLANTS.index(plant)])
    made = tiny.model(architecture, seed=seed, **changes)
    _silence(made, architecture)
    mlps = _mlps(made, architecture)
    offsets = np.zeros((blocks + 1, width))
    with torch.no_grad():
        if plant.startswith("norm only"):
            embeddings = _of_one_norm(rng, width)
            for mlp, step in zip(mlps, np.diff(_factors(plant, blocks)), strict=True):
                _add_multiple_of_input(mlp, architecture, float(step))
        else:
            offsets = _offsets(plant, rng, blocks, width)
            embeddings = rng.normal(size=(tiny.VOCABULARY, width))
            if plant == "four dimensions":
                embeddings[:, np.setdiff1d(np.arange(width), FOUR)] = 0
            if plant == "shifted":  # so that no layer has norms of its own
                embeddings *= rng.uniform(0.4, 1.6, size=(tiny.VOCABULARY, 1))
            if plant == "moved corpus":
                embeddings[_capitals()] += offsets[2]
            embeddings, offsets = scale * embeddings, scale * offsets
            for mlp, step in zip(mlps, np.diff(offsets, axis=0), strict=True):
                _output(mlp, architecture).bias.copy_(torch.from_numpy(step))
        made.get_input_embeddings().weight.copy_(torch.from_numpy(embeddings))
    return tiny.save(made, directory)


def _of_one_norm(rng: np.random.Generator, width: int) -> np.ndarray:
    """Embeddings [tokens, width] of norm sqrt(width), mean 0 and one cosine with one direction."""
    x = rng.normal(size=(tiny.VOCABULARY, width))
    shared = rng.normal(size=width)
    for vectors in (x, shared):  # GPT-2's norm takes the mean off; here there is none
        vectors -= vectors.mean(-1, keepdims=True)
    shared /= np.linalg.norm(shared)
    x -= np.outer(x @ shared, shared)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return np.asarray(np.sqrt(width) * (SHARED * shared + np.sqrt(1 - SHARED**2) * x))


def _factors(plant: str, blocks: int) -> np.ndarray:
    """c_0..c_L of state i = c_i * state 0."""
    if plant.endswith("one block"):
        return np.array([1.0, 20.0])
    i = np.arange(blocks + 1)
    return np.asarray(GROWTH**i if plant.endswith("exponential") else 1.0 + i)


def _offsets(plant: str, rng: np.random.Generator, blocks: int, width: int) -> np.ndarray:
    """V_0..V_L [L + 1, width] of state i = state 0 + V_i, where the coordinates of state 0 are about 1."""
    offsets = np.zeros((blocks + 1, width))
    unit = np.sqrt(width)  # norm of an embedding
    if plant == "four dimensions":
        # corners of a simplex and its centre: every one can be cut off by a plane
        offsets[1:, FOUR] = 12 * np.eye(4)[rng.permutation(4)]
    elif plant == "shifted, equal norms":
        directions = np.linalg.qr(rng.normal(size=(width, blocks + 1)))[0].T
        offsets = 1.5 * unit * (directions - directions[0])
    elif plant != "equal":
        steps = rng.normal(size=(blocks, width))
        steps *= unit / np.linalg.norm(steps, axis=1, keepdims=True)
        lengths = {
            "shifted ever further": 2 * 1.6 ** np.arange(blocks),
            "shifted, wide": np.full(blocks, 0.4),
        }
        offsets[1:] = np.cumsum(lengths.get(plant, np.full(blocks, 1.3))[:, None] * steps, axis=0)
    return offsets


def _capitals() -> list[int]:
    """Tokens of the other corpus."""
    return sorted({i for letter in CAPITALS for i in tiny.tokenizer().encode(letter)})


def _mlps(made: Any, architecture: str) -> Sequence[Any]:
    blocks = made.transformer.h if architecture == "gpt2" else made.model.layers
    return [block.mlp for block in blocks]


def _output(mlp: Any, architecture: str) -> Any:
    return mlp.c_proj if architecture == "gpt2" else mlp.down_proj


def _silence(made: Any, architecture: str) -> None:
    """Attention and MLP of every block add exactly nothing, positions neither."""
    if architecture == "gpt2":
        silent = [made.transformer.wpe]
        silent += [layer for block in made.transformer.h for layer in (block.attn.c_proj, block.mlp.c_proj)]
    else:
        silent = [
            layer for block in made.model.layers for layer in (block.self_attn.o_proj, block.mlp.down_proj)
        ]
    for layer in silent:
        for parameter in layer.parameters():
            parameter.data.zero_()


def _add_multiple_of_input(mlp: Any, architecture: str, step: float) -> None:
    """The MLP adds step * sqrt(width) * x / |x|: the norm before it leaves the direction and a fixed length.

    GPT-2's activation is the identity far to the right of 0; Llama's gate can be held open by its bias.
    """
    import torch

    width = (mlp.c_fc.weight if architecture == "gpt2" else mlp.up_proj.weight).shape[0]
    eye = torch.eye(width)
    if architecture == "gpt2":
        mlp.c_fc.weight.zero_()
        mlp.c_fc.weight[:, :width] = eye
        mlp.c_fc.bias.zero_()
        mlp.c_fc.bias[:width] = BIAS
        mlp.c_proj.weight[:width] = step * eye
        mlp.c_proj.bias.fill_(-step * BIAS)
    else:
        mlp.gate_proj.weight.zero_()
        mlp.gate_proj.bias.fill_(1.0)
        mlp.up_proj.weight.copy_(eye)
        mlp.up_proj.bias.zero_()
        mlp.down_proj.weight.copy_(step / float(torch.nn.functional.silu(torch.tensor(1.0))) * eye)


def corpus(path: Path, n: int, *, seed: int, capitals: bool = False) -> Path:
    """`n` made-up texts of random words, in small letters or in capitals: a word more than twice the context."""
    rng = random.Random(seed)
    alphabet = CAPITALS if capitals else CAPITALS.lower()
    words = (
        ["".join(rng.choices(alphabet, k=rng.randint(2, 7))) for _ in range(2 * CONTEXT)] for _ in range(n)
    )
    texts = [" ".join([*some, alphabet[0]]) for some in words]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return path


def study(
    plant: str,
    architecture: str,
    directory: Path,
    *,
    seed: int,
    n_texts: int = 120,
    batch_size: int | None = None,
    scale: float = 1.0,
) -> Study:
    """The suite's own Study of a planted model on two corpora of `n_texts` texts."""
    directory.mkdir(parents=True, exist_ok=True)
    protocol = Protocol(
        model=str(build(plant, architecture, directory / "model", seed=seed, scale=scale)),
        corpus=str(corpus(directory / "small.jsonl", n_texts, seed=2 * seed)),
        transfer_corpus=str(corpus(directory / "capitals.jsonl", n_texts, seed=2 * seed + 1, capitals=True)),
        n_texts=n_texts,
        context=CONTEXT,
        seed=seed,
    )
    made = Study(protocol, cache_dir=directory / "cache", device="cpu", batch_size=batch_size)
    for role in ("main", "transfer"):
        made.store(role)
    return made


def published(of: Study) -> Study:
    """The published procedure on the same model and texts."""
    return Study(replace(of.protocol, name="as-published"), cache_dir=of.cache_dir, device="cpu")


def verdict(claim: str, of: Study) -> tuple[Verdict, str]:
    """Verdict and reason of one row; NOT_TESTED where the model is too small for it."""
    try:
        found = of.judge(claim)
    except NotTestedError as error:
        return Verdict.NOT_TESTED, str(error)
    return found.verdict, found.reason
