"""The options of the pytest group "replication": declared, read from where they are given, checked."""

import argparse
import copy
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import pytest
from layerclaims.errors import LayerclaimsError
from layerclaims.protocol import PROFILES, Protocol, report_name, resolve_options
from layerclaims.runtime.dtypes import DTYPES
from layerclaims.runtime.files import check_writable
from layerclaims.runtime.memory import parse
from layerclaims.runtime.paths import CACHE_VARIABLE, default_cache_dir
from layerclaims.runtime.text import shown

PROTOCOLS: Final[Mapping[str, tuple[str, ...]]] = {
    "rigorous": ("rigorous",),
    "as-published": ("as-published",),
    "both": ("rigorous", "as-published"),
}
FORMATS: Final = ("pdf", "html", "md")
# option -> what it takes and means; see `declare` for the names under which it can be given
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
    "dtype": {"choices": tuple(DTYPES), "help": "of the model and of the states on disk (float32)"},
    "device": {"metavar": "NAME", "help": "auto (default), cpu, cuda, cuda:1, mps"},
    "batch-size": {"metavar": "N", "help": "texts in a forward pass (auto)"},
    "memory": {
        "metavar": "SIZE",
        "help": "a larger matrix of vectors is kept in a file, as in 4GB (auto: half of the machine's memory)",
    },
    "cache-dir": {
        "metavar": "DIR",
        "help": "where states and measurements are kept (~/.cache/layerclaims); variable LAYERCLAIMS_CACHE",
    },
    "out": {"metavar": "DIR", "help": "where the report is written (reports/<model>)"},
    "report": {"metavar": "FORMATS", "help": "any of pdf,html,md, or none (pdf,html,md)"},
    "replace": {
        "action": "store_true",
        "help": "results.json and --save-baseline may replace a file that holds more claims than this run",
    },
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
    "offline": {"action": "store_true", "help": "never ask the hub"},
    "verdicts-only": {
        "action": "store_true",
        "help": "a verdict is a result whichever way it goes: only a claim that could not be judged fails",
    },
}
PROTOCOL_FIELDS: Final = (
    "corpus", "transfer-corpus", "profile", "n-texts", "context", "folds", "seed", "alpha", "dtype",
)  # fmt: skip
INI_TYPES: Final[Mapping[Any, str]] = {int: "int", float: "float", "append": "linelist", "store_true": "bool"}
SWITCH: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off", ""), False),
}
PREFIX: Final = "LAYERCLAIMS_"
# options that were given by a name without layerclaims- which is ours; and those whose short ini key is
SHORT: Final = pytest.StashKey[frozenset[str]]()
SHORT_KEYS: Final = pytest.StashKey[frozenset[str]]()


def declare(parser: pytest.Parser, manager: pytest.PytestPluginManager) -> None:
    """Add the options to pytest as --layerclaims-NAME, and the ini keys as layerclaims_NAME.

    The same without layerclaims is also taken where no other plugin has it. Which ones have is known when all plugins
    are loaded (see `shorten`), so pytest is told the short names only where a conftest.py loads this plugin, which is
    too late for `shorten` to be called.
    """
    config = manager.get_plugin("pytestconfig")
    assert isinstance(config, pytest.Config)
    files = [Path(getattr(plugin, "__file__", None) or "").name for plugin in manager.get_plugins()]
    late = "conftest.py" in files
    group = parser.getgroup(
        "replication",
        "replication of claims about hidden states; where no other plugin has the name, layerclaims- may be left out; "
        "each option is also an ini key and a variable, as layerclaims_n_texts and LAYERCLAIMS_N_TEXTS",
    )
    short = []
    for name, how in OPTIONS.items():
        action, text = how.get("action", "store"), f"or --{name}: {how['help']}"
        shape = {"dest": _dest(name), "action": action, "default": None, "help": text}
        if action != "store_true":
            shape["metavar"] = how.get("metavar", "|".join(how.get("choices", ())))
        names = [f"--{name}"] if late else []
        try:
            group.addoption(*names, f"--layerclaims-{name}", **shape)
        except argparse.ArgumentError:  # another's
            names = []
            group.addoption(f"--layerclaims-{name}", **shape)
        short += [name for _ in names]
        _add_key(parser, f"layerclaims_{_key(name)}", name)
    config.stash[SHORT] = frozenset(short)
    config.stash[SHORT_KEYS] = _shorten_keys(config, parser) if late else frozenset()


def shorten(config: pytest.Config, parser: pytest.Parser, arguments: list[str]) -> None:
    """Spell out, in place, what is ours among the arguments; take the short ini keys that are free.

    The names are not declared: pytest refuses two plugins of one name, whichever comes first, so a conftest.py
    further down that has one of them would fail.
    """
    config.stash[SHORT] = _ours(config, parser, arguments)
    config.stash[SHORT_KEYS] = _shorten_keys(config, parser)
    arguments[:] = _spelled_out(arguments, config.stash[SHORT])


def paths(config: pytest.Config, parser: pytest.Parser, arguments: Sequence[str]) -> list[str]:
    """The files and folders that the arguments name: the value of a short option is none."""
    spelled = _spelled_out(arguments, _ours(config, parser, arguments))
    found: list[str] = parser.parse_known_args(spelled, namespace=copy.copy(config.option)).file_or_dir
    return found


def typed(config: pytest.Config) -> list[str]:
    """Our options on the command line itself, as they were typed; none of an ini file's addopts."""
    ours = {f"--layerclaims-{name}" for name in OPTIONS} | {f"--{name}" for name in config.stash[SHORT]}
    names = (arg.partition("=")[0] for arg in _split(config.invocation_params.args)[0])
    return [name for name in names if name in ours]


def _ours(config: pytest.Config, parser: pytest.Parser, arguments: Sequence[str]) -> frozenset[str]:
    """The options whose short names stand among the arguments and are known to no other plugin."""
    _, unknown = parser.parse_known_and_unknown_args(arguments, namespace=copy.copy(config.option))
    return frozenset(name for arg in unknown if (name := arg[2:].partition("=")[0]) in OPTIONS)


def _spelled_out(arguments: Sequence[str], short: frozenset[str]) -> list[str]:
    before, after = _split(arguments)
    ours = [
        f"--layerclaims-{arg[2:]}" if arg.startswith("--") and arg[2:].partition("=")[0] in short else arg
        for arg in before
    ]
    return ours + after


def _split(arguments: Sequence[str | os.PathLike[str]]) -> tuple[list[str], list[str]]:
    """The arguments before a bare --, which may be options, and the rest; those in files (@FILE) in their place."""
    found = []
    for given in arguments:
        arg = os.fspath(given)
        in_file = arg.startswith("@") and Path(arg[1:]).is_file()
        found += Path(arg[1:]).read_text("utf-8").splitlines() if in_file else [arg]
    end = found.index("--") if "--" in found else len(found)
    return found[:end], found[end:]


def _shorten_keys(config: pytest.Config, parser: pytest.Parser) -> frozenset[str]:
    """Declare the short ini keys that are free; the options whose keys they are."""
    free = []
    for name in OPTIONS:
        try:
            config.getini(_key(name))
        except ValueError:  # nobody has declared it
            free.append(name)
            _add_key(parser, _key(name), name)
        except (TypeError, pytest.UsageError):  # another's, and wrong
            continue
    return frozenset(free)


def _add_key(parser: pytest.Parser, key: str, name: str) -> None:
    how = OPTIONS[name]
    kind: Any = INI_TYPES.get(how.get("action", how.get("type")), "string")
    parser.addini(key, f"the same as --layerclaims-{name}", type=kind, default=None)


def _dest(name: str) -> str:
    return "replication_" + _key(name)


def _key(name: str) -> str:
    return name.replace("-", "_")


def variable(name: str) -> str:
    """The variable of the environment in which an option can be given."""
    return CACHE_VARIABLE if name == "cache-dir" else PREFIX + _key(name).upper()


def check_variables(environment: Mapping[str, str]) -> None:
    """Raise LayerclaimsError for a variable LAYERCLAIMS_... that is none of ours."""
    known = [variable(name) for name in OPTIONS]
    for given in environment:
        if given.startswith(PREFIX) and given not in known:
            near = get_close_matches(given, known, n=1, cutoff=0)[0]
            raise LayerclaimsError(f"There is no variable {shown(given)}; did you mean {near}?")


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
    memory: int  # bytes of the largest matrix that is kept in memory
    cache_dir: Path
    formats: tuple[str, ...]
    twin: bool  # every claim is also judged on the untrained twin
    lenient: bool  # INCONCLUSIVE passes
    verdicts_only: bool  # every verdict passes
    replace: bool  # files of more claims than the run's own may be replaced
    baseline: Path | None
    save_baseline: Path | None
    stated: tuple[Mapping[str, Any], ...]  # options outside the protocol, as results.json lists them
    called: Mapping[str, str]  # option -> how it was given: --NAME, the variable or the ini key

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
        from layerclaims.corpora.load import check_corpus_name
        from layerclaims.models.source import check_model_name

        for target in self.targets:
            check_model_name(target.protocol.model)
            check_corpus_name(target.protocol.corpus)
            if target.protocol.transfer_corpus is not None:
                check_corpus_name(target.protocol.transfer_corpus)
        check_writable(self.cache_dir, self.called.get("cache-dir", "--cache-dir"))
        for target in self.targets:
            check_writable(target.out, self.called.get("out", "--out"))
        if self.save_baseline is not None:
            option = self.called["save-baseline"]
            check_writable(self.save_baseline.parent, option)
            if self.save_baseline.is_dir():
                raise LayerclaimsError(
                    f"{option} {shown(self.save_baseline)} is a directory; name a file in it."
                )


def read(config: pytest.Config) -> Settings:
    """The settings of a session; raises LayerclaimsError for options that make no sense."""
    check_variables(os.environ)
    given = _Given(config)
    try:
        return _settings(config, given)
    except LayerclaimsError as error:
        raise LayerclaimsError(given.as_spelled(str(error))) from None


def _settings(config: pytest.Config, given: "_Given") -> Settings:
    here = config.invocation_params.dir
    fields = {_key(name): found for name in PROTOCOL_FIELDS if (found := given(name))[0] is not None}
    models, source = given("model", ["embedded"])
    chosen, protocol_source = given("protocol", "rigorous")
    out, _ = given("out")
    targets = []
    names = _names(models)
    for model, name in names.items():
        folder = here / (Path("reports") / name if out is None else Path(out).expanduser())
        for protocol in PROTOCOLS[chosen]:
            stated = {**fields, "name": (protocol, protocol_source)}
            if source != "default":
                stated["model"] = (model, source)
            targets.append(
                Target(
                    protocol=resolve_options(stated),
                    name=name,
                    out=folder / name if out is not None and len(names) > 1 else folder,
                )
            )
    cache_dir, _ = given("cache-dir")
    baseline, save_baseline = (
        None if (value := given(name)[0]) is None else here / Path(value).expanduser()
        for name in ("baseline", "save-baseline")
    )
    if len(names) > 1 and (baseline or save_baseline):
        option = "--baseline" if baseline else "--save-baseline"
        raise LayerclaimsError(
            f"{option} is about one model, and there are {len(names)}; run them one by one."
        )
    return Settings(
        targets=tuple(targets),
        batch_size=_batch_size(given("batch-size", "auto")[0]),
        device=_device(given("device", "auto")[0]),
        offline=given("offline", False)[0],
        memory=parse(given("memory", "auto")[0]),
        cache_dir=default_cache_dir() if cache_dir is None else here / Path(cache_dir).expanduser(),
        formats=_formats(given("report", ",".join(FORMATS))[0]),
        twin=given("control")[0] == "untrained",
        lenient=given("inconclusive", "fail")[0] == "warn",
        verdicts_only=given("verdicts-only", False)[0],
        replace=given("replace", False)[0],
        baseline=baseline,
        save_baseline=save_baseline,
        stated=tuple(
            {"name": _key(name), "value": value, "source": source}
            for name, default in (
                ("protocol", "rigorous"),
                ("device", "auto"),
                ("batch-size", "auto"),
                ("memory", "auto"),
                ("control", "none"),
                ("inconclusive", "fail"),
            )
            for value, source in [given(name, default)]
        ),
        called=given.called,
    )


class _Given:
    """The options as they were given: on the command line, else in the environment, else in an ini file."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.called: dict[str, str] = {}  # option -> how it was given

    def __call__(self, name: str, default: Any = None) -> tuple[Any, str]:
        """The value and where it came from; raises LayerclaimsError for one of the wrong kind."""
        config, text = self._config, os.environ.get(variable(name))
        if (value := config.getoption(_dest(name))) is not None:
            self.called[name] = f"--{name}" if name in config.stash[SHORT] else f"--layerclaims-{name}"
            return self._read(name, value), "command line"
        if text is not None and (text.strip() or _is_switch(name)):
            self.called[name] = variable(name)
            return self._read(name, text), "environment"
        for key in (f"layerclaims_{_key(name)}", _key(name)):
            if key == _key(name) and name not in config.stash[SHORT_KEYS]:
                continue
            try:
                value = config.getini(key)
            except (TypeError, ValueError, pytest.UsageError) as error:
                said = shown(" ".join(str(error).split()), 300)[1:-1].rstrip(".")
                raise LayerclaimsError(f"The ini key {key} cannot be used: {said}.") from None
            if value not in (None, "", []):
                self.called[name] = f"the ini key {key}"
                return self._read(name, value), "ini file"
        return default, "default"

    def _read(self, name: str, value: Any) -> Any:
        """A value as the option takes it; a text is what command line and environment give."""
        how = OPTIONS[name]
        if isinstance(value, str):
            if _is_switch(name):
                if (on := SWITCH.get(value.strip().lower())) is None:
                    raise _impossible(name, value, "1, true, yes or on; or 0, false, no, off or empty")
                return on
            if how.get("action") == "append":
                return value.split()
            if kind := how.get("type"):
                try:
                    value = kind(value)
                except ValueError:
                    raise _impossible(name, value, "a whole number" if kind is int else "a number") from None
        if "choices" in how and value not in how["choices"]:
            raise _impossible(name, value, f"one of {', '.join(how['choices'])}")
        return value

    def as_spelled(self, sentence: str) -> str:
        """A sentence about --NAME, said of what the user has given."""
        found = re.match(r"--([a-z-]+)", sentence)
        if found is None or found[1] not in self.called:
            return sentence
        called = self.called[found[1]]
        return called[0].upper() + called[1:] + sentence[found.end() :]


def _is_switch(name: str) -> bool:
    return OPTIONS[name].get("action") == "store_true"


def _impossible(name: str, value: object, wanted: str) -> LayerclaimsError:
    return LayerclaimsError(f"--{name} {shown(value)} is not possible: it has to be {wanted}.")


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
