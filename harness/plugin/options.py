"""The options of the pytest group "replication", and the names under which pytest takes them."""

import argparse
import copy
import os
import warnings
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import pytest
from layerclaims.errors import LayerclaimsError
from layerclaims.protocol import PROFILES
from layerclaims.runtime.dtypes import CHOICES
from layerclaims.runtime.paths import CACHE_VARIABLE
from layerclaims.runtime.text import shown

DEVICE_MAPS: Final = ("none", "auto")
PROTOCOLS: Final[Mapping[str, tuple[str, ...]]] = {
    "rigorous": ("rigorous",),
    "as-published": ("as-published",),
    "both": ("rigorous", "as-published"),
}
ENGINES: Final = ("local", "ray")
# option -> what it takes and means; see `declare` for the names under which it can be given
OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "model": {
        "action": "append",
        "metavar": "NAME",
        "help": "the model: an id of the hub, with @REVISION and ::FILE.gguf if wanted; local:DIR or a path; a .gguf "
        "file; or 'embedded', the default. Repeat the option for several models",
    },
    "adapter": {
        "metavar": "NAME",
        "help": "a LoRA adapter for the model, with the package peft: an id of the hub, with @REVISION if wanted; "
        "local:DIR or a path",
    },
    "tokenizer": {
        "metavar": "NAME",
        "help": "a tokenizer in place of the model's own: an id of the hub, with @REVISION if wanted; local:DIR or a "
        "path",
    },
    "corpus": {
        "metavar": "NAME",
        "help": "the texts: imdb, ag_news, pile or hf:OWNER/NAME of the hub, with @REVISION if wanted; embedded:movies "
        "or embedded:news; or a file. ::COLUMN after it names a column. Default: imdb, or embedded:movies for the "
        "embedded model",
    },
    "transfer-corpus": {
        "metavar": "NAME",
        "help": "the other texts, for claims about transfer, or 'none'. Default: ag_news, or embedded:news for the "
        "embedded model",
    },
    "profile": {
        "choices": tuple(PROFILES),
        "help": "how many texts: quick takes 200, paper takes 1,000 and is the default, pile takes 5,000 of the Pile",
    },
    "n-texts": {
        "type": int,
        "metavar": "N",
        "help": "take N texts of each corpus, whatever the profile says",
    },
    "context": {"type": int, "metavar": "N", "help": "read the first N tokens of each text. Default: 30"},
    "folds": {"type": int, "metavar": "N", "help": "split the documents into N folds. Default: 5"},
    "seed": {
        "type": int,
        "metavar": "N",
        "help": "the seed of everything that is drawn at random. Default: 0",
    },
    "protocol": {
        "choices": tuple(PROTOCOLS),
        "help": "rigorous asks what is true of the model and is the default, as-published asks what the authors' "
        "procedure finds, both asks both",
    },
    "alpha": {
        "type": float,
        "metavar": "P",
        "help": "the error rate that a verdict may have; intervals have the level 1 - alpha. Default: .05",
    },
    "dtype": {
        "choices": CHOICES,
        "help": "the type of the model's numbers and of the states on disk. auto is the checkpoint's own on a "
        "GPU that has it, and float32 on a processor. int8 and int4 quantise the model's linear layers, with the "
        "package bitsandbytes. Default: auto",
    },
    "device": {
        "metavar": "NAME",
        "help": "where the model runs, probes are fitted and geometry is computed: auto, cpu, cuda, cuda:1 or mps, "
        "which has the model alone. Default: auto",
    },
    "device-map": {
        "choices": DEVICE_MAPS,
        "help": "auto spreads a model that one device cannot hold over GPUs, memory and disk. Default: none",
    },
    "batch-size": {"metavar": "N", "help": "how many texts one forward pass reads, or auto. Default: auto"},
    "memory": {
        "metavar": "SIZE",
        "help": "keep a matrix of vectors in a file if it is larger than SIZE, as in 4GB. Default: half of the "
        "machine's memory",
    },
    "cache-dir": {
        "metavar": "DIR",
        "help": "keep states and measurements in DIR. Default: the variable LAYERCLAIMS_CACHE, else "
        "~/.cache/layerclaims",
    },
    "out": {"metavar": "DIR", "help": "write the report into DIR. Default: reports/MODEL"},
    "report": {
        "metavar": "FORMATS",
        "help": "the formats of the report: any of pdf,html,md, or none. Default: pdf,html,md",
    },
    "replace": {
        "action": "store_true",
        "help": "let this run replace a results.json or a saved baseline that holds more claims than this run has",
    },
    "control": {
        "choices": ("untrained",),
        "help": "judge every claim also on the untrained twin: the same architecture with fresh weights",
    },
    "inconclusive": {
        "choices": ("fail", "warn"),
        "help": "what an INCONCLUSIVE verdict does to its test. Default: fail",
    },
    "baseline": {
        "metavar": "FILE",
        "help": "a results.json or report.pdf of an earlier run: only a change for the worse fails",
    },
    "save-baseline": {
        "metavar": "FILE",
        "help": "write this run's results also to FILE, for a later --baseline. Nothing is written if a claim could "
        "not be judged or the run fails against its own --baseline",
    },
    "engine": {
        "choices": ENGINES,
        "help": "where the work is done before the first claim is judged: local, on this machine; or ray, on the nodes "
        "of a Ray cluster. Default: local",
    },
    "workers": {
        "type": int,
        "metavar": "N",
        "help": "do the work in N processes that share the cache directory. Default: 1, and with --engine ray one a "
        "node",
    },
    "ray-address": {
        "metavar": "ADDRESS",
        "help": "the Ray cluster for --engine ray, as in auto or 10.0.0.1:6379. Default: one of this machine alone",
    },
    "offline": {"action": "store_true", "help": "never ask the hub; read what its cache holds"},
    "verdicts-only": {
        "action": "store_true",
        "help": "let every verdict pass: only a claim that could not be judged fails",
    },
}
INI_TYPES: Final[Mapping[Any, str]] = {int: "int", float: "float", "append": "linelist", "store_true": "bool"}
GROUP: Final = "replication (layerclaims)"  # as `pytest --help` calls the options
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
        f"{GROUP}: claims about hidden states. You may leave out layerclaims- where no other plugin has the short "
        "name. Each option is also an ini key, as layerclaims_n_texts, and a variable, as LAYERCLAIMS_N_TEXTS",
    )
    short = []
    for name, how in OPTIONS.items():
        action, text = how.get("action", "store"), f"or --{name}: {how['help']}"
        shape = {"dest": dest(name), "action": action, "default": None, "help": text}
        if action != "store_true":
            shape["metavar"] = how.get("metavar", "|".join(how.get("choices", ())))
        names = [f"--{name}"] if late else []
        try:
            group.addoption(*names, f"--layerclaims-{name}", **shape)
        except argparse.ArgumentError:  # another's
            names = []
            group.addoption(f"--layerclaims-{name}", **shape)
        short += [name for _ in names]
        _add_key(parser, f"layerclaims_{key(name)}", name)
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
            config.getini(key(name))
        except ValueError:  # nobody has declared it
            free.append(name)
            _add_key(parser, key(name), name)
        except (TypeError, pytest.UsageError):  # another's, and wrong
            continue
    return frozenset(free)


def _add_key(parser: pytest.Parser, ini: str, name: str) -> None:
    how = OPTIONS[name]
    kind: Any = INI_TYPES.get(how.get("action", how.get("type")), "string")
    parser.addini(ini, f"the same as --layerclaims-{name}", type=kind, default=None)


def dest(name: str) -> str:
    """The name under which pytest keeps an option's value."""
    return "replication_" + key(name)


def key(name: str) -> str:
    """An option's name as an ini key and as a field of the protocol."""
    return name.replace("-", "_")


def variable(name: str) -> str:
    """The variable of the environment in which an option can be given."""
    return CACHE_VARIABLE if name == "cache-dir" else PREFIX + key(name).upper()


def check_keys(config: pytest.Config) -> None:
    """Raise LayerclaimsError for an ini key layerclaims_... that is none of ours: pytest itself would only warn."""
    known = [f"layerclaims_{key(name)}" for name in OPTIONS]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nothing else gives the keys that stand in the file
        given = list(config.inicfg)
    for ini in given:
        if ini.lower().startswith("layerclaims") and ini not in known:
            near = get_close_matches(ini, known, n=1, cutoff=0)[0]
            raise LayerclaimsError(f"There is no ini key {shown(ini)}; did you mean {near}?")


def check_variables(environment: Mapping[str, str]) -> None:
    """Raise LayerclaimsError for a variable LAYERCLAIMS_... that is none of ours."""
    known = [variable(name) for name in OPTIONS]
    for given in environment:
        if given.startswith(PREFIX) and given not in known:
            near = get_close_matches(given, known, n=1, cutoff=0)[0]
            raise LayerclaimsError(f"There is no variable {shown(given)}; did you mean {near}?")
