"""layerclaims: which claims about a language model's hidden states replicate on yours.

What is named in `__init__.pyi` is public, and loaded when it is first asked for. Nothing else is public.
"""

import lazy_loader

__version__ = "0.2.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
