"""results.json inside a report PDF: found by its name, never larger than a results file may be."""

import zlib
from pathlib import Path

from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.text import inert

NAME = "results.json"
MAX_BYTES = 128 * 1024 * 1024  # 5,000 documents x 50 labels x 12 series take about 25 MiB


def attached(path: Path) -> bytes:
    """Return the bytes of the results.json attached to a PDF."""
    import pikepdf

    try:
        with pikepdf.open(path) as pdf:
            if NAME not in pdf.attachments:
                raise LayerclaimsError(
                    f"{inert(path)} has no {NAME} attached; pass a report.pdf that layerclaims wrote"
                )
            stream = pdf.attachments[NAME].obj.EF.F
            if stream.get("/Filter") == pikepdf.Name.FlateDecode:
                # a few kilobytes can inflate to gigabytes: stop at the limit
                inflater = zlib.decompressobj()
                data = inflater.decompress(stream.read_raw_bytes(), MAX_BYTES + 1)
            else:
                data = bytes(stream.read_bytes())
    except (pikepdf.PdfError, AttributeError, zlib.error) as error:
        raise LayerclaimsError(
            f"{inert(path)} is a damaged PDF: its attachment cannot be read; copy or render it again"
        ) from error
    if len(data) > MAX_BYTES:
        raise LayerclaimsError(
            f"{inert(path)} has an attachment of more than {MAX_BYTES // 2**20} MiB; pass a report.pdf"
        )
    return data


def identifier_of(path: Path) -> bytes | None:
    """Return the permanent identifier of a PDF; None for a file that is no PDF."""
    with path.open("rb") as file:
        if not is_pdf(file.read(1024)):
            return None
    import pikepdf

    with pikepdf.open(path) as pdf:
        return bytes(pdf.trailer["/ID"][0]) if "/ID" in pdf.trailer else b""


def is_pdf(data: bytes) -> bool:
    """Return whether these are the first bytes of a PDF."""
    return data[:1024].lstrip().startswith(b"%PDF-")
