"""A session of claims as a user runs it: what it writes, runs again, shares among processes, survives."""

import re

import pytest
from layerclaims.verdicts import registry

from tests.plugin_runs import CONTEXT, ROOT, TEXTS, Place, Run

NORM = "norm_is_a_feature or norm_is_not_the_only_feature or random_vectors_fail"


class TestARun:
    def test_says_what_is_studied(self, place: Place, first: Run) -> None:
        header = "\n".join(line for line in first.lines if line.startswith("layerclaims:"))
        assert str(place.path / "model") in header
        assert f"rigorous, {TEXTS} texts x {CONTEXT} tokens, 5 folds, seed 0" in header

    def test_fails_when_a_claim_does_not_replicate(self, first: Run) -> None:
        assert "NOT_REPLICATED" in first.verdicts.values()
        assert first.status == 1

    def test_judges_every_claim_once(self, first: Run) -> None:
        assert [c["id"] for c in first.results["claims"]] == list(first.verdicts)
        assert set(first.verdicts) == set(registry.post_claims())

    def test_judges_cheap_claims_first_and_reports_in_the_order_of_the_suite(self, first: Run) -> None:
        assert list(first.claims) == list(registry.post_claims())
        places = {claim: place for place, claim in enumerate(first.live)}
        assert places["last-layer-norm-dominates"] < places["each-layer-uses-a-subspace"]
        assert places["each-layer-uses-a-subspace"] < places["layers-linearly-separable"]
        others = sorted(places[row] for row in places if "corpus" in row or "transfer" in row)
        assert others == list(range(others[0], others[-1] + 1)), "one matrix is held at a time"

    def test_shows_each_verdict_as_it_comes(self, first: Run) -> None:
        assert first.live == first.verdicts

    def test_ends_with_a_table_that_says_why_and_how_many(self, first: Run) -> None:
        table = first.out.partition("= verdicts =")[2]
        said = " ".join(table.split())
        for name, record in first.claims.items():
            assert f"{record['verdict']} {name} {' '.join(record['reason'].split())}" in said
        counts = {v: list(first.verdicts.values()).count(v) for v in first.verdicts.values()}
        assert all(f"{n} {verdict}" in said for verdict, n in counts.items())
        assert "FAILURES" not in first.out, "a sentence is said once"

    def test_puts_what_did_not_replicate_first(self, first: Run) -> None:
        table = re.findall(r"^([A-Z_]+)  +[a-z]", first.out.partition("= verdicts =")[2], re.MULTILINE)
        order = ["ERROR", "NOT_REPLICATED", "INCONCLUSIVE", "NOT_TESTED", "REPLICATED"]
        assert table == sorted(table, key=order.index)

    def test_names_the_files_that_it_wrote(self, first: Run) -> None:
        written = re.findall(r"^written: (.*)$", first.out, re.MULTILINE)
        names = [first.directory / name for name in ("results.json", "report.html", "summary.md")]
        assert {str(name) for name in names} < set(written)
        assert all((ROOT / name).is_file() for name in written)

    def test_stays_within_the_width_of_a_terminal(self, first: Run) -> None:
        table = first.out.partition("= verdicts =")[2].partition("written:")[0]
        assert max(map(len, table.splitlines())) <= 80

    def test_gives_junit_the_verdicts_as_plain_text(self, first: Run) -> None:
        assert {p["claim_id"]: p["claim_verdict"] for p in first.junit.values()} == first.verdicts
        one = first.junit["test_layers_linearly_separable"]
        record = first.claims["layers-linearly-separable"]
        assert float(one["claim_estimate"]) == record["estimate"]
        assert one["claim_reason"] == record["reason"]

    def test_shows_how_much_will_be_written_before_it_is(self, first: Run) -> None:
        assert len(re.findall(r"^layerclaims: states of model on .* take", first.err, re.MULTILINE)) == 4


@pytest.fixture(scope="session")
def again(place: Place, first: Run) -> Run:
    """The same claims, from the cache."""
    del first
    return place.run("--verdicts-only", cold=True)


class TestAgain:
    def test_the_same_records_come_from_the_cache(self, first: Run, again: Run) -> None:
        assert again.claims == first.claims
        assert again.results["documents"] == first.results["documents"]

    def test_without_torch(self, first: Run, again: Run) -> None:
        assert "torch" in re.findall(r"^imported: (.*)$", first.out, re.MULTILINE)[0]
        assert re.findall(r"^imported:(.*)$", again.out, re.MULTILINE) == [""]

    def test_says_in_one_line_what_was_checked(self, again: Run) -> None:
        assert re.fullmatch(
            r"layerclaims: \d+ kept measurements of \d stores read, checksums right\n", again.err
        )

    def test_verdicts_only_is_satisfied_with_any_verdict(self, again: Run) -> None:
        assert "NOT_REPLICATED" in again.verdicts.values()
        assert again.status == 0

    def test_a_subset_runs_alone(self, place: Place, first: Run) -> None:
        run = place.run("-k", NORM, "-v", "--inconclusive", "warn")
        assert list(run.claims) == [
            "norm-is-a-feature",
            "norm-is-not-the-only-feature",
            "random-vectors-fail",
        ]
        for name, record in run.claims.items():
            assert record["estimate"] == first.claims[name]["estimate"]
            assert f"test_{name.replace('-', '_')} {record['verdict']} " in run.out
        assert run.status == ("NOT_REPLICATED" in run.verdicts.values())


class TestSeveralProcesses:
    def test_make_the_records_of_one(self, place: Place, first: Run) -> None:
        run = place.run("-n", "2", "-k", "test_norm or test_transfer", cache_dir=place.path / "cache of two")
        chosen = {name: record for name, record in first.claims.items() if name in run.claims}
        assert list(run.claims) == list(chosen), "in one order, whoever was quicker"
        assert run.without_holm == {name: first.without_holm[name] for name in chosen}
        assert run.results["documents"].items() <= first.results["documents"].items()
        assert run.live == run.verdicts
        assert run.status == 1
        assert len(re.findall(r"states of model on .* take", run.err)) == 4, "captured once"
        assert run.out.count("= verdicts =") == 1
        assert run.out.count("layerclaims: on ") == 1

    def test_one_that_dies_takes_one_verdict_with_it(self, place: Place, first: Run) -> None:
        faults = "norm_is_not_the_only_feature=kill"
        run = place.run("-n", "2", "-k", "test_norm", "--verdicts-only", faults=faults)
        others = {name: first.verdicts[name] for name in run.verdicts}
        assert run.verdicts == {**others, "norm-is-not-the-only-feature": "ERROR"}
        assert len(run.verdicts) >= 4
        assert "died" in run.claims["norm-is-not-the-only-feature"]["reason"]
        assert run.status == 1


@pytest.mark.usefixtures("first")
class TestFaults:
    def test_what_cannot_be_tested_is_skipped_and_what_breaks_is_an_error(self, place: Place) -> None:
        faults = "norm_is_a_feature=skip norm_is_not_the_only_feature=raise random_vectors_fail=silent"
        run = place.run("-k", NORM, "--verdicts-only", faults=faults)
        reasons = {name: record["reason"] for name, record in run.claims.items()}
        assert run.verdicts == {
            "norm-is-a-feature": "NOT_TESTED",
            "norm-is-not-the-only-feature": "ERROR",
            "random-vectors-fail": "ERROR",
        }
        assert reasons["norm-is-a-feature"] == "UMAP is not installed"
        assert reasons["norm-is-not-the-only-feature"] == "RuntimeError: planted fault"
        assert "without asking for a verdict" in reasons["random-vectors-fail"]
        assert run.live == run.verdicts
        assert "ERROR claims/test_norm.py::test_norm_is_not_the_only_feature" in run.out
        assert "1 skipped" in run.lines[-2]
        assert run.junit["test_norm_is_a_feature"]["claim_verdict"] == "NOT_TESTED"
        assert run.status == 1

    def test_a_verdict_that_gets_lost_fails_the_run(self, place: Place) -> None:
        run = place.run("-k", NORM, "--verdicts-only", faults="random_vectors_fail=lose")
        assert run.verdicts["random-vectors-fail"] == "ERROR"
        assert run.status == 1

    def test_an_interrupted_run_says_that_it_goes_on(self, place: Place) -> None:
        run = place.run(faults="norm_is_not_the_only_feature=interrupt")
        assert run.status == pytest.ExitCode.INTERRUPTED
        assert "is kept: the same command goes on from there." in run.out
        assert "Traceback" not in run.out + run.err
        assert not (run.directory / "results.json").exists()
        assert run.live
