"""What was selected of the claims that there are, and what a run of fewer must not replace."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from layerclaims.errors import LayerclaimsError
from layerclaims.plugin.collection import Expected, claim_of
from layerclaims.runtime.text import inert, shown
from layerclaims.verdicts.claim import POST

if TYPE_CHECKING:
    from layerclaims.results.records import Results

Pair = tuple[str, str]  # a claim's id and its protocol: one record of results.json


def known_ids(items: Iterable[pytest.Item], config: pytest.Config) -> frozenset[str]:
    """The ids of the claims of which some are selected; empty where that is not known.

    Those of all tests that pytest collected, before it deselects any; of the post all that there are, whichever files
    were read. Node ids and --lf keep pytest from collecting the rest of a file: how many claims of somebody's own
    stand there is then not known.
    """
    claims = [claim for item in items if (claim := claim_of(item))]
    found = {claim.id for claim in claims}
    post = _of_post() if any(claim.source == POST for claim in claims) else frozenset()
    narrowed = any("::" in arg for arg in config.args) or bool(config.getoption("lf", default=False))
    return frozenset() if narrowed and found - post else frozenset(found | post)


def _of_post() -> frozenset[str]:
    from layerclaims.verdicts import registry

    try:
        return frozenset(registry.post_claims())
    except (ImportError, SyntaxError, LayerclaimsError):  # a file of claims is broken: pytest says so itself
        return frozenset()


def count(claims: Mapping[str, Expected], known: Collection[str]) -> tuple[int, int] | None:
    """How many claims are run, of how many; a claim counts once, however many models and protocols there are."""
    chosen = {one.claim.id for one in claims.values()}
    return (len(chosen), len(known)) if chosen and chosen <= set(known) else None


def words(counted: tuple[int, int] | None) -> str:
    """As in "21 of 28 claims selected"; empty where all are, or that is not known."""
    if counted is None or counted[0] == counted[1]:
        return ""
    return f"{counted[0]} of {counted[1]} claims selected"


def check_no_fuller(path: Path, pairs: Collection[Pair], *, option: str) -> None:
    """Raise LayerclaimsError where results lie at `path` with a claim that is not among `pairs`.

    What cannot be read as results is no report that would be lost.
    """
    if (found := _read(path)) is None:
        return
    lost = [claim for claim in found.claims if (claim.id, claim.protocol) not in pairs]
    if lost:
        raise LayerclaimsError(
            f"{shown(path)} holds {len(found.claims)} verdicts, and this run does not judge {len(lost)} of them "
            f"(such as {inert(lost[0].id)}, {lost[0].protocol}); choose another place with {option}, or give --replace."
        )


def check_baseline(path: Path, pairs: Collection[Pair], *, option: str) -> None:
    """As `check_no_fuller`, for a file that somebody named: what is no results file is not replaced either."""
    if path.is_file() and path.stat().st_size and _read(path) is None:
        raise LayerclaimsError(
            f"{option} {shown(path)} is there and holds no results; name another file, or give --replace."
        )
    check_no_fuller(path, pairs, option=option)


def _read(path: Path) -> "Results | None":
    from layerclaims.results import file as results

    if not path.is_file():
        return None
    try:
        return results.read_results(path)
    except LayerclaimsError:
        return None
