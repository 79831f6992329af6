"""The file of a sweep: TOML with one or more grids, read as the targets that they name."""

import hashlib
import itertools
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from layerclaims.corpora.load import check_corpus_name
from layerclaims.errors import LayerclaimsError
from layerclaims.models.source import check_model_name
from layerclaims.protocol import Protocol, report_name, resolve_options
from layerclaims.runtime.text import shown

MOST_TARGETS: Final = 100_000
# key -> the kind of value that it takes, and what stands for it where it is absent
SWEEP: Final[Mapping[str, tuple[type, Any]]] = {
    "out": (str, None),
    "keep_states": (bool, True),
    "grid": (list, None),
}
GRID: Final[Mapping[str, tuple[type, Any]]] = {
    "models": (str, None),
    "corpora": (str, (None,)),
    "transfer_corpus": (str, None),
    "contexts": (int, (None,)),
    "texts": (int, (None,)),
    "seeds": (int, (None,)),
    "protocols": (str, ("rigorous",)),
    "profile": (str, None),
    "claims": (str, None),
}
LISTS: Final = ("models", "corpora", "contexts", "texts", "seeds", "protocols")


@dataclass(frozen=True, kw_only=True)
class Target:
    """One run of a sweep."""

    name: str  # of its folder, a different one for each
    protocol: Protocol
    claims: str | None  # which claims, as pytest -k takes it; None: all

    @property
    def states(self) -> str:
        """The same for all targets that read the same states."""
        p = self.protocol
        said = "\0".join(
            map(str, (p.model, p.corpus, p.transfer_corpus, p.n_texts, p.context, p.seed, p.dtype))
        )
        return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """All that a file says."""

    targets: tuple[Target, ...]  # those that read the same states one after the other
    out: Path
    keep_states: bool


def read_sweep(path: Path) -> Sweep:
    """The sweep of a file. Raises LayerclaimsError with the key and the value that make no sense."""
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise LayerclaimsError(f"{shown(path)} cannot be read: {error.strerror or error}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LayerclaimsError(f"{shown(path)} is no TOML: {shown(error, 200)[1:-1]}.") from None
    given = _values(content, SWEEP, f"{shown(path)}")
    grids = given["grid"]
    if not grids or not all(isinstance(grid, dict) for grid in grids):
        raise LayerclaimsError(f"{shown(path)} has no grid; begin one with the line [[grid]].")
    found: dict[tuple[str, str | None], tuple[Protocol, str | None]] = {}
    for number, grid in enumerate(grids, 1):
        for protocol, claims in _targets(
            _values(grid, GRID, f"Grid {number} of {shown(path)}"), number, path
        ):
            found.setdefault((protocol.hash, claims), (protocol, claims))
            if len(found) > MOST_TARGETS:
                raise LayerclaimsError(f"{shown(path)} names more than {MOST_TARGETS:,} targets; split it.")
    together: dict[str, list[Target]] = {}
    for target in _named(list(found.values())):
        together.setdefault(target.states, []).append(target)
    return Sweep(
        targets=tuple(itertools.chain.from_iterable(together.values())),
        out=Path(given["out"] or Path("reports") / path.stem),
        keep_states=given["keep_states"],
    )


def _values(content: Mapping[str, Any], known: Mapping[str, tuple[type, Any]], where: str) -> dict[str, Any]:
    """The values of all known keys; raises LayerclaimsError for a key or a value that is wrong."""
    for key in content:
        if key not in known:
            near = get_close_matches(key, known, n=1, cutoff=0)[0]
            raise LayerclaimsError(f"{where} has no key {shown(key)}; did you mean {near}?")
    found = {}
    for key, (kind, default) in known.items():
        value = content.get(key, default)
        if key in LISTS and key in content:
            value = tuple(value) if isinstance(value, list) else (value,)
            right = bool(value) and all(type(one) is kind for one in value)
        else:
            right = key not in content or type(value) is kind
        if not right:
            many = " or a list of them" if key in LISTS else ""
            words = {str: "a text", int: "a whole number", bool: "true or false", list: "a list"}[kind]
            raise LayerclaimsError(f"{where}: {key} = {shown(content[key])} has to be {words}{many}.")
        found[key] = value
    return found


def _targets(grid: Mapping[str, Any], number: int, path: Path) -> list[tuple[Protocol, str | None]]:
    if grid["models"] is None:
        raise LayerclaimsError(f"Grid {number} of {shown(path)} names no models; give models = [...].")
    for model in grid["models"]:
        check_model_name(model)
    for corpus in (*grid["corpora"], grid["transfer_corpus"]):
        if corpus not in (None, "none"):
            check_corpus_name(corpus)
    axes = (grid[key] for key in ("models", "corpora", "contexts", "texts", "seeds", "protocols"))
    found = []
    for model, corpus, context, texts, seed, name in itertools.product(*axes):
        given = {
            "model": model, "corpus": corpus, "transfer_corpus": grid["transfer_corpus"], "context": context,
            "n_texts": texts, "seed": seed, "name": name, "profile": grid["profile"],
        }  # fmt: skip
        stated = {key: (value, "command line") for key, value in given.items() if value is not None}
        try:
            found.append((resolve_options(stated), grid["claims"]))
        except LayerclaimsError as error:
            raise LayerclaimsError(f"Grid {number} of {shown(path)} cannot be run: {error}") from None
    return found


def _named(found: Sequence[tuple[Protocol, str | None]]) -> list[Target]:
    plain = [_name(protocol) for protocol, _ in found]
    often = Counter(plain)
    return [
        Target(
            name=name
            if often[name] == 1
            else f"{name}-{hashlib.sha256(f'{protocol.hash} {claims}'.encode()).hexdigest()[:8]}",
            protocol=protocol,
            claims=claims,
        )
        for name, (protocol, claims) in zip(plain, found, strict=True)
    ]


def _name(protocol: Protocol) -> str:
    corpus = re.sub(r"[^a-z0-9]+", "-", Path(protocol.corpus).name.lower()).strip("-")[:40]
    return (
        f"{report_name(protocol.model)}-{corpus}-{protocol.n_texts}x{protocol.context}-seed{protocol.seed}-"
        f"{protocol.name}"
    )
