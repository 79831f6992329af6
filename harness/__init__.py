"""layerclaims: which claims about a language model's hidden states replicate on yours."""

__version__ = "0.1.0"
