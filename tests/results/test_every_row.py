"""Every row of a file is held against its counts and its rule: none is passed over."""

import copy
from typing import Any

import pytest
from layerclaims.results.checking import checked
from layerclaims.results.file import sealed
from layerclaims.results.verify import verify

from tests.computed_results import computed

HONEST = computed()
IDS = [claim["id"] for claim in HONEST["claims"]]
MEASURED = [claim["id"] for claim in HONEST["claims"] if claim["parts"]]


def mismatches_of(change: Any) -> list[str]:
    run = copy.deepcopy(HONEST)
    change(run)
    return list(verify(sealed(checked(run))).mismatches)


def of(run: dict[str, Any], name: str) -> dict[str, Any]:
    return next(claim for claim in run["claims"] if claim["id"] == name)


def test_an_honest_file_has_no_mismatch() -> None:
    assert len(MEASURED) >= 5
    assert not mismatches_of(copy.copy)  # which changes nothing


@pytest.mark.parametrize("name", MEASURED)
def test_a_verdict_that_its_parts_do_not_give_is_seen(name: str) -> None:
    def change(run: dict[str, Any]) -> None:
        claim = of(run, name)
        claim["verdict"] = "NOT_REPLICATED" if claim["verdict"] == "REPLICATED" else "REPLICATED"

    assert any(line.startswith(name) for line in mismatches_of(change))


@pytest.mark.parametrize("name", MEASURED)
def test_a_part_that_says_otherwise_than_its_interval_is_seen(name: str) -> None:
    last = len(of(HONEST, name)["parts"]) - 1
    for index in {0, last}:

        def change(run: dict[str, Any], index: int = index) -> None:
            part = of(run, name)["parts"][index]
            part["holds"] = not part["holds"]

        assert any(line.startswith(name) for line in mismatches_of(change)), index


@pytest.mark.parametrize("name", MEASURED)
def test_the_adjusted_p_value_of_every_row_is_seen(name: str) -> None:
    def change(run: dict[str, Any]) -> None:
        claim = of(run, name)
        claim["p_holm"] = 0.5 if claim["p_holm"] != 0.5 else 0.4

    assert any(line.startswith(name) and "p_holm" in line for line in mismatches_of(change))
