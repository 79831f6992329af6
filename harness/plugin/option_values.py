"""What was given for an option, wherever it was given: found, and read as the kind of value that the option takes."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from layerclaims.errors import LayerclaimsError
from layerclaims.plugin.options import OPTIONS, SHORT, SHORT_KEYS, dest, key, variable
from layerclaims.runtime.paths import user_path
from layerclaims.runtime.text import shown

SWITCH: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off", ""), False),
}
MOST_WORKERS: Final = 10_000
FORMATS: Final = ("pdf", "html", "md")
# ASCII alone, and no more digits than anything here can mean: Python itself refuses to read thousands of them
WHOLE: Final = re.compile(r"[+-]?[0-9]{1,40}")
REAL: Final = re.compile(r"[+-]?([0-9]{1,18}(\.[0-9]{0,18})?|\.[0-9]{1,18})([eE][+-]?[0-9]{1,4})?")


class Given:
    """The options as they were given: on the command line, else in the environment, else in an ini file."""

    def __init__(self, config: pytest.Config) -> None:
        """Nothing is asked for yet."""
        self._config = config
        self.called: dict[str, str] = {}  # option -> how it was given

    def __call__(self, name: str, default: Any = None) -> tuple[Any, str]:
        """The value and where it came from; raises LayerclaimsError for one of the wrong kind."""
        config, text = self._config, os.environ.get(variable(name))
        if (value := config.getoption(dest(name))) is not None:
            self.called[name] = f"--{name}" if name in config.stash[SHORT] else f"--layerclaims-{name}"
            return self._read(name, value), "command line"
        if text is not None and (text.strip() or _is_switch(name)):
            self.called[name] = variable(name)
            return self._read(name, text), "environment"
        for ini in (f"layerclaims_{key(name)}", key(name)):
            if ini == key(name) and name not in config.stash[SHORT_KEYS]:
                continue
            try:
                value = config.getini(ini)
            except (TypeError, ValueError, pytest.UsageError) as error:
                said = shown(" ".join(str(error).split()), 300)[1:-1].rstrip(".")
                raise LayerclaimsError(f"The ini key {ini} cannot be used: {said}.") from None
            if value not in (None, "", []):
                self.called[name] = f"the ini key {ini}"
                return self._read(name, value), "ini file"
        return default, "default"

    def path(self, name: str, here: Path) -> Path | None:
        """The file or folder that an option names, taken from `here`; None where it is not given."""
        value = self(name)[0]
        return None if value is None else here / user_path(value, f"--{name}")

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
                if not (WHOLE if kind is int else REAL).fullmatch(value.strip()):
                    raise _impossible(name, value, "a whole number" if kind is int else "a number")
                value = kind(value)
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


def batch_size(value: str) -> int | None:
    """Texts in a forward pass; None for auto. Raises LayerclaimsError."""
    if value == "auto":
        return None
    if not (WHOLE.fullmatch(value.strip()) and int(value) > 0):
        raise LayerclaimsError(
            f"--batch-size {shown(value)} is not possible: it has to be auto or a number above 0."
        )
    return int(value)


def device(value: str) -> str:
    """A device's name, as far as its spelling goes. Raises LayerclaimsError."""
    if not re.fullmatch(r"auto|(cpu|cuda|mps|xpu)(:\d{1,3})?", value):  # whether it is there, torch will say
        raise LayerclaimsError(
            f"--device {shown(value)} is not possible: give auto, cpu, cuda, cuda:1 or mps."
        )
    return value


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Where the work is done before the first claim is judged."""

    name: str  # local or ray
    workers: int | None  # processes; None: the engine's own choice
    address: str | None  # of a Ray cluster

    @property
    def here(self) -> bool:
        """Whether this process does it all itself."""
        return self.name == "local" and self.workers in (None, 1)


def engine(given: Given) -> Engine:
    """The engine and its workers. Raises LayerclaimsError."""
    name, workers, address = (given(option)[0] for option in ("engine", "workers", "ray-address"))
    if workers is not None and not 1 <= workers <= MOST_WORKERS:
        raise LayerclaimsError(f"--workers {workers} is not possible: it has to be 1 to {MOST_WORKERS}.")
    if address is not None and name != "ray":
        raise LayerclaimsError(f"--ray-address {shown(address)} is for --engine ray only; give that too.")
    return Engine(name=name or "local", workers=workers, address=address)


def formats(value: str) -> tuple[str, ...]:
    """The formats of a report, each once; none for none. Raises LayerclaimsError."""
    if value == "none":
        return ()
    chosen = tuple(dict.fromkeys(f.strip() for f in value.split(",")))
    if unknown := [f for f in chosen if f not in FORMATS]:
        raise LayerclaimsError(
            f"--report {shown(unknown[0])} is not possible: choose from {', '.join(FORMATS)}, or none."
        )
    return chosen
