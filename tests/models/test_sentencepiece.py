"""A tokenizer that is a sentencepiece model alone, without tokenizer.json."""

import json

import pytest
from layerclaims.models.source import resolve
from layerclaims.models.tokenizer import Tokenizer

from tests import tiny


def test_it_gives_the_ids_of_sentencepiece(tmp_path):
    sentencepiece = pytest.importorskip("sentencepiece")
    path = tiny.build("llama", tmp_path / "m")
    for file in path.glob("tokenizer*"):
        file.unlink()
    (tmp_path / "texts").write_text("\n".join(tiny.texts(300)))
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "texts"), model_prefix=str(path / "tokenizer"), vocab_size=200, model_type="bpe",
        byte_fallback=False, minloglevel=2,
    )  # fmt: skip
    (path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "LlamaTokenizer"}))
    own = sentencepiece.SentencePieceProcessor(model_file=str(path / "tokenizer.model"))
    tokenizer = Tokenizer(resolve(str(path)))
    for text in tiny.texts(5):
        ids = tokenizer(text)
        assert ids[-len(own.encode(text)) :] == own.encode(text)
        assert ids[: -len(own.encode(text))] in ([], [own.bos_id()])
