"""The claims as they stand in `claims/`: rows, rules in words, and the regions that their code declares."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Final

from harness.claim import Claim, Criterion, Relation, quarter
from harness.errors import LayerclaimsError

PACKAGE: Final = "claims"
Test = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A claim with its test."""

    claim: Claim
    test: Test

    @property
    def rule(self) -> str:
        """The rule in words: the test's docstring on one line."""
        return " ".join((inspect.getdoc(self.test) or "").split())

    @property
    def location(self) -> str:
        """Where the code stands, as FILE:LINE; relative to the working directory where it lies below it."""
        test = inspect.unwrap(self.test)
        path, line = Path(inspect.getfile(test)), test.__code__.co_firstlineno
        if path.is_relative_to(Path.cwd()):
            path = path.relative_to(Path.cwd())
        return f"{path}:{line}"


@cache
def entries() -> Mapping[str, Entry]:
    """Every claim by its id, in the order of the files. Raises LayerclaimsError when there are none."""
    try:
        package = importlib.import_module(PACKAGE)
    except ModuleNotFoundError as error:
        if error.name != PACKAGE:
            raise
        raise LayerclaimsError(
            "The claims are not installed; run this in a checkout or reinstall layerclaims."
        ) from error
    found: dict[str, Entry] = {}
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("test_"):
            for value in vars(importlib.import_module(f"{PACKAGE}.{module.name}")).values():
                row = getattr(value, "__dict__", {}).get("claim")
                if isinstance(row, Claim):
                    found[row.id] = Entry(claim=row, test=value)
    if not found:
        raise LayerclaimsError("There is no claim in the claims package; reinstall layerclaims.")
    return found


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What a claim's code declares of one of its parts."""

    criterion: Criterion | None  # None: the threshold depends on the data
    recipe: Mapping[str, Any] | None  # None: the number is no statistic of counts


@dataclass(frozen=True, kw_only=True)
class Rule:
    """The conditions of a claim, in the order of its parts."""

    conditions: tuple[Condition, ...]
    complete: bool  # False: how many parts there are depends on the data


def declared(claim_id: str, *, n_labels: int) -> Rule | None:
    """What a claim's code declares for a model of `n_labels` labels, before any number is seen.

    The test is run on a stand-in study that measures nothing and notes series and thresholds, so that a file
    can be held against the rule and not only against itself. None: there is no such claim, or its test needs
    real numbers to get to its parts.
    """
    entry = entries().get(claim_id)
    if entry is None:
        return None
    for items in (2, 1, 3, 0):  # how many things an unknown sequence is taken to hold, for `a, b = ...`
        study = _Study(n_labels, items)
        try:
            noted = _noted(entry.test, study)
        except Exception:  # whatever a test does with numbers that are none: its rule stays unknown
            continue
        return Rule(conditions=tuple(noted), complete=not study.iterated) if noted else None
    return None


def _noted(test: Test, study: "_Study") -> list[Condition]:
    """Run a claim's test with the stand-in; the conditions that it hands to its judge."""
    noted: list[Condition] = []

    def judge(*parts: Any, **_: Any) -> None:
        noted.extend(
            part if isinstance(part, Condition) else Condition(criterion=None, recipe=None) for part in parts
        )

    test = inspect.unwrap(test)
    # what the test calls of the harness measures: it is stood in for as well
    names = {name: _Number(study) if _measures(value) else value for name, value in test.__globals__.items()}
    stood_in = FunctionType(test.__code__, names, test.__name__, test.__defaults__, test.__closure__)
    given = {"judge": judge}
    stood_in(**{name: given.get(name, study) for name in inspect.signature(test).parameters})
    return noted


def _measures(value: Any) -> bool:
    module = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    return isinstance(module, str) and module.startswith("harness.") and module != "harness.claim"


class _Anything:
    """Answers to every name, call and index with something like itself."""

    def __init__(self, study: "_Study | None" = None) -> None:
        self._study = study

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return _Number(self._study)

    def __call__(self, *_: Any, **__: Any) -> Any:
        return _Number(self._study)

    def __getitem__(self, _: Any) -> Any:
        return _Number(self._study)

    def __iter__(self) -> Iterator[Any]:
        if self._study is None:
            return iter(())
        self._study.iterated = True
        return iter([_Number(self._study) for _ in range(self._study.items)])


class _Number(_Anything):
    """A measurement that was not made, and the recipe that it would follow."""

    def __init__(self, study: "_Study | None", recipe: Mapping[str, Any] | None = None) -> None:
        super().__init__(study)
        self._recipe = recipe

    def above(self, threshold: Any) -> Condition:
        return self._condition(">", threshold)

    def below(self, threshold: Any) -> Condition:
        return self._condition("<", threshold)

    def contains(self, value: Any) -> Condition:
        return self._condition("contains", value)

    def inside(self, margin: Any) -> Condition:
        return self._condition("inside", margin)

    def _condition(self, relation: Relation, threshold: Any) -> Condition:
        if not isinstance(threshold, int | float):
            return Condition(criterion=None, recipe=self._recipe)
        region = (-float(threshold), float(threshold)) if relation == "inside" else float(threshold)
        return Condition(criterion=Criterion(relation=relation, threshold=region), recipe=self._recipe)


class _Study(_Anything):
    """Study as far as a rule needs it."""

    def __init__(self, n_labels: int, items: int) -> None:
        super().__init__(self)
        self.n_labels, self.chance = n_labels, 1 / n_labels
        self.items, self.iterated = items, False

    def quarter(self, share: float) -> float:
        return quarter(share, self.n_labels)

    def accuracy(self, series: str, **_: Any) -> _Number:
        return _Number(self, {"statistic": "accuracy", "series": [series]})

    def difference(self, first: str, second: str, **_: Any) -> _Number:
        return _Number(self, {"statistic": "difference", "series": [first, second]})

    def lowest_recall(self, series: str, **_: Any) -> _Number:
        return _Number(self, {"statistic": "lowest recall", "series": [series]})

    def trend(self, series: Sequence[str], **_: Any) -> _Number:
        return _Number(self, {"statistic": "page trend", "series": list(series)})

    def cut(self, full: Sequence[str], reduced: Sequence[str], **_: Any) -> _Number:
        return _Number(self, {"statistic": "half the drop", "series": [*full, *reduced]})
