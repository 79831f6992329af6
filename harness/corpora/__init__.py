"""Corpora: a name -> documents -> the token ids that are read."""

from layerclaims.corpora.corpus import Corpus
from layerclaims.corpora.load import check_corpus_name, load_corpus

__all__ = ["Corpus", "check_corpus_name", "load_corpus"]
