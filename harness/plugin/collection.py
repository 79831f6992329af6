"""The claims among the tests that pytest collected: known by what they declare, wherever their files lie."""

import contextlib
import dataclasses
import importlib.util
import io
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from layerclaims.errors import LayerclaimsError
from layerclaims.runtime.text import shown
from layerclaims.verdicts.claim import Claim
from layerclaims.verdicts.registry import RegisteredClaim


@dataclass(frozen=True, kw_only=True)
class Expected:
    """A claim that was collected and has to come back with a verdict."""

    claim: Claim
    place: int  # of its model and protocol among the targets of the session
    roles: tuple[str, ...] = ()  # the corpora whose states it reads, where another process collected it

    def reading(self, roles: Sequence[str]) -> "Expected":
        """The same with the corpora that it reads."""
        return dataclasses.replace(self, roles=tuple(roles))


def claim_of(item: Any) -> Claim | None:
    """The claim that a collected test declares; None for a test that is no claim."""
    found = getattr(getattr(item, "function", None), "claim", None)
    return found if isinstance(found, Claim) else None


def expected(items: Iterable[pytest.Item]) -> dict[str, Expected]:
    """The claims among collected tests, by node id."""
    found = {}
    for item in items:
        if claim := claim_of(item):
            parameters = item.callspec.params if hasattr(item, "callspec") else {}
            place = parameters.get("study", 0)
            found[item.nodeid] = Expected(claim=claim, place=place if isinstance(place, int) else 0)
    return found


def check(claims: Mapping[str, Expected]) -> None:
    """Raise LayerclaimsError where two tests would be one record of results.json."""
    seen: dict[tuple[str, int], str] = {}
    for nodeid, one in claims.items():
        other = seen.setdefault((one.claim.id, one.place), nodeid)
        if other != nodeid:
            raise LayerclaimsError(
                f"Two tests are the claim {one.claim.id}: {shown(other, 400)} and {shown(nodeid, 400)}; give one of "
                "them another name, or select one."
            )


def dump(claims: Mapping[str, Expected], known: Collection[str]) -> str:
    """Claims, and the ids of all that there are, as plain JSON: what a worker of xdist tells its controller."""
    chosen = {nodeid: dataclasses.asdict(one) for nodeid, one in claims.items()}
    return json.dumps({"claims": chosen, "known": sorted(known)})


def load(text: str) -> tuple[dict[str, Expected], frozenset[str]]:
    """What `dump` wrote."""
    told = json.loads(text)
    claims = {
        nodeid: Expected(claim=Claim(**one["claim"]), place=one["place"], roles=tuple(one["roles"]))
        for nodeid, one in told["claims"].items()
    }
    return claims, frozenset(told["known"])


class _Collector:
    """A plugin that keeps what was collected, and why something was not."""

    def __init__(self) -> None:
        self.items: list[pytest.Item] = []
        self.failed: list[str] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed.append(f"{report.nodeid}: {reason(str(report.longrepr))}")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.items = session.items


def find(names: Sequence[str]) -> dict[str, RegisteredClaim]:
    """The claims in files, folders or importable packages, by id, as pytest itself collects them.

    Raises LayerclaimsError for a name that leads nowhere, what cannot be imported, a name without a claim, and two
    claims of one id.
    """
    targets = [_target(name) for name in names]
    collector, said = _Collector(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = pytest.main(["--collect-only", "-q", "--pyargs", *targets], plugins=[collector])
    where = ", ".join(shown(name) for name in names)
    if collector.failed:
        raise LayerclaimsError(f"The claims of {where} cannot be collected: {collector.failed[0]}")
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise LayerclaimsError(f"The claims of {where} cannot be collected: {reason(said.getvalue())}")
    claims = expected(collector.items)
    if not claims:
        raise LayerclaimsError(f"There is no claim in {where}: no test there is declared with @claim.")
    check(claims)
    return {
        claims[item.nodeid].claim.id: RegisteredClaim(claim=claims[item.nodeid].claim, test=item.function)
        for item in collector.items
        if isinstance(item, pytest.Function) and item.nodeid in claims
    }


def _target(name: str) -> str:
    """What pytest --pyargs takes: a path made absolute, so that no package takes its place, or a package's name."""
    if Path(name.partition("::")[0]).exists():
        return str(Path(name).resolve())
    try:
        found = importlib.util.find_spec(name.partition("::")[0])
    except (ImportError, ValueError):
        found = None
    if found is None:
        raise LayerclaimsError(f"{shown(name)} is no file, no folder and no package that can be imported.")
    return name


def reason(text: str) -> str:
    """The line of pytest's output that says what was wrong."""
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    for mark in ("ERROR: ", "E "):
        if found := [line.removeprefix(mark) for line in lines if line.startswith(mark)]:
            return found[-1 if mark == "E " else 0]
    return lines[-1] if lines else "pytest says nothing"
