"""The index of a folder of reports: a row for each, newest first, as one page with relative links.

The folders beside a report are other people's as likely as one's own. What cannot be read is a row that says why, and
no link leads out of the folder.
"""

import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final
from urllib.parse import quote

from layerclaims.errors import LayerclaimsError
from layerclaims.report.board import short_count
from layerclaims.report.escaping import clean
from layerclaims.report.wording import PROTOCOLS, short_name
from layerclaims.results.file import read_results
from layerclaims.results.records import Results
from layerclaims.runtime.files import folder_held, write_whole
from layerclaims.runtime.text import inert
from layerclaims.verdicts.style import FINDINGS_FIRST, STYLES
from layerclaims.verdicts.verdict import Verdict

NAME: Final = "index.html"
MARK: Final = (
    '<meta name="generator" content="layerclaims index">'  # an index.html without it is somebody else's
)
SOURCES: Final = ("results.json", "report.pdf")  # from the first of them that is there a report is read
FILES: Final[Mapping[str, str]] = {  # as the page calls them
    "report.html": "page",
    "report.pdf": "PDF",
    "summary.md": "summary",
    "results.json": "data",
}
MOST: Final = 60  # reports that are read, a tenth of a second each: the newest ones
LONGEST: Final = 80  # characters of a name


@dataclass(frozen=True, kw_only=True)
class Link:
    """A file of a report."""

    address: str  # relative to the index
    word: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """One report."""

    folder: str
    links: tuple[Link, ...]
    model: str = ""
    size: str = ""  # as in "135M parameters"
    about: str = ""  # texts and seed
    created: str = ""  # day and time, UTC; empty where the report cannot be read
    verdicts: Mapping[str, tuple[tuple[Verdict, int], ...]] | None = None  # by protocol, failures first
    baseline: str = ""  # the outcome of the comparison with its baseline; empty without one
    unreadable: str = ""  # why; empty where the report was read


@dataclass(frozen=True, kw_only=True)
class Index:
    """The reports of a folder, newest first, then those that cannot be read."""

    rows: tuple[Row, ...]
    more: int  # reports that are not read
    board: bool  # whether a board of several models lies beside them

    @property
    def protocols(self) -> tuple[str, ...]:
        """The protocols that any report has, each a column."""
        return tuple(name for name in PROTOCOLS if any(name in (row.verdicts or {}) for row in self.rows))


def update(root: Path) -> Path | None:
    """Write the index of the reports in a folder; None where there are none, or somebody else's index.html is there.

    Of several runs that end at once each has the folder for itself meanwhile, so the last one sees all. Raises
    LayerclaimsError where it cannot be written.
    """
    path = root / NAME
    with folder_held(root):
        if not _ours(path):
            return None
        made = make(root)
        if not made.rows:
            return None
        write_whole(path, html(made).encode())
    return path


def make(root: Path) -> Index:
    """Read the reports of a folder: results.json, or else the PDF that carries it. Links are not followed."""
    found = sorted(_reports(root), key=lambda one: (-_changed(one), one.parent.name))
    rows = [_row(path) for path in found[:MOST]]
    rows.sort(key=lambda row: row.folder)
    rows.sort(key=lambda row: row.created, reverse=True)
    return Index(rows=tuple(rows), more=len(found) - len(rows), board=_is_file(root / "board.html"))


def html(index: Index) -> str:
    """The index as one page: no script, nothing from elsewhere."""
    import jinja2

    source = resources.files("layerclaims.templates").joinpath("index.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.from_string(source).render(
        index=index, styles=STYLES, protocols=PROTOCOLS, verdicts=FINDINGS_FIRST
    )
    assert MARK in page
    return page.rstrip() + "\n"


def _reports(root: Path) -> Iterator[Path]:
    """The file that each report in a folder is read from; a folder without any is no report."""
    try:
        entries = [entry for entry in os.scandir(root) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    for entry in entries:
        for name in SOURCES:
            path = Path(entry.path) / name
            if os.path.lexists(path):
                yield path
                break


def _row(path: Path) -> Row:
    folder = path.parent
    links = tuple(
        Link(address=_address(folder.name, name), word=word)
        for name, word in FILES.items()
        if _is_file(folder / name)
    )
    name = clean(inert(folder.name), LONGEST)
    if not _is_file(path):
        why = f"{path.name} is a link or no regular file, and is not read."
        return Row(folder=name, links=links, unreadable=why)
    try:
        results = read_results(path)
    except LayerclaimsError as error:
        why = str(error).replace(inert(path, 300), path.name)  # the folder stands beside it already
        return Row(folder=name, links=links, unreadable=f"{clean(why, 400).rstrip('.')}.")
    protocol, model = results.protocol, results.model
    return Row(
        folder=name,
        links=links,
        model=clean(short_name(clean(model.name)), LONGEST),
        size=f"{short_count(model.n_parameters)} parameters",
        about=f"{protocol.n_texts:,} texts of {protocol.context} tokens, seed {protocol.seed}",
        created=results.created.replace("T", " ").removesuffix("Z"),
        verdicts=_counts(results),
        baseline="" if results.baseline is None else clean(results.baseline.outcome, 200),
    )


def _counts(results: Results) -> dict[str, tuple[tuple[Verdict, int], ...]]:
    found: dict[str, Counter[Verdict]] = {}
    for claim in results.claims:
        found.setdefault(claim.protocol, Counter())[claim.verdict] += 1
    return {
        protocol: tuple((verdict, counts[verdict]) for verdict in FINDINGS_FIRST if counts[verdict])
        for protocol, counts in found.items()
    }


def _address(folder: str, name: str) -> str:
    """A file's address relative to the index; ./ keeps a folder's name from being read as anything but one."""
    return f"./{quote(os.fsencode(folder), safe='')}/{name}"


def _is_file(path: Path) -> bool:
    """Whether a regular file lies there itself, and no link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _changed(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def _ours(path: Path) -> bool:
    """Whether there is no index yet, or one that was written here."""
    if not os.path.lexists(path):
        return True
    if not _is_file(path):
        return False
    try:
        with path.open("rb") as file:
            return MARK.encode() in file.read(4096)
    except OSError:
        return False
