"""Several models, the untrained twin, and runs against a baseline."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from layerclaims.results.checking import checked
from layerclaims.results.file import sealed, write
from layerclaims.results.verify import verify_file
from layerclaims.runtime.text import number

from tests import tiny
from tests.plugin_runs import Place, Run


class TestSeveralModels:
    def test_each_has_its_study_and_its_report(self, place: Place, first: Run) -> None:
        other = tiny.build("llama", place.path / "sub" / "model", num_hidden_layers=2, hidden_size=16)
        out = place.out()
        run = place.run("-k", "norm_is_a_feature", "--model", str(other), out=out)
        reports = sorted(path for path in out.iterdir() if path.is_dir())
        assert len(reports) == 2, "two models of one name"
        found = {}
        for report in reports:
            results = json.loads((report / "results.json").read_text())
            found[results["model"]["architecture"]] = results["claims"][0]["estimate"]
            assert len(results["claims"]) == 1
        assert len(found) == 2
        assert first.claims["norm-is-a-feature"]["estimate"] in found.values()
        assert len(set(found.values())) == 2
        assert run.out.count("norm-is-a-feature (model-") == 4, "as it comes and in the table"

    def test_make_a_board_without_being_asked_that_names_no_path(self, place: Place) -> None:
        other = tiny.build("gpt2", place.path / "other", n_layer=2, n_embd=16)
        out = place.out()
        run = place.run("-k", "norm_is_a_feature", "--model", str(other), "--report", "md", out=out)
        assert "board.md" in run.out
        board = (out / "board.md").read_text()
        assert "| model (" in board or " | model (" in board
        assert " other (" in board
        assert str(place.path) not in board

    def test_are_compared_by_size(self, place: Place) -> None:
        other = tiny.build("gpt2", place.path / "larger", n_layer=3, n_embd=32)
        out = place.out()
        run = place.run("-k", "larger_model", "--model", str(other), "--verdicts-only", out=out)
        assert run.status == 0
        for name in ("model", "larger"):
            results = json.loads((out / name / "results.json").read_text())
            (record,) = results["claims"]
            assert record["verdict"] in ("REPLICATED", "NOT_REPLICATED", "INCONCLUSIVE")
            assert record["parts"][0]["recipe"]["series"] == ["raw of model", "raw of larger"]
            assert verify_file(out / name / "results.json").mismatches == ()

    def test_a_model_alone_has_no_larger_one(self, first: Run) -> None:
        record = first.claims["larger-model-lower-accuracy"]
        assert record["verdict"] == "NOT_TESTED"
        assert "give --model several times" in record["reason"]
        assert "test_larger_model_lower_accuracy" in first.junit


class TestUntrainedTwin:
    def test_is_judged_by_the_same_rows_and_shown_beside_the_model(self, place: Place, first: Run) -> None:
        chosen = "norm_is_a_feature or each_layer_uses or larger_model"
        # with seed 0 the twin would be the tiny model itself, whose weights were drawn by it
        run = place.run(
            "-k", chosen, "--control", "untrained", "--verdicts-only", "--seed", "7", report="html,md"
        )
        assert run.status == 0
        for name in ("norm-is-a-feature", "each-layer-uses-a-subspace"):
            twin = run.claims[name]["control_untrained"]
            assert twin["estimate"] != run.claims[name]["estimate"]
            low, high = twin["interval"]
            assert low <= twin["estimate"] <= high
            assert twin["reason"].endswith(".")
            assert first.claims[name]["control_untrained"] is None
        assert "layerclaims: every claim is also judged on the untrained twin of the model" in run.lines
        own = [name for name, verdict in run.verdicts.items() if verdict == "REPLICATED"]
        too = [name for name in own if run.claims[name]["control_untrained"]["verdict"] == "REPLICATED"]
        said = " ".join(run.out.split())
        assert f"Untrained twin: {len(too)} of the {len(own)} claims that replicate do so there too" in said
        assert "untrained twin" not in first.out
        sentence = f"untrained twin; {len(too)} of the {len(own)} replicated claims hold on it too"
        for name in ("report.html", "summary.md"):
            assert sentence in (run.directory / name).read_text("utf-8")
        assert {"name": "control", "value": "untrained", "source": "command line"} in run.results["protocol"][
            "options"
        ]


@pytest.mark.usefixtures("first")
class TestBaseline:
    def test_an_unchanged_model_passes(self, place: Place, first: Run) -> None:
        run = place.run("--baseline", str(place.path / "baseline.json"))
        assert run.status == 0
        assert run.verdicts == first.verdicts
        assert f"{len(first.verdicts)} same." in run.lines
        assert f"Against the baseline: {len(first.verdicts)} same." in run.lines
        assert run.results["baseline"]["outcome"] == f"{len(first.verdicts)} same"
        assert verify_file(run.directory / "results.json").mismatches == ()
        n = sum(v not in ("REPLICATED", "NOT_TESTED") for v in first.verdicts.values())
        assert f"{n} xfailed" in run.lines[-2]

    def test_only_a_change_for_the_worse_fails(self, place: Place, first: Run) -> None:
        results = json.loads((place.path / "baseline.json").read_text())
        claims = {c["id"]: c for c in results["claims"]}
        usable = [n for n, c in first.claims.items() if c["parts"] and c["parts"][0]["relation"] in "<>"]
        worse, known = [n for n in usable if first.verdicts[n] == "NOT_REPLICATED"][:2]
        better, new, same = [n for n in usable if first.verdicts[n] == "REPLICATED"][:3]
        _pretend(claims[worse], "REPLICATED")
        _pretend(claims[better], "NOT_REPLICATED")
        results["claims"].remove(claims[new])
        changed = place.path / "changed.json"
        write(changed, sealed(checked(results)))
        chosen = " or ".join(f"test_{name.replace('-', '_')}" for name in (worse, known, better, new, same))
        page = place.path / "job page.md"
        run = place.run(
            "-k", chosen, "--baseline", str(changed),
            report="html,pdf,md", environment={"GITHUB_STEP_SUMMARY": str(page)},
        )  # fmt: skip
        assert run.status == 1
        for count in ("1 failed", "1 passed", "1 xpassed", "1 xfailed", "1 no baseline"):
            assert count in run.lines[-2]
        shown = {m[2]: m[1] for m in re.finditer(r"^(\w[\w ]+?)  +([a-z0-9-]+)  ", run.out, re.MULTILINE)}
        assert {name: shown[name] for name in (worse, better, new)} == {
            worse: "regressed", better: "improved", new: "no baseline",
        }  # fmt: skip
        assert known not in shown
        assert same not in shown
        outcome = f"1 regressed, 1 improved, 1 no baseline, 2 same, {len(first.verdicts) - 5} not run"
        assert f"{outcome}." in run.lines
        assert f"Against the baseline: {outcome}." in run.lines
        self._stands_first_everywhere(run, page, outcome)
        part = first.claims[worse]["parts"][0]
        self._junit_says_all(run, worse, part)
        recorded = run.results["baseline"]
        assert recorded["outcome"] == outcome
        assert recorded["sha256"] == json.loads(changed.read_text())["sha256"]
        rows = {row["id"]: row for row in recorded["changes"]}
        assert rows[worse]["baseline"]["verdict"] == "REPLICATED"
        assert rows[worse]["new"]["estimate"] == part["estimate"]
        assert verify_file(run.directory / "report.pdf").mismatches == ()

    def _stands_first_everywhere(self, run: Run, page: Path, outcome: str) -> None:
        sentence = f"Against the baseline: {outcome}"
        assert page.read_text("utf-8").splitlines()[2].startswith(f"**{sentence}.**")
        text = (run.directory / "report.html").read_text("utf-8").partition("</h1>")[2]
        assert text.index(sentence) < text.index('class="headline"')
        # the terminal: the section of the baseline comes before that of the verdicts
        assert run.out.index(f"\n{outcome}.\n") < run.out.index("= verdicts =")
        first_page = subprocess.run(
            ["pdftotext", "-layout", "-l", "1", run.directory / "report.pdf", "-"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        words = " ".join(first_page.split())
        assert sentence in words
        assert words.index(sentence) < words.index("claims selected.")

    def _junit_says_all(self, run: Run, worse: str, part: dict[str, Any]) -> None:
        case = f"test_{worse.replace('-', '_')}"
        tree = ElementTree.parse(run.junit_file).getroot()
        (failure,) = tree.findall(f".//testcase[@name='{case}']/failure")
        said = failure.get("message", "")
        assert "NOT_REPLICATED, regressed from the baseline: " in said
        assert all(number(value) in said for value in (part["estimate"], *part["interval"]))
        assert number(part["threshold"]) in said
        assert "In the baseline it was REPLICATED" in said
        properties = run.junit[case]
        assert properties["claim_status"] == "regressed"
        assert properties["baseline_verdict"] == "REPLICATED"
        assert float(properties["baseline_estimate"]) == pytest.approx(
            part["threshold"] + (10 if part["relation"] == ">" else -10)
        )

    def test_a_baseline_of_something_else_is_no_gate(self, place: Place) -> None:
        results = json.loads((place.path / "baseline.json").read_text())
        results["protocol"]["context"] += 1
        other = place.path / "longer.json"
        write(other, sealed(checked(results)))
        run = place.run("-k", "random_vectors_fail", "--baseline", str(other))
        assert "the context differs" in run.out
        assert run.status == 1


def _pretend(claim: dict[str, Any], verdict: str) -> None:
    """Give a record the outcome, by a first part far away from where it is."""
    part = claim["parts"][0]
    holds = verdict == "REPLICATED"
    estimate = part["threshold"] + (10 if holds == (part["relation"] == ">") else -10)
    interval = [estimate - 1, estimate + 1]
    part.update(estimate=estimate, interval=interval, holds=holds)
    claim.update(verdict=verdict, estimate=estimate, interval=interval)
