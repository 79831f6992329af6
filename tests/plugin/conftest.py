"""A tiny model, its corpora and a cache for all runs of a session."""

from pathlib import Path

import pytest

from tests import own_claims
from tests.plugin_runs import Place, Run


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place.make(tmp_path_factory.mktemp("plugin"))


@pytest.fixture(scope="session")
def first(place: Place) -> Run:
    """Every claim, with nothing in the cache."""
    return place.run("--save-baseline", str(place.path / "baseline.json"), report="html,md", cold=True)


@pytest.fixture(scope="session")
def own(place: Place) -> Path:
    """A folder of somebody's own claims, far from claims/."""
    return own_claims.write(place.path / "own project" / "needs")
