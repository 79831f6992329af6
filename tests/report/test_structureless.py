"""What null models do under a rule, in words."""

from typing import Any

import pytest
from layerclaims.report import structureless
from layerclaims.report.present import present
from layerclaims.results.checking import checked
from layerclaims.results.records import NullRecord

from tests import sample_results


def nulls(**passed: float) -> list[NullRecord]:
    return [
        NullRecord(name=name.replace("_", " "), passed=share, draws=200) for name, share in passed.items()
    ]


def test_shares_are_told_of_every_null_model() -> None:
    assert (
        structureless.shares(nulls(random_walk=1.0, means_only=0.045))
        == "This rule passes 200 of 200 random walks and 9 of 200 sets that differ in their means only."
    )
    assert structureless.shares([]) == structureless.weakness([]) == structureless.most([]) == ""


@pytest.mark.parametrize(
    ("passed", "who"),
    [
        ({"random_walk": 1.0, "means_only": 0.0}, "A random walk through the layers passes"),
        ({"random_walk": 0.2, "random_points": 0.735}, "Layers at random points pass"),
        (
            {"random_walk": 0.9, "random_points": 0.8, "means_only": 0.7},
            "A random walk through the layers, layers at random points and layers that differ in their means only pass",
        ),
        ({"something_new": 1.0}, "Something new pass"),
    ],
)
def test_a_rule_that_null_models_pass_in_most_draws_is_said_to_be_weak(
    passed: dict[str, float], who: str
) -> None:
    said = f"{who} this rule too, so passing it says little about trained layers."
    assert structureless.weakness(nulls(**passed)) == said


def test_a_rule_that_they_pass_in_half_of_the_draws_is_not() -> None:
    assert structureless.weakness(nulls(random_walk=0.5, means_only=0.0)) == ""


def test_a_cell_names_the_null_model_that_passes_oftenest() -> None:
    assert structureless.most(nulls(random_walk=0.02, means_only=0.4)) == "means 40 %"
    assert structureless.most(nulls(random_walk=0.0, means_only=0.0)) == "none"


def remarks(made: dict[str, Any]) -> dict[str, str]:
    return {remark.label: remark.text for remark in present(checked(made), interactive=False).certainty}


def test_the_run_is_said_to_have_weak_claims_where_a_replicated_one_is() -> None:
    made = sample_results.ten()
    replicated = [one for one in made["claims"] if one["verdict"] == "REPLICATED" and one["nulls"]]
    for one in made["claims"]:
        one["nulls"] = []
    assert "Weak rules" not in remarks(made)
    replicated[0]["nulls"] = [{"name": "random walk", "passed": 1.0, "draws": 50}]
    assert remarks(made)["Weak rules"].startswith(
        "1 replicated claim says little about trained layers, because data without structure pass the same rule: "
    )
    replicated[0]["verdict"] = "NOT_REPLICATED"
    assert "Weak rules" not in remarks(made)
