"""A corpus by its name."""

from layerclaims.corpora.corpus import Corpus
from layerclaims.corpora.files import READERS, check_file, load_file, split_path
from layerclaims.corpora.hub import HUB, hub_name, load_hub
from layerclaims.corpora.packages import EMBEDDED, load_embedded
from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.text import shown


def check_corpus_name(name: str) -> None:
    """Raise LayerclaimsError for what can be seen without reading: unknown name or suffix, absent file."""
    if name in EMBEDDED or hub_name(name) is not None:
        return
    path, _ = split_path(name)
    if path.suffix.lower() not in READERS:
        raise LayerclaimsError(
            f"The corpus {shown(name)} is not known; give {', '.join([*HUB, *EMBEDDED])} or a file that ends "
            f"in {', '.join(READERS)}, if need be with ::COLUMN after it."
        )
    check_file(path)


def load_corpus(name: str, *, offline: bool = False) -> Corpus:
    """Read a corpus by name.

    `embedded:movies`, `embedded:news`; `imdb`, `ag_news`, `pile` from the hub, with `@REVISION` if wanted;
    or a file: .jsonl (an object with the key a line), .txt (a document a line), .csv with a header,
    .parquet. The column is `text` unless `PATH::COLUMN` names another. Raises LayerclaimsError, with the
    line where one is to blame.
    """
    check_corpus_name(name)
    if name in EMBEDDED:
        return load_embedded(name)
    if (hub := hub_name(name)) is not None:
        return load_hub(name, *hub, offline=offline)
    return load_file(name)
