"""Whatever a results file holds -> text that stays text: in a page, in Markdown, in a shell."""

import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from layerclaims.results.fields import Record
from layerclaims.runtime.text import visible

if TYPE_CHECKING:
    from markupsafe import Markup


LONGEST_TEXT = 2000
_PERCENT = re.compile(r"(?<=\d) (?=%)")  # where no line may end
_MARKS = re.compile("[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{4,}")


def clean(text: str, limit: int = LONGEST_TEXT) -> str:
    """Return text whose every character is visible, on one line, at most about `limit` characters long."""
    made = visible(text[:limit].replace("\n", " ").replace("\t", " "))
    # a pile of combining marks climbs over the lines above: three are enough for any script
    made = _MARKS.sub(lambda found: found.group()[:3], made)
    return made if len(text) <= limit else f"{made.rstrip()}… ({len(text):,} characters)"


def cleaned(value: Any) -> Any:
    """Return records or plain data with every text, names of members included, passed through `clean`."""
    if type(value) is str:  # a verdict is a str too, and needs none
        return clean(value)
    if isinstance(value, list | tuple):
        return type(value)(map(cleaned, value))
    if isinstance(value, Mapping):
        return {clean(key): cleaned(item) for key, item in value.items()}
    if isinstance(value, Record):  # what it was not given stays out
        return value.model_copy(
            update={name: cleaned(getattr(value, name)) for name in value.model_fields_set}
        )
    return value


def quoted(word: str) -> str:
    """Return `word` as one word of a command line; with characters that cannot be seen, as bash's $'...'."""
    if word == clean(word, len(word)):
        return shlex.quote(word) if len(word) <= LONGEST_TEXT else f"'{word[:40]}…'"
    escaped = "".join(
        "\\" + c if c in "\\'" else c if c == visible(c) else _ansi(c) for c in word[:LONGEST_TEXT]
    )
    return f"$'{escaped}'"


def _ansi(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def md_escape(text: object) -> str:
    """Return text that Markdown prints as it is, in a paragraph or a table cell."""
    # entities rather than backslashes: GitHub splits a table row at a pipe before it looks at backslashes
    # and of the rest only what starts a link (://), an emoji (:name:), a mention or a heading
    special = r"[&<>|`*_\[\]\\#~$]|:(?=//|\w+:)|@(?=\w)"
    return re.sub(special, lambda found: f"&#{ord(found.group())};", str(text))


def md_code(text: object) -> str:
    """Return text as a Markdown code span, whatever backticks it contains."""
    text = str(text)
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def unbroken(text: str) -> "Markup":
    """Escape text and keep words with numbers in one piece: Pango would break a line inside .05, after the point.

    A short word before stays with the number: a piece that begins with a point makes WeasyPrint end the line anywhere.
    """
    from markupsafe import Markup, escape

    word = r"(?<![^ \n])(?:[^ \n]{1,10} )?[^ \n]{0,40}?(?<![\w.])\.\d[^ \n]{0,40}(?![^ \n])"
    return Markup(re.sub(word, r'<span class="nb">\g<0></span>', _PERCENT.sub("\u00a0", str(escape(text)))))


def percents_kept(markup: str) -> str:
    """Return a page in whose text no line ends between a number and its percent sign; code stays as it is."""
    # every other piece is a tag, or an element of code with all that is in it
    pieces = re.split(r"(<(script|style|pre|code)\b.*?</\2>|<[^>]*>)", markup, flags=re.DOTALL)
    pieces[::3] = [_PERCENT.sub("\u00a0", text) for text in pieces[::3]]
    del pieces[2::3]  # the name of the element
    return "".join(pieces)


def trusted(text: str) -> "Markup":
    """Mark markup as safe that this program made itself: static files, and SVG from ElementTree."""
    from markupsafe import Markup

    return Markup(text)
