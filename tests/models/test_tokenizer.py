"""What a tokenizer adds to a text by itself."""

import pytest
from layerclaims.corpora.corpus import make_corpus
from layerclaims.corpora.selection import select
from layerclaims.errors import LayerclaimsError
from layerclaims.models.loaded import loaded_source
from layerclaims.models.tokenizer import Tokenizer
from tokenizers.processors import TemplateProcessing

from tests import tiny


def tokenizer(template):
    made = tiny.tokenizer()
    made.backend_tokenizer.post_processor = TemplateProcessing(
        single=template, special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    return Tokenizer(loaded_source(tiny.model("gpt2"), made, name="x"))


@pytest.mark.parametrize("template", ["$A", "<s> $A", "$A </s>", "<s> $A </s>", "$A </s> </s>"])
def test_only_what_comes_before_a_text_is_part_of_it(template):
    bare = tokenizer("$A")("river stone")
    assert tokenizer(template)("river stone") == ([0] if template.startswith("<s>") else []) + bare


def test_a_text_that_reaches_the_context_only_with_the_tokenizers_own_end_is_too_short():
    encode = tokenizer("$A </s>")
    texts = tiny.texts(20)
    corpus = make_corpus("c", texts)
    shortest = min(len(encode(text)) for text in texts)
    chosen = select(corpus, encode, n_texts=10, context=shortest + 1, seed=0)
    assert not (chosen.ids == 1).any()
    with pytest.raises(LayerclaimsError, match="has 0 different texts"):
        select(make_corpus("c", ["river"] * 20), encode, n_texts=10, context=len(encode("river")) + 1, seed=0)
