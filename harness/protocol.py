"""Protocol: everything that determines the numbers of a run, frozen; its hash keys what is kept on disk."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from layerclaims.corpora.selection import FEWEST
from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.dtypes import AUTO, CHOICES
from layerclaims.runtime.text import described, shown

ProtocolName = Literal["rigorous", "as-published"]
MEASUREMENTS_VERSION: Final = 11  # raise it when a measurement's numbers change: kept ones are then made anew
PROFILES: Final[Mapping[str, Mapping[str, Any]]] = {
    "quick": {"n_texts": 200},
    "paper": {"n_texts": 1000},
    "pile": {"n_texts": 5000, "corpus": "pile"},
}
EMBEDDED_CORPORA: Final = {"corpus": "embedded:movies", "transfer_corpus": "embedded:news"}
CHANGES: Final = ("adapter", "tokenizer")  # of the model; where there are none, nothing is stated
DISPLAYED: Final = {"embedded": "SmolLM2-135M-Instruct (embedded)"}  # models by another name for readers
HUB_CORPORA: Final = {"corpus": "imdb", "transfer_corpus": "ag_news"}


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What is run on what. Refuses nonsense when built, before any model is touched."""

    model: str = "embedded"
    corpus: str = EMBEDDED_CORPORA["corpus"]
    transfer_corpus: str | None = EMBEDDED_CORPORA["transfer_corpus"]  # None: its claims are not tested
    profile: str = "paper"
    n_texts: int = 1000  # documents of each corpus
    context: int = 30  # tokens of each document
    folds: int = 5
    seed: int = 0
    name: ProtocolName = "rigorous"
    dtype: str = AUTO  # of the model and of the states on disk; see runtime/dtypes.py
    alpha: float = 0.05  # intervals are 1 - alpha
    adapter: str | None = None  # that is applied to the model
    tokenizer: str | None = None  # in place of the model's own
    sources: Mapping[str, str] = dataclasses.field(default_factory=dict, compare=False)  # field -> where from

    def __post_init__(self) -> None:
        """Raise LayerclaimsError with the field and the value that make no sense."""
        _need(self.profile in PROFILES, "--profile", self.profile, f"one of {', '.join(PROFILES)}")
        _need(self.n_texts >= FEWEST, "--n-texts", self.n_texts, f"at least {FEWEST}")
        _need(self.context >= 5, "--context", self.context, "at least 5 tokens")
        _need(2 <= self.folds <= 20, "--folds", self.folds, "2 to 20")
        _need(self.folds <= self.n_texts, "--folds", self.folds, "no more than the texts")
        _need(0 <= self.seed < 2**32, "--seed", self.seed, "0 to 4294967295")
        _need(self.name in ("rigorous", "as-published"), "--protocol", self.name, "rigorous or as-published")
        _need(self.dtype in CHOICES, "--dtype", self.dtype, f"one of {', '.join(CHOICES)}")
        # an equivalence has the level 1 - 2 alpha
        _need(1e-6 <= self.alpha <= 0.25, "--alpha", self.alpha, ".000001 to .25")

    @property
    def published(self) -> bool:
        """Whether the authors' own procedure is followed."""
        return self.name == "as-published"

    @property
    def second_phase(self) -> bool:
        """Whether it is the procedure of the authors' later runs, on the Pile.

        Every entry is centred and divided by one mean and one deviation there.
        """
        return self.published and self.profile == "pile"

    @property
    def fewer(self) -> bool:
        """Whether a corpus with fewer texts will do: the pile profile goes as far as the texts do."""
        return self.sources.get("n_texts") == "profile pile"

    @property
    def hash(self) -> str:
        """16 hexadecimal digits of all that is stated here, but for where it came from."""
        return hashlib.sha256(json.dumps(self._stated, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def _stated(self) -> dict[str, Any]:
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.compare}
        return {name: value for name, value in values.items() if value is not None or name not in CHANGES}

    @property
    def studied(self) -> str:
        """What is studied, as readers are told: the model, with the adapter and the tokenizer that were given."""
        return displayed(self.model, adapter=self.adapter, tokenizer=self.tokenizer)

    def as_json(self) -> dict[str, Any]:
        """As in results.json."""
        options = [
            {"name": name, "value": value, "source": self.sources.get(name, "default")}
            for name, value in self._stated.items()
        ]
        keys = ("name", "profile", "n_texts", "context", "folds", "seed", "alpha", "dtype")
        return {**{key: getattr(self, key) for key in keys}, "hash": self.hash, "options": options}


def resolve_options(given: Mapping[str, tuple[Any, str]]) -> Protocol:
    """A protocol from options that were `given`, each with where it came from.

    What is not given comes from the profile, then from the model (the embedded model has embedded corpora, others
    IMDB and AG_NEWS), then from the defaults. Raises LayerclaimsError.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}

    def put(name: str, value: Any, source: str) -> None:
        if name not in values:
            values[name], sources[name] = value, source

    for name, (value, source) in given.items():
        put(name, None if (name, value) == ("transfer_corpus", "none") else value, source)
    put("profile", "paper", "default")
    profile = values["profile"]
    _need(profile in PROFILES, "--profile", profile, f"one of {', '.join(PROFILES)}")
    for name, value in PROFILES[profile].items():
        put(name, value, f"profile {profile}")
    put("model", "embedded", "default")
    embedded = values["model"] == "embedded"
    for name, value in (EMBEDDED_CORPORA if embedded else HUB_CORPORA).items():
        put(name, value, "default for the embedded model" if embedded else "default")
    return Protocol(**values, sources=sources)


def displayed(model: str, *, adapter: str | None = None, tokenizer: str | None = None) -> str:
    """A model's name for readers. With an adapter or another tokenizer it is the name of no published model."""
    return described(DISPLAYED.get(model, model), adapter=adapter, tokenizer=tokenizer)


def report_name(model: str) -> str:
    """A model's name as the name of a folder: `reports/<this>`. Harmless whatever the name."""
    if model == "embedded":
        return "smollm2-135m-instruct"
    text = model.removeprefix("local:").rstrip("/\\")
    if text.endswith(".gguf") or text.startswith((".", "/", "~")) or model.startswith("local:"):
        text = Path(text).name.removesuffix(".gguf")
    kept = (
        "".join(c if c.isascii() and (c.isalnum() or c in "-_.@") else "-" for c in text).strip("-.").lower()
    )
    if not kept or len(kept) > 80:
        digest = hashlib.sha256(model.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        kept = f"{kept[:60].strip('-.') or 'model'}-{digest}"
    return kept


def _need(holds: bool, option: str, value: object, wanted: str) -> None:
    if not holds:
        raise LayerclaimsError(f"{option} {shown(value)} is not possible: it has to be {wanted}.")
