"""results -> report.html, summary.md and report.pdf, each a pure function of results.json."""

import base64
import gc
import hashlib
import io
import logging
import os
import re
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerclaims.errors import LayerclaimsError
from layerclaims.report.escaping import clean, md_code, md_escape, percents_kept, trusted, unbroken
from layerclaims.report.plots import forest, layers
from layerclaims.report.present import present
from layerclaims.report.renderer import KEY, renderer
from layerclaims.report.views import Report
from layerclaims.results import attachment
from layerclaims.results import file as results_file
from layerclaims.results.records import Results
from layerclaims.runtime.files import write_whole
from layerclaims.runtime.text import inert, shown
from layerclaims.verdicts.style import STYLES

if TYPE_CHECKING:
    import jinja2


FORMATS = ("html", "pdf", "md")
NAMES = {"html": "report.html", "pdf": "report.pdf", "md": "summary.md"}
FACES = (
    ("Inter", "normal", 400, "Inter-Regular.woff"),
    ("Inter", "normal", 600, "Inter-SemiBold.woff"),
    ("Literata", "normal", 400, "Literata-Regular.woff"),
    ("Literata", "italic", 400, "Literata-Italic.woff"),
    ("JetBrains Mono", "normal", 400, "JetBrainsMono-Regular.woff"),
)
SUMMARY_LIMIT = 900_000  # bytes; GitHub drops a step summary of more than 1 MiB altogether
NO_PANGO = (
    "report.pdf was not written because Pango is missing: "
    "sudo apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0, "
    "then run layerclaims report on the results.json"
)


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """What became of the formats of a report."""

    paths: tuple[Path, ...]  # written; PDF last
    notes: tuple[str, ...]  # what could not be made here, which is no failure: the PDF without Pango
    failures: tuple[str, ...]  # what broke, a sentence for each format


def render(
    results: Results,
    directory: Path | str,
    formats: Sequence[str] = FORMATS,
    *,
    say: Callable[[str], None] | None = None,
) -> list[Path]:
    """Write the report of `results` into `directory`; return the paths written, PDF last.

    Where the PDF cannot be made because WeasyPrint's Pango is missing, `say` (default: a line on stderr) gets one
    plain message and the rest is returned. Writing results.json itself is the caller's first step. Raises
    LayerclaimsError for an unknown format, and for one that could not be made or written once all others are.
    """
    rendered = render_each(results, directory, formats)
    for note in rendered.notes:
        (say or _to_stderr)(note)
    if rendered.failures:
        raise LayerclaimsError(" ".join(rendered.failures))
    return list(rendered.paths)


def render_each(results: Results, directory: Path | str, formats: Sequence[str] = FORMATS) -> Rendered:
    """Make and write each format apart: what goes wrong with one leaves the others alone.

    HTML and Markdown come before the PDF, which takes longest. Raises LayerclaimsError for an unknown format alone.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise LayerclaimsError(f"unknown report format {unknown[0]!r}; choose from {', '.join(FORMATS)}")
    paths, notes, failures = list[Path](), list[str](), list[str]()
    for name in in_order(formats):
        path = Path(directory) / NAMES[name]
        try:
            data = pdf(results) if name == "pdf" else (html if name == "html" else markdown)(results).encode()
            write_whole(path, data, parents=True)
        except PangoMissingError as error:
            notes.append(str(error))
        except LayerclaimsError as error:
            failures.append(f"{NAMES[name]} was not written: {str(error).rstrip('.')}.")
        except Exception as error:  # whatever it is, one format must not cost the others
            said = inert(" ".join(f"{type(error).__name__}: {error}".split()), 300).rstrip(".")
            failures.append(f"{NAMES[name]} was not written: {said}.")
        else:
            paths.append(path)
    return Rendered(paths=tuple(paths), notes=tuple(notes), failures=tuple(failures))


def in_order(formats: Sequence[str]) -> list[str]:
    """The formats in the order in which they are made: the one that takes seconds last."""
    return [name for name in ("html", "md", "pdf") if name in formats]


class PangoMissingError(LayerclaimsError):
    """WeasyPrint is installed and the system library that it draws text with is not."""


def html(results: Results) -> str:
    """Return the page: one self-contained HTML document, the same for equal results."""
    script = _static("page.js")
    style = _faces() + _static("base.css") + _static("page.css") + layers.dark_style()
    policy = (
        "default-src 'none'; img-src data:; font-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src 'sha256-{_sha256(style)}'; script-src 'sha256-{_sha256(script)}'"
    )
    template = _environment(escape=True).get_template("page.html.j2")
    report = present(results, interactive=True)
    page = template.render(
        report=report,
        policy=policy,
        style=trusted(style),
        script=trusted(script),
        verdicts=[(verdict, len(claims)) for verdict, claims in report.groups],
        axis=forest.forest_axis(interactive=True),
        section_of={
            claim.id: index for index, (_, claims) in enumerate(report.sections, 1) for claim in claims
        },
    )
    return percents_kept(page)


def markdown(results: Results) -> str:
    """Return summary.md, made for pull requests and $GITHUB_STEP_SUMMARY; at most 900 kB."""
    report = present(results, interactive=False)
    text = _environment(escape=False).get_template("summary.md.j2").render(report=report)
    text = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
    if len(text.encode()) > SUMMARY_LIMIT:
        kept = text.encode()[: SUMMARY_LIMIT - 200].decode(errors="ignore").rsplit("\n", 1)[0]
        text = f"{kept}\n\nThe rest is cut: it would be too long for a pull request. See report.html.\n"
    return text


def three_answers_markdown(results: Results) -> str:
    """Return the table of the three answers alone, as a README shows it; empty for a run of one protocol."""
    report = present(results, interactive=False)
    if not report.answers:
        return ""
    return _environment(escape=False).get_template("answers.md.j2").render(report=report).strip() + "\n"


def pdf(results: Results) -> bytes:
    """Return the PDF/A-3a with results.json attached; the same bytes for equal results.

    Raises PangoMissingError (a LayerclaimsError) where WeasyPrint cannot be loaded.
    """
    report = present(results, interactive=False)
    text = (
        _environment(escape=True)
        .get_template("print.html.j2")
        .render(report=report, axis=forest.forest_axis(interactive=False))
    )
    return _weasy(percents_kept(text), results, report)


def append_step_summary(text: str, environ: dict[str, str] | None = None) -> Path | None:
    """Append `text` to the file named by $GITHUB_STEP_SUMMARY, if set; return that file.

    What would take the file over 900 kB is left out, since GitHub rejects the whole above 1 MiB.
    """
    name = (os.environ if environ is None else environ).get("GITHUB_STEP_SUMMARY")
    if not name:
        return None
    path = Path(name)
    used = path.stat().st_size if path.exists() else 0
    data = text.encode("utf-8")
    if used + len(data) > SUMMARY_LIMIT:
        data = b"\nA further layerclaims summary did not fit here; see the report among the artifacts.\n"
    try:
        with path.open("ab") as file:
            file.write(data)
    except OSError as error:
        raise LayerclaimsError(
            f"cannot append to $GITHUB_STEP_SUMMARY ({shown(path)}): {error.strerror or error}"
        ) from error
    return path


def _weasy(text: str, results: Results, report: Report) -> bytes:
    try:
        with warnings.catch_warnings():
            # that a library will be needed one day, which is an error where warnings are
            warnings.simplefilter("ignore", DeprecationWarning)
            import weasyprint
            from weasyprint.text.fonts import FontConfiguration
    except OSError as error:  # cffi could not open Pango, HarfBuzz or fontconfig
        raise PangoMissingError(NO_PANGO) from error
    data = results_file.dumps(results).encode("ascii")
    created = datetime.strptime(report.results.created, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    fetcher = weasyprint.URLFetcher(allowed_protocols=("data",), allow_redirects=False, fail_on_errors=True)
    fonts = FontConfiguration()
    attached = weasyprint.Attachment(
        file_obj=io.BytesIO(data),
        name=attachment.NAME,
        description="The results from which this report was made",
        created=created,
        modified=created,
        relationship="Data",
        url_fetcher=fetcher,
    )
    with (
        _frozen_clock(created),
        _no_collection(),
        _quiet("weasyprint", "fontTools"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", ResourceWarning)  # WeasyPrint leaves its colour profile open
        style = weasyprint.CSS(
            string=_faces() + _static("base.css") + _static("print.css"),
            url_fetcher=fetcher,
            font_config=fonts,
        )
        try:
            document = weasyprint.HTML(string=text, url_fetcher=fetcher).render(
                stylesheets=[style], font_config=fonts, pdf_variant="pdf/a-3a", full_fonts=False
            )
        except weasyprint.urls.FatalURLFetchingError as error:  # no Exception: nothing above would catch it
            raise LayerclaimsError(f"the PDF asks for something outside of it: {inert(error, 200)}") from None
        document.metadata.attachments = [attached]
        made = document.write_pdf(
            pdf_variant="pdf/a-3a", pdf_identifier=results_file.identifier(data), finisher=_finish
        )
    assert isinstance(made, bytes)
    return made


def _finish(document: object, pdf: Any) -> None:
    """Say in the PDF what made it, so that it can be told whether the same is at hand; compress."""
    import pydyf

    pdf.info[KEY] = pydyf.String(renderer())
    _compress(document, pdf)


def _compress(_: object, pdf: Any) -> None:
    """Compress streams once: pydyf does it twice, for a checksum too, at a level that takes 8 times as long for 5 %."""
    import pydyf

    for stream in pdf.objects:
        if isinstance(stream, pydyf.Stream) and stream.compress:
            stream.compress = False
            plain = stream.data.partition(b"\nstream\n")[2].removesuffix(b"\nendstream")
            stream.stream, stream.extra["Filter"] = [zlib.compress(plain)], "/FlateDecode"


@contextmanager
def _no_collection() -> Iterator[None]:
    """Spare Python the search for garbage, a sixth of the time: hardly anything in a document's tree is any."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


@contextmanager
def _frozen_clock(moment: datetime) -> Iterator[None]:
    """Let WeasyPrint and fontTools stamp `moment` instead of now, which would change the bytes."""
    before = os.environ.get("SOURCE_DATE_EPOCH")
    os.environ["SOURCE_DATE_EPOCH"] = str(int(moment.timestamp()))
    try:
        yield
    finally:
        if before is None:
            del os.environ["SOURCE_DATE_EPOCH"]
        else:
            os.environ["SOURCE_DATE_EPOCH"] = before


@contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """Keep libraries' remarks on fonts and CSS off the user's terminal."""
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _environment(*, escape: bool) -> "jinja2.Environment":
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_static),
        autoescape=escape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    environment.globals["styles"] = STYLES
    environment.filters["trusted_svg"] = trusted
    environment.filters["md"] = md_escape
    environment.filters["unbroken"] = unbroken
    environment.filters["md_code"] = md_code
    return environment


@cache
def _static(name: str) -> str:
    return resources.files("layerclaims.templates").joinpath(name).read_text(encoding="utf-8")


@cache
def _faces() -> str:
    """Return the @font-face rules, fonts inlined."""
    rules = []
    for family, slant, weight, name in FACES:
        data = base64.b64encode(resources.files("layerclaims.templates").joinpath(name).read_bytes()).decode(
            "ascii"
        )
        rules.append(
            f'@font-face {{ font-family: "{family}"; font-style: {slant}; font-weight: {weight}; '
            f'font-display: block; src: url("data:font/woff;base64,{data}") format("woff"); }}\n'
        )
    return "".join(rules)


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _to_stderr(message: str) -> None:
    print(clean(message), file=sys.stderr)
