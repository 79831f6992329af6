"""results.json inside a report PDF: found by its name, never larger than a results file may be."""

import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from layerclaims.errors import LayerclaimsError

if TYPE_CHECKING:
    import pikepdf

NAME = "results.json"
MAX_BYTES = 128 * 1024 * 1024  # 5,000 documents x 50 labels x 12 series take about 25 MiB


def attached(data: bytes, *, origin: str) -> bytes:
    """Return the bytes of the results.json attached to a PDF, given the PDF's.

    Raises LayerclaimsError where there is none, or more than one, or it is larger than a results file may be.
    """
    import pikepdf

    with opened(data, origin=origin) as pdf:
        named = [name for name, _ in embedded(pdf)]
        if NAME not in named:
            raise LayerclaimsError(
                f"{origin} has no {NAME} attached; pass a report.pdf that layerclaims wrote"
            )
        if named.count(NAME) > 1:
            raise LayerclaimsError(
                f"{origin} has {named.count(NAME)} attachments called {NAME}; pass a report.pdf that layerclaims wrote"
            )
        stream = next(file for name, file in embedded(pdf) if name == NAME).EF.F
        raw = stream.read_raw_bytes()
        if stream.get("/Filter") is None:
            content = raw
        elif stream.get("/Filter") == pikepdf.Name.FlateDecode and "/DecodeParms" not in stream:
            # a few kilobytes can inflate to gigabytes: stop at the limit
            content = zlib.decompressobj().decompress(raw, MAX_BYTES + 1)
        else:  # of which no limit is known
            raise LayerclaimsError(
                f"{origin} has an attachment packed in a way that layerclaims never uses; pass a report.pdf that "
                "layerclaims wrote"
            )
    if len(content) > MAX_BYTES:
        raise LayerclaimsError(
            f"{origin} has an attachment of more than {MAX_BYTES // 2**20} MiB; pass a report.pdf"
        )
    return content


@contextmanager
def opened(data: bytes, *, origin: str) -> "Iterator[pikepdf.Pdf]":
    """A PDF, open; whatever its parts are not what they should be is one sentence, also in the block."""
    import pikepdf

    try:
        with pikepdf.open(io.BytesIO(data)) as pdf:
            yield pdf
    except LayerclaimsError:
        raise
    except pikepdf.PasswordError as error:
        raise LayerclaimsError(
            f"{origin} is encrypted, which layerclaims never does; pass a report.pdf as layerclaims wrote it"
        ) from error
    # of a hostile file anything can be of another type than its place asks for
    except (pikepdf.PdfError, AttributeError, KeyError, IndexError, TypeError, ValueError, RuntimeError,
            zlib.error) as error:  # fmt: skip
        raise LayerclaimsError(
            f"{origin} is a damaged PDF: its attachment cannot be read; copy or render it again"
        ) from error


def embedded(pdf: "pikepdf.Pdf") -> "list[tuple[str, pikepdf.Object]]":
    """Name and file specification of each embedded file, in a list as layerclaims writes it or in a tree of lists."""
    found: list[tuple[str, pikepdf.Object]] = []
    names = pdf.Root.get("/Names")
    root = None if names is None else names.get("/EmbeddedFiles")
    nodes = [] if root is None else [root]
    for _ in range(1000):  # a tree that leads back to itself ends here
        if not nodes:
            break
        node = nodes.pop()
        nodes += list(node.get("/Kids", []))
        pairs = list(node.get("/Names", []))
        found += [(str(name), file) for name, file in zip(pairs[::2], pairs[1::2], strict=True)]
    return found


def is_pdf(data: bytes) -> bool:
    """Return whether these are the first bytes of a PDF."""
    return data[:1024].lstrip().startswith(b"%PDF-")
