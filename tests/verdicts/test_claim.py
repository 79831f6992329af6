"""Evidence becomes a verdict: a pure function, tried on each side of every border."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layerclaims.errors import LayerclaimsError
from layerclaims.probing.certificate import Certificate, worst
from layerclaims.runtime.text import number
from layerclaims.statistics.bootstrap import bootstrap_documents
from layerclaims.statistics.estimate import Estimate
from layerclaims.verdicts.claim import POST, claim
from layerclaims.verdicts.criterion import Criterion
from layerclaims.verdicts.evidence import Evidence, Finding, Part
from layerclaims.verdicts.verdict import Verdict, decide


class Found(Finding):
    """A finding that becomes a part as a quantity becomes a condition."""

    def above(self, threshold):
        return Part(finding=self, criterion=Criterion(relation=">", threshold=threshold))

    def below(self, threshold):
        return Part(finding=self, criterion=Criterion(relation="<", threshold=threshold))

    def contains(self, value):
        return Part(finding=self, criterion=Criterion(relation="contains", threshold=value))


def measured(value, low, high, *, n=200, converged=True, method="BCa", name="accuracy"):
    return Found(
        name=name,
        estimate=Estimate(value=value, low=low, high=high, confidence=0.95, method=method, n_documents=n),
        n_documents=n,
        n_vectors=31 * n,
        certificate=Certificate(converged=converged, iterations=9, gradient_norm=1e-3, relative_gap=1e-3),
    )


def verdict(*parts):
    return decide(Evidence(parts=parts))[0]


class TestOnePart:
    @pytest.mark.parametrize(
        ("interval", "expected"),
        [((0.3, 0.5), "REPLICATED"), ((0.1, 0.2), "NOT_REPLICATED"), ((0.2, 0.3), "INCONCLUSIVE")],
    )
    def test_above(self, interval, expected):
        assert verdict(measured(sum(interval) / 2, *interval).above(0.25)) == expected

    @pytest.mark.parametrize(
        ("interval", "expected"),
        [((0.1, 0.2), "REPLICATED"), ((0.3, 0.5), "NOT_REPLICATED"), ((0.2, 0.3), "INCONCLUSIVE")],
    )
    def test_below(self, interval, expected):
        assert verdict(measured(sum(interval) / 2, *interval).below(0.25)) == expected

    @pytest.mark.parametrize(
        ("interval", "expected"),
        [
            ((-0.005, 0.005), "REPLICATED"),
            ((0.02, 0.03), "NOT_REPLICATED"),
            ((-0.04, -0.02), "NOT_REPLICATED"),
            ((0.005, 0.015), "INCONCLUSIVE"),
            ((-0.02, 0.02), "INCONCLUSIVE"),
        ],
    )
    def test_inside(self, interval, expected):
        holds = {"REPLICATED": True, "NOT_REPLICATED": False, "INCONCLUSIVE": None}[expected]
        assert equivalence(interval) is holds

    def test_that_touches_its_border_is_not_above_it(self):
        assert verdict(measured(0.3, 0.25, 0.4).above(0.25)) == "INCONCLUSIVE"
        assert verdict(measured(0.2, 0.1, 0.25).above(0.25)) == "NOT_REPLICATED"

    def test_a_control_that_misses_its_value_refutes_nothing_and_confirms_nothing(self):
        assert verdict(measured(0.9, 0.8, 0.95).above(0.25), measured(0.1, 0.08, 0.12).contains(0.03)) == (
            "INCONCLUSIVE"
        )


def equivalence(interval):
    centre, half = sum(interval) / 2, (interval[1] - interval[0]) / 2
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(100)
    noise = (noise - noise.mean()) / noise.std() * half * 10 / 1.645  # a 90 % interval of about +-half
    estimate = bootstrap_documents(
        np.stack([centre + noise, np.ones(100)], axis=1),
        lambda sums: sums[..., 0] / sums[..., 1],
        confidence=0.9,
        rng=rng,
        support=(-1, 1),
    )
    return Criterion(relation="inside", threshold=(-0.01, 0.01)).holds(estimate)


class TestSeveralParts:
    def test_need_each_to_hold(self):
        good, bad, open_ = (
            measured(0.5, 0.4, 0.6).above(0.25),
            measured(0.1, 0.05, 0.2).above(0.25),
            measured(0.3, 0.2, 0.4).above(0.25),
        )
        assert verdict(good, good) == "REPLICATED"
        assert verdict(good, bad) == "NOT_REPLICATED"
        assert verdict(open_, bad) == "NOT_REPLICATED"
        assert verdict(good, open_) == "INCONCLUSIVE"


class TestOverrides:
    def test_a_probe_that_did_not_converge_decides_nothing(self):
        found, reason = decide(Evidence(parts=(measured(0.9, 0.8, 0.95, converged=False).above(0.25),)))
        assert found is Verdict.INCONCLUSIVE
        assert "did not finish fitting" in reason

    def test_fewer_than_30_documents_decide_nothing(self):
        found, reason = decide(Evidence(parts=(measured(0.9, 0.8, 0.95, n=29).above(0.25),)))
        assert found is Verdict.INCONCLUSIVE
        assert "29 test documents" in reason

    @pytest.mark.parametrize("broken", [(math.nan, 0, 1), (0.5, math.nan, 1), (0.5, 0.4, math.inf)])
    def test_an_interval_that_is_not_finite_decides_nothing(self, broken):
        assert verdict(measured(*broken).above(0.25)) == "INCONCLUSIVE"

    def test_an_open_verdict_says_how_many_documents_would_decide(self):
        _, reason = decide(Evidence(parts=(measured(0.30, 0.20, 0.40).above(0.25),)))
        assert "about 800 documents might decide it" in reason


class TestRefusals:
    def test_evidence_of_nothing(self):
        with pytest.raises(ValueError, match="at least one part"):
            Evidence(parts=())

    @pytest.mark.parametrize(
        ("relation", "threshold"), [(">", (0, 1)), ("inside", 0.1), (">", math.nan), ("<", math.inf)]
    )
    def test_a_region_that_is_none(self, relation, threshold):
        with pytest.raises(ValueError, match="does not go with"):
            Criterion(relation=relation, threshold=threshold)


@given(
    low=st.floats(0, 1),
    width=st.floats(0, 1),
    threshold=st.floats(0, 1),
)
def test_above_and_below_are_opposites_away_from_the_border(low, width, threshold):
    e = measured(low + width / 2, low, low + width)
    above = Criterion(relation=">", threshold=threshold).holds(e.estimate)
    below = Criterion(relation="<", threshold=threshold).holds(e.estimate)
    if threshold not in (low, low + width):
        assert above is (None if below is None else not below)


def test_the_worst_certificate_speaks_for_all():
    good = Certificate(converged=True, iterations=5, gradient_norm=1e-5, relative_gap=1e-6)
    bad = Certificate(converged=False, iterations=400, gradient_norm=1e-2, relative_gap=math.inf)
    both = worst([good, bad])
    assert both == Certificate(converged=False, iterations=400, gradient_norm=1e-2, relative_gap=math.inf)
    assert both.as_json()["relative_gap"] is None
    assert worst([]) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.9312, ".931"),
        (-0.0123, "-.012"),
        (0, "0"),
        (22700.4, "22,700"),
        (17.26, "17.3"),
        (1e-7, "1e-07"),
        (1.5, "1.500"),
        (math.nan, "undefined"),
    ],
)
def test_numbers_are_short(value, text):
    assert number(value) == text


def test_a_row_is_called_after_its_test_and_says_whose_sentence_it_is():
    def test_norms_grow_fast():
        pass

    said = {"section": "how norms go", "says": "norms grow", "estimand": "a slope"}
    made = claim(**said)(test_norms_grow_fast).claim
    assert made.id == "norms-grow-fast"
    assert made.cited == "own claim"
    assert (
        claim(**said, source=POST, where="Reduction")(made_test("x")).claim.cited
        == "post, section “Reduction”"
    )
    assert claim(**said, source="our paper")(made_test("x")).claim.cited == "our paper"
    assert claim(**said, source="our paper", where="p. 3")(made_test("x")).claim.cited == "our paper, p. 3"


def made_test(name):
    def test():
        pass

    test.__name__ = f"test_{name}"
    return test


@pytest.mark.parametrize(
    ("name", "change", "word"),
    [
        ("Norms", {}, "'Norms'"),
        ("größe", {}, "cannot be called"),
        ("a__b", {}, "'a--b'"),
        ("n" * 101, {}, "100 characters"),
        ("x", {"section": " "}, "empty section"),
        ("x", {"says": ""}, "empty statement"),
        ("x", {"source": ""}, "empty source"),
        ("x", {"reported_value": math.nan}, "not finite"),
    ],
)
def test_what_no_report_could_carry_is_refused_when_declared(name, change, word):
    said = {"section": "norm", "says": "norms grow", "estimand": "a slope", **change}
    with pytest.raises(LayerclaimsError, match=word):
        claim(**said)(made_test(name))
