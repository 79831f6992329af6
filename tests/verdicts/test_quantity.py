"""Quantities and the rules that claims make of them: data that can be read before anything is measured."""

import pytest
from layerclaims import CHANCE, RAW, SHUFFLED, SIZES, UNIT, accuracy, difference, quarter, trend
from layerclaims.quantities import attribution, separability
from layerclaims.verdicts.criterion import Criterion
from layerclaims.verdicts.declaration import Declaration, declared, rule_of
from layerclaims.verdicts.quantity import Setup
from layerclaims.verdicts.registry import post_claims

SETUP = Setup(n_labels=31, hidden_size=576, folds=5, seed=0, alpha=0.05)


def test_quarter_is_a_share_of_the_way_from_chance_to_perfect():
    assert quarter(0.25).of(SETUP) == pytest.approx(0.274, abs=5e-4)
    assert quarter(0).of(SETUP) == CHANCE.of(SETUP) == 1 / 31
    assert quarter(1).of(SETUP) == 1


def test_equal_quantities_are_equal_and_hash_alike():
    one, other = (difference(RAW, UNIT, name="lost") for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert one != difference(UNIT, RAW, name="lost")


def test_a_condition_becomes_numbers_with_the_set_up_of_a_run():
    assert accuracy(RAW, name="accuracy").above(quarter(0.25)).criterion(SETUP) == Criterion(
        relation=">", threshold=quarter(0.25).of(SETUP)
    )
    assert difference(RAW, UNIT, name="lost").inside(0.01).criterion(SETUP) == Criterion(
        relation="inside", threshold=(-0.01, 0.01)
    )


def test_a_condition_reads_like_a_rule():
    assert str(accuracy(RAW, name="accuracy").above(quarter(0.25))) == "accuracy above quarter(.250)"
    assert str(accuracy(SHUFFLED, name="accuracy").not_above(CHANCE)) == "accuracy not above chance"
    assert str(difference(RAW, UNIT, name="lost").inside(0.01)) == "lost within ±.010"


def test_an_equivalence_has_the_interval_of_its_test():
    condition = difference(RAW, UNIT, name="lost").inside(0.01)
    assert condition.quantity.equivalence
    assert not difference(RAW, UNIT, name="lost").above(0.01).quantity.equivalence


def test_a_control_has_an_interval_of_its_own_whatever_alpha_is():
    condition = accuracy(SHUFFLED, name="accuracy").not_above(CHANCE)
    assert [condition.quantity.confidence(alpha) for alpha in (0.05, 0.01)] == [0.998, 0.998]
    assert accuracy(SHUFFLED, name="accuracy").above(CHANCE).quantity.confidence(0.01) == 0.99
    assert difference(RAW, UNIT, name="lost").inside(0.01).quantity.confidence(0.01) == 0.98


def test_a_threshold_may_be_what_chance_reaches_in_a_model_of_that_size():
    few, many = (
        attribution.chance_recurrence.of(Setup(n_labels=31, hidden_size=d, folds=5, seed=0, alpha=0.05))
        for d in (32, 4096)
    )
    assert 0 < many < few < 1


def test_a_recipe_names_its_series_in_order():
    assert trend(SIZES, name="rises").recipe.series == (
        "size 1/16",
        "size 1/8",
        "size 1/4",
        "size 1/2",
        "raw",
    )


def test_what_a_quantity_needs_is_what_holds_its_series():
    assert difference(RAW, UNIT, name="lost").needs == (RAW.of, UNIT.of)


def test_every_rule_of_the_post_is_read_whole():
    for name, entry in post_claims().items():
        rule = entry.declaration
        assert rule is not None, name
        assert rule.needs, name
        for condition in rule.conditions:
            assert condition.criterion(SETUP).bounds, name


def test_only_the_steps_between_models_are_several_numbers():
    several = [
        name
        for name, entry in post_claims().items()
        if any(condition.quantity.several for condition in entry.declaration.conditions)
    ]
    assert several == ["larger-model-lower-accuracy"]
    rule = post_claims()["larger-model-lower-accuracy"].declaration
    assert rule.for_parts(3) == (separability.steps_of_size.above(0.0),) * 3


def test_a_test_that_asks_for_more_than_judge_has_no_rule_before_it_runs():
    def test_depends(study, judge):
        judge(accuracy(RAW, name="accuracy").above(study.threshold))

    class Known:
        threshold = 0.5

    assert rule_of(test_depends) is None
    (condition,) = declared(test_depends, study=Known()).conditions
    assert condition.threshold == 0.5


def test_a_rule_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one condition"):
        Declaration(conditions=())


@pytest.mark.parametrize("wrong", ["accuracy", 0.5, RAW, accuracy(RAW, name="accuracy")])
def test_what_is_no_condition_is_refused(wrong):
    with pytest.raises(TypeError, match="Condition"):
        Declaration(conditions=(wrong,))
