"""The plugin, by running pytest for real: what is shown and written, and how runs end."""

import importlib.metadata
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from harness import catalogue
from harness.verify import verify
from tests import tiny
from tests.plugin_runs import CLAIMS, CONTEXT, ROOT, TEXTS, Place, Run

# an installed layerclaims registers its plugin itself, and one module must not be registered twice
INSTALLED = any(ep.value == "harness.plugin" for ep in importlib.metadata.entry_points(group="pytest11"))
LOADED = () if INSTALLED else ("-p", "harness.plugin")
NORM = "norm_is_a_feature or norm_is_not_the_only_feature or random_vectors_fail"


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place.make(tmp_path_factory.mktemp("plugin"))


@pytest.fixture(scope="session")
def first(place: Place) -> Run:
    """Every claim, with nothing in the cache."""
    return place.run("--save-baseline", str(place.path / "baseline.json"), report="html,md")


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
        assert set(first.verdicts) == set(catalogue.entries())

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
    return place.run("--verdicts-only")


class TestAgain:
    def test_the_same_records_come_from_the_cache(self, first: Run, again: Run) -> None:
        assert again.claims == first.claims
        assert again.results["documents"] == first.results["documents"]

    def test_without_torch(self, first: Run, again: Run) -> None:
        assert "torch" in re.findall(r"^imported: (.*)$", first.out, re.MULTILINE)[0]
        assert re.findall(r"^imported:(.*)$", again.out, re.MULTILINE) == [""]
        assert again.err == ""

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
        assert _without_holm(run) == {name: _without_holm(first)[name] for name in chosen}
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


def _without_holm(run: Run) -> dict[str, dict[str, Any]]:
    """The records without what depends on which other claims ran."""
    holm = ("p_holm", "survives_holm")
    return {name: {k: v for k, v in record.items() if k not in holm} for name, record in run.claims.items()}


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


@pytest.mark.usefixtures("first")
class TestTerminal:
    def test_progress_stands_on_a_line_of_its_own(self, place: Place, first: Run) -> None:
        command = [
            *(sys.executable, "-m", "pytest", "-q", "-p", "faults", str(CLAIMS), "-k", NORM),
            *place.options(out=place.out()),
        ]
        environment = place.environment(FAULTS="norm_is_not=note random=note", TERM="xterm", COLUMNS="80")
        ours, theirs = pty.openpty()
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=theirs, stderr=theirs):
            os.close(theirs)
            shown = b""
            while select.select([ours], [], [], 120)[0]:
                try:
                    read = os.read(ours, 65536)
                except OSError:  # the other end is closed
                    break
                if not read:
                    break
                shown += read
        os.close(ours)
        lines = re.sub(r"\x1b\[[0-9;]*[mK]", "", shown.decode()).replace("\r", "").splitlines()
        assert [line for line in lines if "a line of progress" in line] == ["a line of progress"] * 2
        assert [line.split()[0] for line in lines[:5]][::2] == [v[0] for v in _letters(first)]

    def test_hostile_names_are_inert(self, place: Place) -> None:
        name = "m\x1b[31m\u202e{{7*7}}|<img src=x>" + "x" * 100
        hostile = place.path / name
        hostile.mkdir()
        for file in (place.path / "model").iterdir():
            (hostile / file.name).write_bytes(file.read_bytes())
        run = place.run("-k", NORM, model=hostile, out=None, report="md", cwd=place.path)
        assert "\x1b" not in run.out + run.err
        assert "\u202e" not in run.out + run.err
        (report,) = (place.path / "reports").iterdir()
        assert re.fullmatch(r"[\w.-]{1,80}", report.name, re.ASCII)
        assert len(list(report.iterdir())) == 2
        assert run.junit

    def test_elsewhere_the_plugin_is_silent(self, place: Place) -> None:
        elsewhere = place.path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "test_it.py").write_text(
            "import pytest\n\n\n@pytest.fixture(params=[1, 2])\ndef study(request):\n    return request.param\n"
            "\n\ndef test_it(study):\n    pass\n"
        )
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *LOADED, "--protocol", "both"],
            cwd=elsewhere,
            env=place.environment(XDG_CACHE_HOME=str(place.path / "untouched")),
            capture_output=True,
            text=True,
            check=False,
        )
        assert "2 passed" in done.stdout, "also beside pytest's own cache, which has an ini key cache_dir"
        # pytest itself lists the plugins that are installed, as "layerclaims-0.1.0"
        assert "layerclaims:" not in done.stdout + done.stderr
        assert not (place.path / "untouched").exists()


def _letters(run: Run) -> list[str]:
    chosen = ["norm-is-a-feature", "norm-is-not-the-only-feature", "random-vectors-fail"]
    return [run.verdicts[name] for name in chosen]


USAGE = {
    "a model that is not there": (["--model", "./nowhere"], "The model directory 'nowhere' does not exist"),
    "the second of two models": (["--model", "/no/where"], "The model directory '/no/where' does not exist"),
    "a corpus of unknown kind": (["--corpus", "PLACE/texts.doc"], "is not known"),
    "a corpus that is not there": (["--corpus", "PLACE/texts.txt"], "does not exist"),
    "an empty corpus": (["--corpus", "PLACE/empty.jsonl"], "holds no texts"),
    "a cache that cannot be written": (["--cache-dir", "PLACE/file/cache"], "cannot be written to"),
    "a report that cannot be written": (["--out", "PLACE/file/out"], "cannot be written to"),
    "no number": (["--n-texts", "many"], "--n-texts"),
    "too small a number": (["--context", "2"], "--context '2' is not possible"),
    "an impossible level": (["--alpha", "7"], "--alpha '7.0' is not possible"),
    "an unknown protocol": (["--protocol", "strict"], "--protocol"),
    "an unknown format": (["--report", "doc"], "--report 'doc' is not possible"),
    "an unknown device": (["--device", "gpu9"], "--device 'gpu9' is not possible"),
    "an impossible batch": (["--batch-size", "0"], "--batch-size '0' is not possible"),
    "a baseline that is not there": (["--baseline", "PLACE/nothing.json"], "nothing.json"),
    "a baseline that is none": (["--baseline", "PLACE/few.jsonl"], "few.jsonl"),
    "a directory as baseline": (["--save-baseline", "PLACE"], "is a directory"),
    "an ini key that is no number": (["-o", "seed=x"], "The ini key seed cannot be used"),
    "an ini key that is no choice": (["-o", "dtype=int8"], "The ini key dtype is 'int8'"),
    "an ini key that is no switch": (["-o", "offline=perhaps"], "The ini key offline cannot be used"),
    "too few texts": (
        ["--corpus", "PLACE/few.jsonl"],
        "has 5 different texts",
    ),  # last: only a tokenizer can tell
}


@pytest.fixture(scope="session")
def answers(place: Place) -> dict[str, list[str]]:
    """Exit status and output of each case: real sessions, one after the other in one process."""
    (place.path / "empty.jsonl").write_text("")
    tiny.write_jsonl(place.path / "few.jsonl", tiny.texts(5))
    (place.path / "file").write_text("")
    cases = {
        name: [str(CLAIMS), *place.options(), *(a.replace("PLACE", str(place.path)) for a in more)]
        for name, (more, _) in USAGE.items()
    }
    script = (
        "import contextlib, io, json, sys\nimport pytest\nanswers = {}\n"
        "for name, arguments in json.load(sys.stdin).items():\n"
        "    out = io.StringIO()\n"
        "    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):\n"
        "        status = int(pytest.main(arguments))\n"
        "    answers[name] = [status, out.getvalue(), [m for m in ('torch',) if m in sys.modules]]\n"
        "json.dump(answers, sys.stdout)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(cases),
        cwd=ROOT,
        env=place.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


class TestUsageErrors:
    @pytest.mark.parametrize("case", USAGE)
    def test_end_in_one_sentence_before_any_model(self, answers: dict[str, list[str]], case: str) -> None:
        status, out, heavy = answers[case]
        assert status == pytest.ExitCode.USAGE_ERROR
        assert USAGE[case][1] in out
        assert "Traceback" not in out
        assert out.count("ERROR: ") == 1
        assert case == "too few texts" or heavy == []


class TestConfiguration:
    @pytest.mark.parametrize("form", ["pytest.ini", "pyproject.toml", "native pyproject.toml"])
    def test_options_may_stand_in_the_ini_file(self, place: Place, first: Run, form: str) -> None:
        directory = place.path / form.replace(" ", "-")
        directory.mkdir()
        values = {
            "model": place.path / "model",
            "corpus": place.path / "main.jsonl",
            "transfer_corpus": place.path / "other.jsonl",
            "n_texts": TEXTS,
            "context": CONTEXT,
            "alpha": 0.05,
            "inconclusive": "warn",
        }
        if form == "pytest.ini":
            text = "[pytest]\n" + "".join(f"{k} = {v}\n" for k, v in values.items())
        elif form == "pyproject.toml":
            text = "[tool.pytest.ini_options]\n" + "".join(f"{k} = '{v}'\n" for k, v in values.items())
        else:
            native = {k: v if isinstance(v, int | float) else f"'{v}'" for k, v in values.items()}
            native["model"] = f"['{values['model']}']"
            text = "[tool.pytest]\n" + "".join(f"{k} = {v}\n" for k, v in native.items())
        (directory / form.rpartition(" ")[2]).write_text(text)
        left_out = dict.fromkeys(("model", "corpus", "transfer_corpus", "n_texts", "context"))
        run = place.run(
            *("-c", str(directory / form.rpartition(" ")[2]), *LOADED),
            *("-k", "norm_is_a_feature", "--import-mode=importlib"),
            **left_out,
        )
        assert run.claims["norm-is-a-feature"]["estimate"] == first.claims["norm-is-a-feature"]["estimate"]
        options = {o["name"]: o for o in run.results["protocol"]["options"]}
        assert {options[name]["source"] for name in values} == {"ini file"}
        assert options["seed"]["source"] == "default"

    def test_an_installed_plugin_runs_the_claims_from_anywhere(self, place: Place, first: Run) -> None:
        site, elsewhere = place.path / "site", place.path / "another repository"
        (site / "layerclaims-0.dist-info").mkdir(parents=True)
        (site / "layerclaims-0.dist-info" / "METADATA").write_text("Name: layerclaims\nVersion: 0\n")
        (site / "layerclaims-0.dist-info" / "entry_points.txt").write_text(
            "[pytest11]\nlayerclaims = harness.plugin\n"
        )
        elsewhere.mkdir()
        path = os.pathsep.join(map(str, (place.path, site, ROOT)))
        run = place.run(
            *("-k", "norm_is_a_feature"),
            target=("--pyargs", "claims"),
            cwd=elsewhere,
            environment={"PYTHONPATH": path},
        )
        assert _without_holm(run).items() <= _without_holm(first).items()
        assert list(elsewhere.iterdir()) == []

    def test_one_readable_node_for_each_claim_model_and_protocol(self, place: Place) -> None:
        plain = _collected(place)
        assert len(plain) == len(catalogue.entries())
        assert "claims/test_norm.py::test_norm_is_a_feature" in plain
        several = _collected(place, "--protocol", "both", "--model", "embedded")
        assert len(several) == 4 * len(plain)
        assert "claims/test_norm.py::test_norm_is_a_feature[model-as-published]" in several
        assert "claims/test_norm.py::test_norm_is_a_feature[smollm2-135m-instruct-rigorous]" in several


def _collected(place: Place, *more: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(CLAIMS), "--collect-only", "-q", *place.options(*more)],
        cwd=ROOT,
        env=place.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return [line for line in done.stdout.splitlines() if "::" in line]


class TestSeveralModels:
    def test_each_has_its_study_and_its_report(self, place: Place, first: Run) -> None:
        other = tiny.build("llama", place.path / "sub" / "model", num_hidden_layers=2, hidden_size=16)
        out = place.out()
        run = place.run("-k", "norm_is_a_feature", "--model", str(other), out=out)
        reports = sorted(out.iterdir())
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
            assert verify(results).mismatches == ()

    def test_a_model_alone_has_no_larger_one(self, first: Run) -> None:
        record = first.claims["larger-model-lower-accuracy"]
        assert record["verdict"] == "NOT_TESTED"
        assert "give --model several times" in record["reason"]
        assert "test_larger_model_lower_accuracy" in first.junit


class TestUntrainedTwin:
    def test_is_judged_by_the_same_rows_and_shown_beside_the_model(self, place: Place, first: Run) -> None:
        chosen = "norm_is_a_feature or pca_shows_drift or larger_model"
        # with seed 0 the twin would be the tiny model itself, whose weights were drawn by it
        run = place.run("-k", chosen, "--control", "untrained", "--verdicts-only", "--seed", "7")
        assert run.status == 0
        for name in ("norm-is-a-feature", "pca-shows-drift"):
            twin = run.claims[name]["control_untrained"]
            assert twin["estimate"] != run.claims[name]["estimate"]
            low, high = twin["interval"]
            assert low <= twin["estimate"] <= high
            assert twin["reason"].endswith(".")
            assert first.claims[name]["control_untrained"] is None
        assert {"name": "control", "value": "untrained", "source": "command line"} in run.results["protocol"][
            "options"
        ]


@pytest.mark.usefixtures("first")
class TestBaseline:
    def test_an_unchanged_model_passes(self, place: Place, first: Run) -> None:
        run = place.run("--baseline", str(place.path / "baseline.json"))
        assert run.status == 0
        assert run.verdicts == first.verdicts
        assert f"{len(first.verdicts)} same." in run.out
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
        changed.write_text(json.dumps(results))
        chosen = " or ".join(f"test_{name.replace('-', '_')}" for name in (worse, known, better, new, same))
        run = place.run("-k", chosen, "--baseline", str(changed))
        assert run.status == 1
        for count in ("1 failed", "1 passed", "1 xpassed", "1 xfailed", "1 no baseline"):
            assert count in run.lines[-2]
        shown = {m[2]: m[1] for m in re.finditer(r"^(\w[\w ]+?)  +([a-z0-9-]+)  ", run.out, re.MULTILINE)}
        assert {name: shown[name] for name in (worse, known, better, new, same)} == {
            worse: "regressed",
            known: "same",
            better: "improved",
            new: "no baseline",
            same: "same",
        }
        assert f"{len(first.verdicts) - 5} claims of the baseline were not run" in run.out

    def test_a_baseline_of_something_else_is_no_gate(self, place: Place) -> None:
        results = json.loads((place.path / "baseline.json").read_text())
        results["protocol"]["context"] += 1
        other = place.path / "longer.json"
        other.write_text(json.dumps(results))
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


@pytest.mark.usefixtures("first")
def test_ctrl_c_reaches_all_processes_and_leaves_one_sentence(place: Place) -> None:
    marker = place.path / "in the middle"
    (place.path / "waits.py").write_text(
        "import pathlib, time, pytest\n\n\n@pytest.hookimpl(tryfirst=True)\ndef pytest_runtest_call(item):\n"
        "    if 'norm_is_not_the_only' in item.nodeid:\n"
        f"        pathlib.Path({str(marker)!r}).write_text('')\n        time.sleep(60)\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "waits",
        str(CLAIMS),
        "-n",
        "2",
        "-k",
        "test_norm",
        *place.options(out=place.out()),
    ]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=place.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        for _ in range(600):
            if marker.exists():
                break
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, out
    assert out.count("the same command goes on from there") == 1
    assert "Traceback" not in out
