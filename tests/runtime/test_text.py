"""What is shown is one line of visible characters; numbers have the digits that are of use."""

import pytest
from layerclaims.runtime.text import digits, inert, number, short, shown, with_interval


def test_what_a_terminal_would_obey_is_escaped_and_other_scripts_stay() -> None:
    assert shown("Größe → 中文\u3000🙂") == "'Größe → 中文\u3000🙂'"
    assert inert("a\x1b[31m\u202e\nb\ud800") == "a\\x1b[31m\\u202e\\nb\\ud800"


def test_of_a_long_value_both_ends_are_shown() -> None:
    text = shown("/begin/" + "x" * 1000 + "/end", 30)
    assert text.startswith("'/begin/")
    assert text.endswith("x/end'")
    assert len(text) < 40


@pytest.mark.parametrize(
    ("value", "in_a_sentence", "in_a_figure", "whole"),
    [
        (0.0, "0", "0", "0"),
        (0.27419354839, ".274", ".2742", "0.2741935484"),
        (-0.5, "-.500", "−.5", "-0.5"),
        (0.00052, ".00052", ".00052", "0.00052"),
        (22.71, "22.7", "22.71", "22.71"),
        (22710.3, "22,710", "22,710", "22710.3"),
        (3.2e-7, "3.2e-07", "3.2 × 10⁻⁷", "3.2e-07"),
    ],
)
def test_a_number_has_the_digits_of_its_place(
    value: float, in_a_sentence: str, in_a_figure: str, whole: str
) -> None:
    assert (number(value), short(value), digits(value)) == (in_a_sentence, in_a_figure, whole)


def test_an_interval_stands_in_brackets() -> None:
    assert with_interval(0.931, (0.925, 0.937)) == ".931 [.925, .937]"
    assert with_interval(0.931, None) == ".931"
    assert number(float("nan")) == "undefined"
    assert digits((0.1, -0.25)) == "[0.1, -0.25]"
    assert digits(None) == "none"
