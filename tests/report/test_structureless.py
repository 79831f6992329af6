"""What null models do under a rule, in words."""

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
        == "random walk 100 %, means only 4.5 % (200 draws each)."
    )
    assert structureless.shares([]) == structureless.weakness([]) == structureless.most([]) == ""


@pytest.mark.parametrize(
    ("passed", "who"),
    [
        ({"random_walk": 1.0, "means_only": 0.0}, "A random walk through the layers (100 % of draws) passes"),
        ({"random_walk": 0.2, "random_points": 0.735}, "Layers at random points (73.5 % of draws) pass"),
        (
            {"random_walk": 0.9, "random_points": 0.8, "means_only": 0.7},
            "A random walk through the layers (90 % of draws), layers at random points (80 % of draws) and layers "
            "that differ in their means only (70 % of draws) pass",
        ),
        ({"something_new": 1.0}, "Something new (100 % of draws) pass"),
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


def test_the_run_is_said_to_have_weak_claims_where_a_replicated_one_is() -> None:
    made = sample_results.ten()
    replicated = [one for one in made["claims"] if one["verdict"] == "REPLICATED" and one["nulls"]]
    for one in made["claims"]:
        one["nulls"] = []
    assert "Weak" not in dict(present(checked(made), interactive=False).certainty)
    replicated[0]["nulls"] = [{"name": "random walk", "passed": 1.0, "draws": 50}]
    weak = dict(present(checked(made), interactive=False).certainty)["Weak"]
    assert weak.startswith(
        "1 replicated claim says little about trained layers, since structureless data pass"
    )
    replicated[0]["verdict"] = "NOT_REPLICATED"
    assert "Weak" not in dict(present(checked(made), interactive=False).certainty)
