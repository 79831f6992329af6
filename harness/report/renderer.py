"""What a PDF was rendered with: all that its bytes hang on besides the results, in one line that the PDF carries."""

import ctypes
import hashlib
import os
import platform
import zlib
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

from layerclaims import __version__

KEY: Final = "Renderer"  # in the PDF's document information
PACKAGES: Final = (
    "weasyprint", "pydyf", "tinycss2", "tinyhtml5", "cssselect2", "pyphen", "fonttools", "pillow", "jinja2",
    "markupsafe",
)  # fmt: skip
OURS: Final = frozenset({".py", ".json", ".j2", ".css", ".js", ".woff"})  # of which a page is made


def renderer() -> str:
    """What a PDF made here is made with, as in "layerclaims 0.2.0 (1f2e3d4c5b6a), weasyprint 70.0, ..., pango 1.50.12".

    In brackets: the hash of this very code and its templates, which change between versions, too. Raises OSError
    where WeasyPrint cannot load Pango.
    """
    packages = [f"{name} {_version(name)}" for name in PACKAGES]
    return ", ".join(
        [f"layerclaims {__version__} ({_own_hash()})", *packages, *_libraries(), f"zlib {zlib.ZLIB_RUNTIME_VERSION}",
         f"python {platform.python_version()}", platform.machine()]
    )  # fmt: skip


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def _libraries() -> list[str]:
    """The C libraries that WeasyPrint lays text out with and cuts fonts with, as it loads them."""
    from weasyprint.text import ffi as loaded

    number = loaded.pango.pango_version()
    harfbuzz = "unknown"
    for name in ("libharfbuzz.so.0", "libharfbuzz.0.dylib", "libharfbuzz-0.dll"):
        try:
            version = ctypes.CDLL(name).hb_version_string
        except (OSError, AttributeError):
            continue
        version.restype = ctypes.c_char_p
        harfbuzz = version().decode("ascii")
        break
    return [f"pango {number // 10000}.{number // 100 % 100}.{number % 100}", f"harfbuzz {harfbuzz}"]


@cache
def _own_hash() -> str:
    """12 hexadecimal digits of all files of this package that a page may be made of."""
    root, digest = Path(__file__).parent.parent, hashlib.sha256()
    for folder, names, files in os.walk(root, followlinks=True):
        names[:] = sorted(name for name in names if name not in ("__pycache__", "claims"))
        for name in sorted(files):
            path = Path(folder) / name
            if path.suffix in OURS:
                digest.update(f"{path.relative_to(root)}\0{path.stat().st_size}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
