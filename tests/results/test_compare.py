"""Comparison: a change of the model is found, another sample of documents is not one."""

import copy
import csv
import io
import re
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
from layerclaims.errors import LayerclaimsError
from layerclaims.results.change_records import STATUSES, ChangeRecord, Status
from layerclaims.results.checking import checked
from layerclaims.results.compare import FAIL_ON, FailOn, against, exit_status
from layerclaims.results.compare import compare as compare_records
from layerclaims.results.comparison_text import as_csv, text
from layerclaims.statistics.bootstrap import bootstrap_documents
from layerclaims.statistics.estimate import Estimate
from layerclaims.verdicts.criterion import Criterion

from tests.computed_results import SHARES, computed
from tests.sample_results import HOSTILE, everything, hostile, sample

Run = dict[str, Any]
CLAIM = "norm-is-a-feature"


def run_with(
    estimate: float,
    half: float = 0.01,
    *,
    relation: str = ">",
    threshold: Any = 0.5,
    **changed: Any,
) -> Run:
    """A run of one claim with one part, its verdict as the suite would give it."""
    run = sample(ids=(CLAIM,))
    entry = run["claims"][0]
    part = entry["parts"][0]
    part.update(
        estimate=estimate, interval=[estimate - half, estimate + half], relation=relation, threshold=threshold
    )
    settle(entry)
    entry.update(changed)
    return run


def settle(entry: dict[str, Any]) -> None:
    """The parts' states and the verdict that follow from the intervals."""
    for part in entry["parts"]:
        threshold = part["threshold"]
        low, high = part["interval"]
        criterion = Criterion(
            relation=part["relation"],
            threshold=tuple(threshold) if isinstance(threshold, list) else threshold,
        )
        part["holds"] = criterion.holds(
            Estimate(
                value=part["estimate"], low=low, high=high, confidence=0.95, method="stated", n_documents=200,
                replicates=np.array([low, high]),
            )
        )  # fmt: skip
    states = [part["holds"] for part in entry["parts"]]
    entry["verdict"] = (
        "NOT_REPLICATED" if False in states else "INCONCLUSIVE" if None in states else "REPLICATED"
    )


def compare(baseline: Run, new: Run) -> list[ChangeRecord]:
    """Compare the contents of two files."""
    return compare_records(checked(baseline), checked(new))


def only(baseline: Run, new: Run) -> ChangeRecord:
    (change,) = compare(baseline, new)
    return change


class TestVerdicts:
    def test_a_run_is_the_same_as_itself(self) -> None:
        run = everything()
        changes = compare(run, copy.deepcopy(run))
        assert len(changes) == 56
        assert {change.status for change in changes} == {"same"}
        assert not any(change.verdict_changed for change in changes)
        assert exit_status(changes, "change") == 0

    @pytest.mark.parametrize(
        ("old", "new", "status", "separate"),
        [
            (0.60, 0.40, "regressed", True),  # REPLICATED -> NOT_REPLICATED
            (0.40, 0.60, "improved", True),
            (0.53, 0.505, "regressed", True),  # REPLICATED -> INCONCLUSIVE, intervals apart
            (0.515, 0.505, "changed", False),  # the same step, intervals overlapping
            (0.505, 0.515, "changed", False),
            (0.495, 0.46, "regressed", True),  # INCONCLUSIVE -> NOT_REPLICATED
            (0.495, 0.485, "changed", False),
            (0.495, 0.53, "improved", True),
            (0.90, 0.60, "same", True),  # far lower, and the verdict stands
            (0.40, 0.10, "same", True),
        ],
    )
    def test_need_evidence_to_get_worse(self, old: float, new: float, status: str, separate: bool) -> None:
        change = only(run_with(old), run_with(new))
        assert (change.status, change.separate) == (status, separate)

    @pytest.mark.parametrize(("old", "new", "status"), [(0.4, 0.6, "regressed"), (0.6, 0.4, "improved")])
    def test_of_a_claim_that_wants_little_get_worse_upwards(
        self, old: float, new: float, status: str
    ) -> None:
        assert only(run_with(old, relation="<"), run_with(new, relation="<")).status == status

    @pytest.mark.parametrize(
        ("old", "new", "status"),
        [
            (0.0, 0.1, "regressed"),
            (0.0, -0.1, "regressed"),
            (0.1, 0.0, "improved"),
            (0.045, 0.055, "changed"),
        ],
    )
    def test_of_an_equivalence_get_worse_on_either_side(self, old: float, new: float, status: str) -> None:
        margin = {"relation": "inside", "threshold": [-0.06, 0.06]}
        assert only(run_with(old, **margin), run_with(new, **margin)).status == status

    def test_say_when_the_estimate_moved_and_the_verdict_did_not(self) -> None:
        assert "moved" in only(run_with(0.9), run_with(0.6)).note

    def test_a_threshold_that_moved_is_no_regression(self) -> None:
        change = only(run_with(0.6), run_with(0.65, threshold=0.7))
        assert change.verdict_changed
        assert change.status == "changed"
        assert not change.within_error
        assert "threshold was 0.5 and is 0.7" in change.note

    def test_the_part_that_got_worse_decides(self) -> None:
        def two(second: float) -> Run:
            run = run_with(0.9)
            entry = run["claims"][0]
            entry["parts"].append({**entry["parts"][0], "name": "second", "estimate": second,
                                   "interval": [second - 0.01, second + 0.01]})  # fmt: skip
            settle(entry)
            return run

        change = only(two(0.9), two(0.3))
        assert (change.status, change.part) == ("regressed", "second")
        assert change.new is not None
        assert change.new.estimate == 0.3

    def test_a_failing_control_is_evidence_when_intervals_separate(self) -> None:
        control = {"relation": "contains", "threshold": 0.03}
        assert only(run_with(0.03, **control), run_with(0.2, **control)).status == "regressed"
        assert only(run_with(0.03, **control), run_with(0.041, **control)).status == "changed"


class TestMissingVerdicts:
    def test_in_the_baseline_is_no_baseline(self) -> None:
        for verdict in ("NOT_TESTED", "ERROR"):
            change = only(run_with(0.6, verdict=verdict, parts=[]), run_with(0.6))
            assert change.status == "no baseline"
            assert exit_status([change], "regression") == 0
            assert exit_status([change], "change") == 1

    def test_of_a_claim_that_is_new_is_no_baseline(self) -> None:
        change = only(sample(ids=()), run_with(0.6))
        assert change.status == "no baseline"
        assert change.baseline is None

    def test_in_the_new_run_cannot_be_compared(self) -> None:
        change = only(run_with(0.6), run_with(0.6, verdict="NOT_TESTED", parts=[], reason="no second model"))
        assert change.status == "incomparable"
        assert "no second model" in change.note

    def test_of_a_claim_that_broke_fails_the_gate(self) -> None:
        baseline = sample(ids=(CLAIM, "every-layer-recognised"))
        new = copy.deepcopy(baseline)
        new["claims"][0].update(verdict="ERROR", parts=[])
        changes = compare(baseline, new)
        assert [change.lost for change in changes].count(True) == 1
        assert exit_status(changes, "regression") == 1

    def test_in_both_is_the_same(self) -> None:
        gone = run_with(0.6, verdict="NOT_TESTED", parts=[])
        assert only(gone, copy.deepcopy(gone)).status == "same"

    def test_of_a_claim_left_out_is_told(self) -> None:
        changes = compare(sample(ids=(CLAIM, "every-layer-recognised")), sample(ids=(CLAIM,)))
        left = [change for change in changes if change.new is None]
        assert [change.id for change in left] == ["every-layer-recognised"]
        assert exit_status(changes, "regression") == 0
        assert exit_status(changes, "change") == 1


INCOMPARABLE: dict[str, tuple[Callable[[Run], object], str]] = {
    "context": (
        lambda r: r["protocol"].update(context=20),
        "context differs: 30 in the baseline, 20 now",
    ),
    "alpha": (lambda r: r["protocol"].update(alpha=0.01), "alpha differs: 0.05 in the baseline, 0.01 now"),
    "labels": (
        lambda r: r["model"].update(n_blocks=12),
        "number of labels differs: 31 in the baseline, 13 now",
    ),
    "corpus": (
        lambda r: r["corpora"][0].update(name="imdb", ids_sha256="c3" * 32),
        "corpus differs: 'embedded:movies' in the baseline, 'imdb' now",
    ),
    "parts": (lambda r: r["claims"][0]["parts"][0].update(relation="<"), "rule differs"),
    "another number of parts": (
        lambda r: r["claims"][0]["parts"].append(r["claims"][0]["parts"][0]),
        "rule differs",
    ),
}


class TestComparability:
    @pytest.mark.parametrize("what", INCOMPARABLE)
    def test_ends_where_the_estimand_changes(self, what: str) -> None:
        change_it, sentence = INCOMPARABLE[what]
        baseline, new = run_with(0.6), run_with(0.4)
        change_it(new)
        change = only(baseline, new)
        assert change.status == "incomparable"
        assert sentence in change.note
        assert change.separate is None
        assert exit_status([change], "regression") == 1, "a gate that compares nothing must not pass"
        assert exit_status([change], None) == 0

    def test_reaches_over_seeds_texts_folds_and_models(self) -> None:
        baseline, new = run_with(0.6), run_with(0.4)
        new["protocol"].update(seed=9, n_texts=1000, folds=10, dtype="bfloat16", hash="0" * 16)
        new["model"].update(name="other", weights_sha256="ff" * 32)
        for corpus in new["corpora"]:
            corpus["ids_sha256"] = "dd" * 32  # other documents of the same corpus
        assert only(baseline, new).status == "regressed"

    def test_reaches_over_two_paths_of_one_corpus(self) -> None:
        baseline, new = run_with(0.6), run_with(0.4)
        new["corpora"][0]["name"] = "/elsewhere/movies.jsonl"
        assert only(baseline, new).status == "regressed"

    def test_the_transfer_corpus_matters_to_claims_of_transfer_only(self) -> None:
        baseline = sample(ids=(CLAIM, "transfer-beats-chance"))
        new = copy.deepcopy(baseline)
        new["corpora"][1].update(name="ag_news", ids_sha256="cc" * 32)
        assert {change.id: change.status for change in compare(baseline, new)} == {
            CLAIM: "same", "transfer-beats-chance": "incomparable",
        }  # fmt: skip

    def test_ends_at_another_protocol_and_names_it(self) -> None:
        baseline, new = sample(ids=(CLAIM,)), sample(ids=(CLAIM,), protocols=("as-published",))
        (change,) = compare(baseline, new)
        assert change.status == "incomparable"
        assert "rigorous in the baseline, as-published now" in change.note

    def test_a_baseline_of_both_protocols_serves_a_run_of_one(self) -> None:
        changes = compare(sample(ids=(CLAIM,), protocols=("rigorous", "as-published")), sample(ids=(CLAIM,)))
        assert [(change.protocol, change.status) for change in changes] == [("rigorous", "same")]

    @pytest.mark.parametrize("of_the_baseline", [True, False])
    def test_a_verdict_changed_by_an_unconverged_probe_is_not_compared(self, of_the_baseline: bool) -> None:
        probe = {"converged": False, "gradient_norm": 0.1, "iterations": 100}
        doubtful, sound = run_with(0.6, verdict="INCONCLUSIVE", probe=probe), run_with(0.4)
        change = only(doubtful, sound) if of_the_baseline else only(sound, doubtful)
        assert change.status == "incomparable"
        assert "did not converge" in change.note

    def test_a_verdict_changed_by_too_few_documents_is_not_compared(self) -> None:
        change = only(run_with(0.6), run_with(0.6, verdict="INCONCLUSIVE", n_documents=20))
        assert change.status == "incomparable"
        assert "20 test documents" in change.note


def drawn(truth: float, rng: np.random.Generator, *, n_documents: int = 120) -> Run:
    """A run on documents of 30 answers, whose own shares of right ones scatter around the truth by .1."""
    right = rng.binomial(30, np.clip(rng.normal(truth, 0.1, size=n_documents), 0, 1))
    estimate = bootstrap_documents(
        np.stack([right, np.full(n_documents, 30.0)], axis=1),
        lambda sums: sums[..., 0] / sums[..., 1],
        resamples=400,
        rng=rng,
        support=(0, 1),
    )
    run = {**TEMPLATE, "claims": copy.deepcopy(TEMPLATE["claims"])}
    run["claims"][0]["parts"][0].update(estimate=estimate.value, interval=[estimate.low, estimate.high])
    settle(run["claims"][0])
    return run


TEMPLATE = {**run_with(0.6), "documents": {}}


class TestSimulation:
    """What the rule promises, seen on documents that are drawn again and again."""

    THRESHOLD = 0.5
    PAIRS = 300

    # the interval's half-width is about .023: the truths lie at, beside and far from the threshold
    @pytest.mark.parametrize("offset", [-0.1, -0.03, -0.015, 0.0, 0.015, 0.03, 0.1])
    def test_the_same_model_seldom_cries_regression(self, offset: float) -> None:
        rng = np.random.default_rng([71, round(1000 * (offset + 1))])
        changes = [
            only(drawn(self.THRESHOLD + offset, rng), drawn(self.THRESHOLD + offset, rng))
            for _ in range(self.PAIRS)
        ]
        cried = sum(change.status == "regressed" for change in changes)
        assert cried <= 0.05 * self.PAIRS
        # .3 % are expected at most: more than 6 of 300 would have a probability below 1e-4
        assert cried <= 6
        if offset == 0.0:
            assert sum(change.verdict_changed for change in changes) < 0.2 * self.PAIRS
        if abs(offset) in (0.03, 0.015):
            assert any(change.verdict_changed for change in changes), "the rule was put to the test"

    @pytest.mark.parametrize(("before", "after"), [(0.58, 0.42), (0.60, 0.50), (0.50, 0.40)])
    def test_a_planted_change_is_caught(self, before: float, after: float) -> None:
        rng = np.random.default_rng([72, round(1000 * before)])
        caught = [only(drawn(before, rng), drawn(after, rng)).status == "regressed" for _ in range(60)]
        # at the threshold itself the verdict is INCONCLUSIVE in 95 % and else falls to either side
        assert sum(caught) >= 0.9 * len(caught)

    def test_whole_runs_of_two_seeds_and_of_a_changed_model(self) -> None:
        baseline = computed(sample=1, seed=0)
        again = computed(sample=2, seed=1)
        changes = compare(baseline, again)
        assert not [change for change in changes if change.status == "regressed"]
        assert exit_status(changes, "regression") == 0
        worse = computed(sample=3, seed=1, shares={**SHARES, "raw": 0.3, "unit": 0.31})
        changed = compare(baseline, worse)
        assert "layers-linearly-separable" in {c.id for c in changed if c.status == "regressed"}
        assert exit_status(changed, "regression") == 1


def said(baseline: Run, new: Run, *, whole: bool = False) -> str:
    """What `layerclaims compare` prints of two files."""
    old, now = checked(baseline), checked(new)
    return text(old, now, compare_records(old, now), whole=whole)


class TestText:
    def test_begins_with_the_outcome_and_shows_what_changed(self) -> None:
        baseline = sample(ids=(CLAIM, "every-layer-recognised"))
        new = copy.deepcopy(baseline)
        worse = next(entry for entry in new["claims"] if entry["id"] == CLAIM)
        before = next(entry for entry in baseline["claims"] if entry["id"] == CLAIM)
        before["parts"][0].update(estimate=0.2, interval=[0.19, 0.21])
        settle(before)
        lines = said(baseline, new).splitlines()
        assert worse["verdict"] == "NOT_REPLICATED"
        assert lines[0] == "1 regressed, 1 same."
        row = next(line for line in lines if line.startswith("regressed"))
        assert "REPLICATED → NOT_REPLICATED" in row
        assert ".200 [.190, .210] → " in row
        assert row.endswith("separate")
        assert "every-layer-recognised" not in said(baseline, new)
        assert "same       every-layer-recognised" in said(baseline, new, whole=True)

    def test_says_of_a_verdict_that_changed_that_it_is_within_error(self) -> None:
        baseline, new = run_with(0.515), run_with(0.505)
        assert (baseline["claims"][0]["verdict"], new["claims"][0]["verdict"]) == (
            "REPLICATED",
            "INCONCLUSIVE",
        )
        lines = said(baseline, new).splitlines()
        assert lines[0] == "1 changed."
        row = next(line for line in lines if line.startswith("changed"))
        assert "REPLICATED → INCONCLUSIVE" in row
        assert ".515 [.505, .525] → .505 [.495, .515]" in row
        assert row.endswith("within error")
        assert exit_status(compare(baseline, new), "regression") == 0
        assert exit_status(compare(baseline, new), "change") == 1

    def test_says_nothing_of_error_where_there_is_no_interval(self) -> None:
        baseline, new = run_with(0.515), run_with(0.505)
        new["claims"][0]["parts"][0]["interval"] = None
        (change,) = compare(baseline, new)
        assert change.status == "changed"
        assert not change.within_error
        assert "within error" not in said(baseline, new)

    def test_of_two_equal_runs_is_three_lines(self) -> None:
        run = everything()
        assert said(run, run).splitlines()[0] == "56 same."
        assert len(said(run, run).split("\n\n")) == 2
        assert len(said(run, run, whole=True).splitlines()) > 56

    def test_names_the_protocol_where_there_are_two(self) -> None:
        run = sample(ids=(CLAIM,), protocols=("rigorous", "as-published"))
        assert f"{CLAIM} (as-published)" in said(run, run, whole=True)

    def test_tells_a_note_that_claims_share_once(self) -> None:
        before, after = sample(), sample()
        after["protocol"]["context"] = 20
        assert "\n\n10 claims: the context differs: 30 in the baseline, 20 now." in said(before, after)

    def test_counts_and_names_claims_that_were_not_run(self) -> None:
        words = said(everything(), sample(ids=(CLAIM,)))
        assert words.startswith("1 same, 27 not run.")
        assert re.search(r"Not in the new run: .* and 22 more\.$", words)

    def test_of_nothing_says_so(self) -> None:
        assert said(sample(ids=()), sample(ids=())) == "There is no claim to compare."

    def test_is_inert_whatever_names_the_files_carry(self) -> None:
        before, after = sample(), hostile()
        after["corpora"][0]["ids_sha256"] = "00" * 32
        after["claims"][1].update(verdict="ERROR", reason=HOSTILE)
        shown = said(before, after, whole=True)
        assert all(c.isprintable() or c == "\n" for c in shown)
        assert max(map(len, shown.splitlines())) < 700

    def test_the_words_are_those_of_the_types(self) -> None:
        assert set(STATUSES) == set(get_args(Status))
        assert set(FAIL_ON) == set(get_args(FailOn))


class TestCsv:
    def test_has_a_row_for_each_claim_with_the_numbers_of_both_runs(self) -> None:
        rows = list(csv.DictReader(io.StringIO(as_csv(compare(run_with(0.6), run_with(0.4))))))
        assert len(rows) == 1
        assert rows[0]["status"] == "regressed"
        assert (rows[0]["baseline_verdict"], rows[0]["new_verdict"]) == ("REPLICATED", "NOT_REPLICATED")
        assert [float(rows[0][f"new_{name}"]) for name in ("estimate", "low", "high")] == [0.4, 0.39, 0.41]
        assert rows[0]["intervals"] == "separate"

    def test_keeps_a_row_where_a_side_is_absent(self) -> None:
        rows = list(csv.DictReader(io.StringIO(as_csv(compare(sample(ids=()), run_with(0.6))))))
        assert rows[0]["status"] == "no baseline"
        assert rows[0]["baseline_verdict"] == rows[0]["baseline_estimate"] == ""

    @pytest.mark.parametrize("name", ["=1+1", "@x", 'a,"b"\x1b[31m\nnext'])
    def test_holds_names_that_nothing_obeys(self, name: str) -> None:
        before, after = run_with(0.6), run_with(0.4)
        for run in (before, after):
            run["claims"][0]["parts"][0]["name"] = name
        written = as_csv(compare(before, after))
        assert "\x1b" not in written
        (row,) = csv.DictReader(io.StringIO(written))
        assert not row["part"].startswith(("=", "@"))
        assert row["note"] == ""


class TestWhatTheFileSaysOfItsBaseline:
    def test_is_the_run_and_every_row(self) -> None:
        baseline, new = checked(computed(sample=1)), checked(computed(sample=2, seed=1))
        found = against(baseline, new)
        assert (found.model, found.created, found.n_texts) == (
            baseline.model.name, baseline.created, baseline.protocol.n_texts,
        )  # fmt: skip
        assert found.sha256 == baseline.sha256
        assert [(c.id, c.protocol) for c in found.changes] == [(c.id, c.protocol) for c in new.claims]
        assert found.outcome == said(computed(sample=1), computed(sample=2, seed=1)).splitlines()[0].rstrip(
            "."
        )


def test_an_unknown_fail_on_is_refused() -> None:
    with pytest.raises(LayerclaimsError, match="--fail-on 'anything'"):
        exit_status([], "anything")
