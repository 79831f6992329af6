"""Tokenizer: a model's own, with its own default for special tokens."""

import functools
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from layerclaims.models.reading import WAY_OUT, reading
from layerclaims.models.source import ModelSource
from layerclaims.runtime.text import shown

_SENTENCEPIECE: Final = ("tokenizer.model", "spiece.model", "spm.model", "sentencepiece.bpe.model")


class Tokenizer:
    """A model's own tokenizer with its own default for special tokens: `tokenizer(text) -> ids`."""

    def __init__(self, source: ModelSource) -> None:
        """Load the tokenizer only, no weights; raises LayerclaimsError."""
        self._tokenizer = (
            source.loaded.tokenizer
            if source.loaded is not None
            else _load_tokenizer(
                str(source.tokenizer_path or source.path),
                source.gguf_file if source.tokenizer_path is None else None,
                source.name,
                source.tokenizer_sha256,
            )
        )

    def __call__(self, text: str) -> list[int]:
        """Token ids of a text, uncut, with what the tokenizer puts before a text and without what it puts after."""
        return self.batch([text])[0]

    def batch(self, texts: list[str]) -> list[list[int]]:
        """Token ids of several texts; quicker than one at a time.

        What the tokenizer puts after a text, as some do with an end-of-sequence token, is no part of the text.
        """
        # verbose: texts longer than the model's context are expected here, they are cut afterwards
        encoded = self._tokenizer(texts, return_attention_mask=False, verbose=False)["input_ids"]
        return [list(map(int, ids[: len(ids) - self._after])) for ids in encoded]

    @cached_property
    def _after(self) -> int:
        """How many tokens come after a text without being asked for."""
        whole, bare = (
            list(self._tokenizer("a", add_special_tokens=special)["input_ids"]) for special in (True, False)
        )
        starts = [i for i in range(len(whole) - len(bare) + 1) if whole[i : i + len(bare)] == bare]
        return len(whole) - len(bare) - starts[0] if bare and starts else 0

    @property
    def bos_added(self) -> bool:
        """Whether the beginning-of-sequence token comes first without being asked for."""
        bos = self._tokenizer.bos_token_id
        return bos is not None and self("a")[:1] == [bos]


@functools.lru_cache(maxsize=2)  # out of GGUF it takes seconds
def _load_tokenizer(path: str, gguf_file: str | None, name: str, sha256: str) -> Any:
    from transformers import AutoTokenizer

    del sha256  # part of the cache's key only: a directory that changed is loaded again
    extra = {} if gguf_file is None else {"gguf_file": gguf_file}
    with reading(
        f"The tokenizer of {shown(name)} could not be loaded",
        Path(path),
        gguf_file,
        way_out=_way_out(Path(path)),
    ) as place:
        return AutoTokenizer.from_pretrained(
            str(place), local_files_only=True, trust_remote_code=False, **extra
        )


def _way_out(directory: Path) -> str:
    """What to do about a tokenizer that cannot be read."""
    pieces = [file for file in _SENTENCEPIECE if (directory / file).is_file()]
    if not pieces or (directory / "tokenizer.json").is_file() or find_spec("sentencepiece"):
        return WAY_OUT
    return (
        f"its {pieces[0]} is read with the packages sentencepiece and protobuf: install layerclaims[sentencepiece], or "
        "save the tokenizer with a tokenizer.json"
    )
