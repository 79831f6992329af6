"""The options of the pytest group "replication": declared, read from command line or ini file, checked."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from harness.cache import default_cache_dir
from harness.errors import LayerclaimsError
from harness.files import check_writable, shown
from harness.protocol import DTYPES, PROFILES, Protocol, report_name, resolve_options

PROTOCOLS: Final[Mapping[str, tuple[str, ...]]] = {
    "rigorous": ("rigorous",),
    "as-published": ("as-published",),
    "both": ("rigorous", "as-published"),
}
FORMATS: Final = ("pdf", "html", "md")

# option -> how argparse takes it; the same key (see _key) may stand in pyproject.toml or pytest.ini
OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "model": {
        "action": "append",
        "metavar": "NAME",
        "help": "hub id (with @REVISION), local:DIR or a path, a .gguf file, or 'embedded' (default); "
        "repeat it for several models",
    },
    "corpus": {"metavar": "NAME", "help": "imdb, ag_news, pile, embedded:movies, embedded:news, or a file"},
    "transfer-corpus": {"metavar": "NAME", "help": "the other corpus, named likewise"},
    "profile": {"choices": tuple(PROFILES), "help": "quick: 200 texts; paper (default): 1,000; pile: 5,000"},
    "n-texts": {"type": int, "metavar": "N", "help": "texts of each corpus, in place of the profile's"},
    "context": {"type": int, "metavar": "N", "help": "tokens of each text (30)"},
    "folds": {"type": int, "metavar": "N", "help": "folds of documents (5)"},
    "seed": {"type": int, "metavar": "N", "help": "of all that is drawn at random (0)"},
    "protocol": {"choices": tuple(PROTOCOLS), "help": "rigorous (default), as-published or both"},
    "alpha": {"type": float, "metavar": "P", "help": "level of the decisions; intervals are 1 - alpha (.05)"},
    "dtype": {"choices": DTYPES, "help": "of the model and of the states on disk (float32)"},
    "device": {"metavar": "NAME", "help": "auto (default), cpu, cuda, cuda:1, mps"},
    "batch-size": {"metavar": "N", "help": "texts in a forward pass (auto)"},
    "cache-dir": {"metavar": "DIR", "help": "where states and measurements are kept (~/.cache/layerclaims)"},
    "out": {"metavar": "DIR", "help": "where the report is written (reports/<model>)"},
    "report": {"metavar": "FORMATS", "help": "any of pdf,html,md, or none (pdf,html,md)"},
    "control": {
        "choices": ("untrained",),
        "help": "judge every claim also on the same architecture with freshly initialised weights (none)",
    },
    "inconclusive": {
        "choices": ("fail", "warn"),
        "help": "what an INCONCLUSIVE claim does to its test (fail)",
    },
    "baseline": {
        "metavar": "FILE",
        "help": "results.json or report.pdf of an earlier run: only a change for the worse fails",
    },
    "save-baseline": {"metavar": "FILE", "help": "write this run's results there too, as a later --baseline"},
}
FLAGS: Final[Mapping[str, str]] = {
    "offline": "never ask the hub",
    "verdicts-only": "a verdict is a result whichever way it goes: only a claim that could not be judged fails",
}
PROTOCOL_FIELDS: Final = (
    "corpus", "transfer-corpus", "profile", "n-texts", "context", "folds", "seed", "alpha", "dtype",
)  # fmt: skip
INI_TYPES: Final[Mapping[type, str]] = {int: "int", float: "float"}


def declare(parser: pytest.Parser) -> None:
    """Add the options to pytest, each with its ini key."""
    group = parser.getgroup("replication", "replication of claims about hidden states")
    for name, how in OPTIONS.items():
        group.addoption(f"--{name}", dest=_dest(name), default=None, **how)
        kind: Any = (
            "linelist" if how.get("action") == "append" else INI_TYPES.get(how.get("type", str), "string")
        )
        parser.addini(_key(name), f"the same as --{name}", type=kind, default=None)
    for name, text in FLAGS.items():
        group.addoption(f"--{name}", dest=_dest(name), action="store_true", help=text)
        parser.addini(_key(name), f"the same as --{name}", type="bool", default=False)


def _dest(name: str) -> str:
    return "replication_" + name.replace("-", "_")


def _key(name: str) -> str:
    """The ini key of an option; `cache_dir` itself is pytest's own, for its cache of failed tests."""
    return "layerclaims_cache_dir" if name == "cache-dir" else name.replace("-", "_")


@dataclass(frozen=True, kw_only=True)
class Target:
    """One model under one protocol, and where its report goes."""

    protocol: Protocol
    name: str  # of the model, harmless in file names and test ids, different for each model
    out: Path


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that the options say."""

    targets: tuple[Target, ...]  # every model under every protocol, model by model
    batch_size: int | None
    device: str
    offline: bool
    cache_dir: Path
    formats: tuple[str, ...]
    twin: bool  # every claim is also judged on the untrained twin
    lenient: bool  # INCONCLUSIVE passes
    verdicts_only: bool  # every verdict passes
    baseline: Path | None
    save_baseline: Path | None
    stated: tuple[Mapping[str, Any], ...]  # options outside the protocol, as results.json lists them

    @property
    def models(self) -> dict[str, list[Target]]:
        """The targets of each model, by its name."""
        found: dict[str, list[Target]] = {}
        for target in self.targets:
            found.setdefault(target.name, []).append(target)
        return found

    def target_id(self, target: Target) -> str | None:
        """What tells the target's tests from the others'; None where there are no others."""
        parts = []
        if len(self.models) > 1:
            parts.append(target.name)
        if len({t.protocol.name for t in self.targets}) > 1:
            parts.append(target.protocol.name)
        return "-".join(parts) or None

    def check(self) -> None:
        """Names, files and directories, as far as that is quick; raises LayerclaimsError."""
        from harness.corpora import check_corpus_name
        from harness.sources import check_model_name

        for target in self.targets:
            check_model_name(target.protocol.model)
            check_corpus_name(target.protocol.corpus)
            check_corpus_name(target.protocol.transfer_corpus)
        check_writable(self.cache_dir, "--cache-dir")
        for target in self.targets:
            check_writable(target.out, "--out")
        if self.save_baseline is not None:
            check_writable(self.save_baseline.parent, "--save-baseline")
            if self.save_baseline.is_dir():
                raise LayerclaimsError(
                    f"--save-baseline {shown(self.save_baseline)} is a directory; name a file in it."
                )


def read(config: pytest.Config) -> Settings:
    """The settings of a session; raises LayerclaimsError for options that make no sense."""
    here = config.invocation_params.dir
    given = {_key(name): found for name in PROTOCOL_FIELDS if (found := _value(config, name))[0] is not None}
    models, source = _value(config, "model", ["embedded"])
    chosen, protocol_source = _value(config, "protocol", "rigorous")
    out, _ = _value(config, "out")
    targets = []
    names = _names(models)
    for model, name in names.items():
        folder = here / (Path("reports") / name if out is None else Path(out).expanduser())
        for protocol in PROTOCOLS[chosen]:
            stated = {**given, "name": (protocol, protocol_source)}
            if source != "default":
                stated["model"] = (model, source)
            targets.append(
                Target(
                    protocol=resolve_options(stated),
                    name=name,
                    out=folder / name if out is not None and len(names) > 1 else folder,
                )
            )
    cache_dir, _ = _value(config, "cache-dir")
    baseline, save_baseline = (_path(config, name) for name in ("baseline", "save-baseline"))
    if len(names) > 1 and (baseline or save_baseline):
        option = "--baseline" if baseline else "--save-baseline"
        raise LayerclaimsError(
            f"{option} is about one model, and there are {len(names)}; run them one by one."
        )
    return Settings(
        targets=tuple(targets),
        batch_size=_batch_size(_value(config, "batch-size", "auto")[0]),
        device=_device(_value(config, "device", "auto")[0]),
        offline=_flag(config, "offline"),
        cache_dir=default_cache_dir() if cache_dir is None else here / Path(cache_dir).expanduser(),
        formats=_formats(_value(config, "report", ",".join(FORMATS))[0]),
        twin=_value(config, "control")[0] == "untrained",
        lenient=_value(config, "inconclusive", "fail")[0] == "warn",
        verdicts_only=_flag(config, "verdicts-only"),
        baseline=baseline,
        save_baseline=save_baseline,
        stated=tuple(
            {"name": _key(name), "value": value, "source": source}
            for name, default in (
                ("protocol", "rigorous"),
                ("device", "auto"),
                ("batch-size", "auto"),
                ("control", "none"),
                ("inconclusive", "fail"),
            )
            for value, source in [_value(config, name, default)]
        ),
    )


def _value(config: pytest.Config, name: str, default: Any = None) -> tuple[Any, str]:
    """The value of an option and where it came from: command line, ini file, default."""
    value = config.getoption(_dest(name))
    if value is not None:
        return value, "command line"
    key, how = _key(name), OPTIONS[name]
    try:
        value = config.getini(key)
    except (TypeError, ValueError, pytest.UsageError) as error:
        raise LayerclaimsError(f"The ini key {key} cannot be used: {_said(error)}.") from None
    if value in (None, "", []):
        return default, "default"
    if "choices" in how and value not in how["choices"]:
        raise LayerclaimsError(
            f"The ini key {key} is {shown(value)}; choose from {', '.join(how['choices'])}."
        )
    return value, "ini file"


def _flag(config: pytest.Config, name: str) -> bool:
    try:
        return bool(config.getoption(_dest(name)) or config.getini(_key(name)))
    except (TypeError, ValueError, pytest.UsageError) as error:
        raise LayerclaimsError(f"The ini key {_key(name)} cannot be used: {_said(error)}.") from None


def _said(error: Exception) -> str:
    return shown(" ".join(str(error).split()), 300)[1:-1].rstrip(".")


def _path(config: pytest.Config, name: str) -> Path | None:
    value, _ = _value(config, name)
    return None if value is None else config.invocation_params.dir / Path(value).expanduser()


def _names(models: Sequence[str]) -> dict[str, str]:
    """Model -> harmless name, a different one for each; a model given twice counts once."""
    plain = {model: report_name(model) for model in models}
    spelled = list(plain.values())
    return {
        model: name
        if spelled.count(name) == 1
        else f"{name}-{hashlib.sha256(model.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
        for model, name in plain.items()
    }


def _batch_size(value: str) -> int | None:
    if value == "auto":
        return None
    if not (str(value).isascii() and str(value).isdigit() and int(value) > 0):
        raise LayerclaimsError(
            f"--batch-size {shown(value)} is not possible: it has to be auto or a number above 0."
        )
    return int(value)


def _device(value: str) -> str:
    if not re.fullmatch(r"auto|(cpu|cuda|mps|xpu)(:\d{1,3})?", value):  # whether it is there, torch will say
        raise LayerclaimsError(
            f"--device {shown(value)} is not possible: give auto, cpu, cuda, cuda:1 or mps."
        )
    return value


def _formats(value: str) -> tuple[str, ...]:
    if value == "none":
        return ()
    formats = tuple(dict.fromkeys(f.strip() for f in value.split(",")))
    if unknown := [f for f in formats if f not in FORMATS]:
        raise LayerclaimsError(
            f"--report {shown(unknown[0])} is not possible: choose from {', '.join(FORMATS)}, or none."
        )
    return formats
