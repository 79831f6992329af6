"""A corpus by its name."""

from layerclaims.corpora.corpus import Corpus
from layerclaims.corpora.files import READERS, SUFFIXES, check_file, load_file, split_path, suffix_of
from layerclaims.corpora.hub import HUB, data_set, load_hub
from layerclaims.corpora.packages import EMBEDDED, load_embedded
from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.text import shown


def check_corpus_name(name: str) -> None:
    """Raise LayerclaimsError for what can be seen without reading: unknown name or suffix, absent file."""
    if name in EMBEDDED or data_set(name) is not None:
        return
    path, _ = split_path(name)
    if suffix_of(path) not in SUFFIXES:
        raise LayerclaimsError(
            f"The corpus {shown(name)} is not known; give {', '.join([*HUB, *EMBEDDED])}, hf:OWNER/NAME or a file that "
            f"ends in {', '.join(READERS)} (all but .parquet also with .gz), if need be with ::COLUMN after it."
        )
    check_file(path)


def load_corpus(name: str, *, offline: bool = False) -> Corpus:
    """Read a corpus by name.

    `embedded:movies`, `embedded:news`; `imdb`, `ag_news`, `pile` or `hf:OWNER/NAME` from the hub, with `@REVISION` if
    wanted; or a file: .jsonl (an object with the key a line), .json (a list of texts or of such objects), .txt (a
    document a line), .csv with a header, .parquet; all but the last also packed, as in .jsonl.gz. The column is `text`
    unless `::COLUMN` names another. Raises LayerclaimsError, with the line where one is to blame.
    """
    check_corpus_name(name)
    if name in EMBEDDED:
        return load_embedded(name)
    if (wanted := data_set(name)) is not None:
        return load_hub(name, wanted, offline=offline)
    return load_file(name)
