"""Models: a name -> files -> tokenizer and module -> the states of every layer."""

from layerclaims.models.model import LanguageModel
from layerclaims.models.source import ModelSource, check_model_name, resolve

__all__ = ["LanguageModel", "ModelSource", "check_model_name", "resolve"]
