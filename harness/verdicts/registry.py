"""The claims of the post as they stand in `claims/`: each with its test, by id."""

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Final

from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.text import shown
from layerclaims.verdicts.claim import Claim
from layerclaims.verdicts.declaration import AsPublished, Declaration, Test, rule_of

PACKAGE: Final = "layerclaims.claims"


@dataclass(frozen=True, kw_only=True)
class RegisteredClaim:
    """A claim with the test that checks it."""

    claim: Claim
    test: Test

    @property
    def rule(self) -> str:
        """The rule in words: the test's docstring on one line."""
        return " ".join((inspect.getdoc(self.test) or "").split())

    @property
    def declaration(self) -> Declaration | None:
        """The rule as data; None where it is not known before the test runs."""
        return rule_of(self.test)

    @property
    def published_rule(self) -> str:
        """The rule under the protocol as published in words; empty where it is not known before the test runs."""
        declaration = self.declaration
        if declaration is None:
            return ""
        if declaration.as_published is AsPublished.SAME:
            return "the same, on what the authors' procedure gives"
        if declaration.as_published is AsPublished.NEVER:
            return "none: the authors ran nothing that bears on this claim"
        return f"{declaration.under('as-published').words}"

    @property
    def location(self) -> str:
        """Where the code stands, as FILE:LINE; relative to the working directory where it lies below it."""
        test = inspect.unwrap(self.test)
        path, line = Path(inspect.getfile(test)), test.__code__.co_firstlineno
        if path.is_relative_to(Path.cwd()):
            path = path.relative_to(Path.cwd())
        return f"{path}:{line}"


def claims_in(module: ModuleType) -> Mapping[str, RegisteredClaim]:
    """The claims that a module declares, by id, in the order of its text."""
    found = {}
    for value in vars(module).values():
        row = getattr(value, "__dict__", {}).get("claim")
        if isinstance(row, Claim):
            found[row.id] = RegisteredClaim(claim=row, test=value)
    return found


@cache
def post_claims() -> Mapping[str, RegisteredClaim]:
    """Every claim of the post by its id, in the order of the files. Raises LayerclaimsError when there are none."""
    try:
        package = importlib.import_module(PACKAGE)
    except ModuleNotFoundError as error:
        if error.name != PACKAGE:
            raise
        raise LayerclaimsError(
            "The claims are not installed; run this in a checkout or reinstall layerclaims."
        ) from error
    found: dict[str, RegisteredClaim] = {}
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("test_"):
            found.update(claims_in(importlib.import_module(f"{PACKAGE}.{module.name}")))
    if not found:
        raise LayerclaimsError("There is no claim in the claims package; reinstall layerclaims.")
    return found


def registered(claim: str | Test) -> RegisteredClaim:
    """A claim by the id of one of the post's, or by its test function; raises LayerclaimsError."""
    if isinstance(claim, str):
        if claim not in post_claims():
            near = difflib.get_close_matches(claim, post_claims(), 1)
            raise LayerclaimsError(
                f"There is no claim {shown(claim)}{f'; the nearest is {near[0]}' if near else ''}."
            )
        return post_claims()[claim]
    row = getattr(inspect.unwrap(claim), "__dict__", {}).get("claim")
    if not isinstance(row, Claim):
        raise LayerclaimsError(
            f"{shown(getattr(claim, '__name__', claim))} is no claim: declare it with @claim."
        )
    return RegisteredClaim(claim=row, test=claim)
