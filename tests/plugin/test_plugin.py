"""The plugin, by running pytest for real: what is shown and written, and how runs end."""

import json
import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from layerclaims.results.verify import verify_file
from layerclaims.verdicts import registry

from tests import own_claims, tiny
from tests.plugin_runs import CLAIMS, CONTEXT, LOADED, ROOT, TEXTS, Place, Run

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
            [sys.executable, "-m", "pytest", *LOADED, "-o", "protocol=both", "-o", "layerclaims_seed=x"],
            cwd=elsewhere,
            env=place.environment(
                LAYERCLAIMS_CACHE=str(place.path / "untouched"), LAYERCLAIMS_BASELINE="none"
            ),
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
    "no number": (["--n-texts", "many"], "--n-texts 'many' is not possible: it has to be a whole number"),
    "too small a number": (["--context", "2"], "--context '2' is not possible"),
    "an impossible level": (["--alpha", "7"], "--alpha '7.0' is not possible"),
    "an unknown protocol": (["--protocol", "strict"], "--protocol 'strict' is not possible"),
    "an unknown format": (["--report", "doc"], "--report 'doc' is not possible"),
    "an unknown device": (["--device", "gpu9"], "--device 'gpu9' is not possible"),
    "an impossible batch": (["--batch-size", "0"], "--batch-size '0' is not possible"),
    "a baseline that is not there": (["--baseline", "PLACE/nothing.json"], "nothing.json"),
    "a long name": (["--layerclaims-folds", "99"], "--layerclaims-folds '99' is not possible"),
    "one test twice": (["-p", "twice"], "Two tests are the claim no-dimension-dominates: "),
    "a baseline that is none": (["--baseline", "PLACE/few.jsonl"], "few.jsonl"),
    "a directory as baseline": (["--save-baseline", "PLACE"], "is a directory"),
    "an ini key that is no number": (["-o", "seed=x"], "The ini key seed cannot be used"),
    "an ini key that is no choice": (["-o", "dtype=int8"], "The ini key dtype 'int8' is not possible"),
    "an ini key out of range": (
        ["-o", "layerclaims_folds=1"],
        "The ini key layerclaims_folds '1' is not possible",
    ),
    "an ini key that is no switch": (["-o", "offline=perhaps"], "The ini key offline cannot be used"),
    "thousands of digits": (["--n-texts", "9" * 5000], "is not possible: it has to be a whole number"),
    "thousands of digits of a batch": (["--batch-size", "9" * 5000], "is not possible: it has to be auto"),
    "thousands of digits of memory": (["--memory", "9" * 5000 + "GB"], "is not possible: give auto"),
    "thousands of digits in an ini key": (["-o", f"folds={'9' * 5000}"], "The ini key folds cannot be used"),
    "digits of another script": (["--seed", "\u0663"], "is not possible: it has to be a whole number"),
    "a seed that is too large": (["--seed", str(2**64)], "is not possible: it has to be 0 to 4294967295"),
    "too many folds": (["--folds", str(10**9)], "is not possible: it has to be 2 to 20"),
    "no context": (["--context", "0"], "--context '0' is not possible"),
    "hardly a level": (["--alpha", "1e-320"], "is not possible: it has to be .000001 to .5"),
    "no level": (["--alpha", "nan"], "--alpha 'nan' is not possible: it has to be a number"),
    "an endless level": (["--alpha", "inf"], "--alpha 'inf' is not possible: it has to be a number"),
    "an empty cache": (["--cache-dir", ""], "--cache-dir is empty"),
    "an empty place for the report": (["--out", " "], "--out is empty"),
    "an empty baseline": (["--baseline", ""], "--baseline is empty"),
    "nobody's home": (
        ["--cache-dir", "~nobody-at-all/cache"],
        "the home directory that it names is not known",
    ),
    "no such character": (["--out", "a\0b"], "a path holds no NUL character"),
    "one corpus twice": (["--transfer-corpus", "PLACE/main.jsonl"], "hold the same texts"),
    "a long name of a report": (["--out", "PLACE/" + "x" * 256], "cannot be written to: File name too long"),
    "a long name of a baseline": (
        ["--save-baseline", "PLACE/" + "x" * 256],
        "cannot be used: File name too long",
    ),
    "a pipe as baseline": (["--baseline", "PLACE/pipe"], "is a pipe or a device"),
    "a pipe to save to": (["--save-baseline", "PLACE/pipe"], "is a pipe or a device"),
    "a device as baseline": (["--baseline", "/dev/zero"], "is a pipe or a device"),
    "a device to save to": (["--save-baseline", "/dev/null"], "is a pipe or a device"),
    "a device as the place of the report": (["--out", "/dev/full"], "cannot be written to"),
    "a directory that is called results.json": (["--out", "PLACE/taken"], "is a directory"),
    "a file as the folder of a baseline": (
        ["--save-baseline", "PLACE/file/b.json"],
        "cannot be used: Not a dir",
    ),
    "a baseline that is something else": (
        ["--save-baseline", "PLACE/main.jsonl"],
        "is there and holds no results",
    ),
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
    (place.path / "taken" / "results.json").mkdir(parents=True)
    os.mkfifo(place.path / "pipe")
    (place.path / "twice.py").write_text(
        "def pytest_generate_tests(metafunc):\n    metafunc.fixturenames.append('again')\n"
        "    metafunc.parametrize('again', range(2))\n"
    )
    cases = {
        name: [
            str(CLAIMS),
            *place.options(out=place.out()),
            *(a.replace("PLACE", str(place.path)) for a in more),
        ]
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
            "[pytest11]\nlayerclaims = layerclaims.plugin.hooks\n"
        )
        elsewhere.mkdir()
        run = place.run(
            *("-k", "norm_is_a_feature"),
            target=("--pyargs", "claims"),
            cwd=elsewhere,
            environment={"PYTHONPATH": place.python_path(site)},
        )
        assert _without_holm(run).items() <= _without_holm(first).items()
        assert list(elsewhere.iterdir()) == []

    def test_one_readable_node_for_each_claim_model_and_protocol(self, place: Place) -> None:
        plain = _collected(place)
        assert len(plain) == len(registry.post_claims())
        assert "claims/test_norm.py::test_norm_is_a_feature" in plain
        several = _collected(place, "--protocol", "both", "--model", "embedded")
        assert len(several) == 4 * len(plain)
        assert "claims/test_norm.py::test_norm_is_a_feature[model-as-published]" in several
        assert "claims/test_norm.py::test_norm_is_a_feature[smollm2-135m-instruct-rigorous]" in several


def _collected(
    place: Place, *more: str, environment: Mapping[str, str] | None = None, **changed: Any
) -> list[str]:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            str(CLAIMS),
            "--collect-only",
            "-q",
            *place.options(*more, **changed),
        ],
        cwd=ROOT,
        env=place.environment(**(environment or {})),
        capture_output=True,
        text=True,
        check=True,
    )
    return [line for line in done.stdout.splitlines() if "::" in line]


def _own_run(place: Place, own: Path, *more: str, **how: Any) -> Run:
    return place.run(*LOADED, *more, target=(str(own),), cwd=own.parent, **how)


@pytest.fixture(scope="session")
def judged(place: Place, first: Run, own: Path) -> Run:
    """A run of the own claims, from the cache of ours."""
    del first
    return _own_run(place, own, "--save-baseline", str(place.path / "own.json"), report="html,md")


@pytest.mark.usefixtures("judged")
class TestClaimsElsewhere:
    def test_are_judged_shown_and_written_like_ours(self, place: Place, judged: Run) -> None:
        assert judged.live == judged.verdicts
        assert list(judged.verdicts) == ["norms-matter", "layers-differ"]
        assert judged.verdicts["layers-differ"] == "REPLICATED"
        assert f"layerclaims: {place.path / 'model'}" in judged.lines
        assert "= verdicts =" in judged.out
        assert judged.junit["test_norms_matter"]["claim_verdict"] == judged.verdicts["norms-matter"]
        assert judged.verdicts["norms-matter"] != "REPLICATED"
        assert judged.status == 1
        assert judged.err == ""
        assert json.loads((place.path / "own.json").read_text())["claims"] == judged.results["claims"]

    def test_are_whose_they_are(self, judged: Run) -> None:
        first, second = judged.claims.values()
        assert (first["source"], first["where"], first["section"]) == (
            "our paper",
            "chapter 3",
            "what we need",
        )
        assert second["source"] == "own claim"
        assert second["criterion"]["text"] == "acc > the bar. Here: accuracy > .001."
        page = re.sub(
            r"<(script|style)>.*?</\1>", "", (judged.directory / "report.html").read_text(), flags=re.DOTALL
        )
        assert "our paper, chapter 3. Our paper reports: a fifth" in page
        assert "own claim. Reported: more than chance" in page
        assert ">what we need</option>" in page
        assert "| Must be | Source |" in (judged.directory / "summary.md").read_text()
        for said in (
            "The post reports",
            "that the post gives",
            "The post under test",
            "order of the post",
            ">Post<",
        ):
            assert said not in page

    def test_are_gated_by_a_baseline(self, place: Place, own: Path) -> None:
        run = _own_run(place, own, "--baseline", str(place.path / "own.json"))
        assert run.status == 0
        assert "2 same." in run.out

    def test_make_the_same_records_in_several_processes(self, place: Place, own: Path, judged: Run) -> None:
        run = _own_run(place, own, "-n", "2")
        assert run.claims == judged.claims
        assert run.live == run.verdicts
        assert run.out.count("layerclaims: on ") == 1
        assert run.status == judged.status

    def test_leave_a_record_when_their_process_dies(self, place: Place, own: Path, judged: Run) -> None:
        run = _own_run(place, own, "-n", "2", "--verdicts-only", faults="norms_matter=kill")
        assert run.verdicts == {**judged.verdicts, "norms-matter": "ERROR"}
        assert run.claims["norms-matter"]["statement"] == "norms carry information"
        assert run.claims["norms-matter"]["source"] == "our paper"
        assert run.status == 1

    def test_are_judged_on_the_untrained_twin_too(self, place: Place, own: Path) -> None:
        run = _own_run(place, own, "--control", "untrained", "--verdicts-only", "--seed", "7")
        assert run.status == 0
        assert all(claim["control_untrained"]["estimate"] is not None for claim in run.claims.values())

    def test_run_beside_ours(self, place: Place, own: Path) -> None:
        run = place.run(
            "-k", "norms_matter or norm_is_a_feature", target=(str(CLAIMS), str(own)), report="html"
        )
        assert list(run.claims) == ["norm-is-a-feature", "norms-matter"]
        assert run.claims["norm-is-a-feature"]["estimate"] == run.claims["norms-matter"]["estimate"]
        page = (run.directory / "report.html").read_text()
        assert "headline: .83" in page
        assert "Our paper reports: a fifth" in page

    def test_of_one_name_are_refused_before_any_work(self, place: Place) -> None:
        own_claims.write(place.path / "two" / "here")
        own_claims.write(place.path / "two" / "there")
        for more in ((), ("-n", "2")):
            run = _own_run(place, place.path / "two", *more, cache_dir=place.path / "untouched cache")
            assert run.status == pytest.ExitCode.USAGE_ERROR
            assert run.err.count("ERROR: ") == 1
            assert "Two tests are the claim norms-matter: " in run.err
            assert "here/test_needs.py::test_norms_matter" in run.err
            assert "there/test_needs.py::test_norms_matter" in run.err
            assert "Traceback" not in run.out + run.err
            assert not any((place.path / "untouched cache").rglob("*.safetensors"))

    def test_are_explained_and_verified_where_their_files_are_named(
        self, place: Place, own: Path, judged: Run
    ) -> None:
        results = str(judged.directory / "results.json")
        status, out, _ = _command(place, own.parent, "verify", results)
        assert status == 0
        assert "2 claims are not known here, their rules were not checked: norms-matter, layers-differ" in out
        status, out, _ = _command(place, own.parent, "verify", results, "--claims", "needs")
        assert status == 0
        assert "not known here" not in out
        tampered = place.path / "tampered.json"
        tampered.write_text(Path(results).read_text().replace('"threshold": 0.01', '"threshold": -0.9'))
        assert "the rule is > 0.01" in _command(place, own.parent, "verify", tampered, "--claims", "needs")[1]
        listed = _command(place, own.parent, "explain", "--claims", "needs/test_needs.py")[1]
        assert "norms carry information" in listed
        assert "norm-is-a-feature" in listed
        told = _command(place, own.parent, "explain", "norms-matter", "--claims", "needs")[1]
        assert "our paper, chapter 3" in told
        assert "acc(raw) - acc(unit) > .01." in told
        assert re.search(r"needs/test_needs\.py:\d+$", told)
        assert "the post" not in told
        assert (
            "norms-matter" in _command(place, place.path, "explain", "--claims", "needs", path=own.parent)[1]
        )

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("def test_it():\n    pass\n", "There is no claim in"),
            ("import not_there\n", "No module named 'not_there'"),
            ("def test_it(:\n", "SyntaxError"),
            (None, "'test_it.py' is no file, no folder and no package that can be imported"),
        ],
    )
    def test_that_cannot_be_found_are_one_sentence(
        self, place: Place, tmp_path: Path, content: str | None, said: str
    ) -> None:
        if content is not None:
            (tmp_path / "test_it.py").write_text(content)
        status, out, err = _command(place, tmp_path, "explain", "--claims", "test_it.py")
        assert (status, out) == (1, "")
        assert said in err
        assert err.startswith("layerclaims: ")
        assert err.count("\n") == 1


def _command(place: Place, cwd: Path, *arguments: object, path: Path = ROOT) -> tuple[int, str, str]:
    """`layerclaims` with some arguments: status and what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "layerclaims.cli", *map(str, arguments)],
        cwd=cwd,
        env=place.environment(PYTHONPATH=os.pathsep.join((str(path), str(ROOT)))),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


class TestWithoutClaims:
    @pytest.fixture
    def tests(self, tmp_path: Path) -> Path:
        (tmp_path / "test_it.py").write_text("def test_it():\n    pass\n")
        return tmp_path

    def run(self, place: Place, tests: Path, *more: str, **environment: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *LOADED, *more],
            cwd=tests,
            env=place.environment(**environment),
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    @pytest.mark.parametrize(
        "given",
        [
            ("--baseline", "none.json"), ("--save-baseline=b.json",), ("--out", "here"), ("--offline",),
            ("--layerclaims-out=here",), ("--out", "here", "-n", "2"), ("-k", "nothing", "--out", "here"),
        ],
    )  # fmt: skip
    def test_what_was_asked_for_in_vain_is_one_sentence(
        self, place: Place, tests: Path, given: tuple[str, ...]
    ) -> None:
        status, said = self.run(place, tests, *given)
        (option,) = [word.partition("=")[0] for word in given if word.startswith("--")]
        assert status == pytest.ExitCode.USAGE_ERROR
        assert f"ERROR: No claim was collected, so {option} cannot be honoured." in said
        assert "Traceback" not in said
        assert not (tests / "here").exists()

    def test_what_is_always_asked_for_is_no_matter(self, place: Place, tests: Path) -> None:
        (tests / "pytest.ini").write_text("[pytest]\naddopts = --out=here\nbaseline = none.json\nseed = x\n")
        status, said = self.run(place, tests, LAYERCLAIMS_N_TEXTS="many", LAYERCLAIMS_NONSENSE="1")
        assert status == 0
        assert "layerclaims:" not in said
        assert not (tests / "here").exists()


# a plugin of somebody else's that has three of our options and an ini key
OTHER = """
def pytest_addoption(parser):
    for name in ("--device", "--profile", "--model"):
        parser.addoption(name, action="append", help="of another plugin")
    parser.addini("seed", "of another plugin", type="linelist")

def pytest_report_header(config):
    return f"other: {config.getoption('--device')} {config.getoption('--model')} {config.getini('seed')}"
"""


@pytest.mark.usefixtures("first")
class TestBesideAnotherPlugin:
    @pytest.fixture(params=["before", "after", "entry point", "conftest", "conftest below"])
    def other(self, request: pytest.FixtureRequest, tmp_path: Path) -> tuple[list[str], Path, list[Path]]:
        """What loads a plugin that has our names: arguments, the folder of the tests, more of PYTHONPATH."""
        own_claims.write(tmp_path / "needs")
        (tmp_path / "pytest.ini").write_text("[pytest]\nseed = 1\n  2\nlayerclaims_seed = 3\n")
        ours, theirs, path = list(LOADED), ["-p", "other_plugin"], [tmp_path / "site"]
        path[0].mkdir()
        if request.param.startswith("conftest"):
            below = tmp_path / "needs" / "deeper" if request.param.endswith("below") else tmp_path
            below.mkdir(exist_ok=True)
            (below / "conftest.py").write_text(OTHER)
            if below != tmp_path:
                (below / "test_it.py").write_text(
                    "def test_it(pytestconfig):\n    assert pytestconfig.getini('seed')\n"
                )
            return ours, tmp_path, path
        (path[0] / "other_plugin.py").write_text(OTHER)
        if request.param == "entry point":
            (path[0] / "other-0.dist-info").mkdir()
            (path[0] / "other-0.dist-info" / "METADATA").write_text("Name: other\nVersion: 0\n")
            (path[0] / "other-0.dist-info" / "entry_points.txt").write_text(
                "[pytest11]\nother = other_plugin\n"
            )
            return ours, tmp_path, path
        return ([*theirs, *ours] if request.param == "before" else [*ours, *theirs]), tmp_path, path

    def test_both_have_their_options(
        self,
        place: Place,
        other: tuple[list[str], Path, list[Path]],
        request: pytest.FixtureRequest,
    ) -> None:
        arguments, folder, path = other
        deep = (
            "below" in request.node.name
        )  # pytest meets that conftest.py after it has read the command line
        names = ("--device", "theirs", "--model", "mine", "--profile", "p") if not deep else ()
        model = ("--layerclaims-model", str(place.path / "model"))
        run = place.run(
            *arguments, *names, *model, "--layerclaims-device", "cpu", "--verdicts-only",
            target=(str(folder),), cwd=folder, model=None,
            environment={"PYTHONPATH": place.python_path(*path)},
        )  # fmt: skip
        assert run.status == 0, run.out + run.err
        assert list(run.claims) == ["norms-matter", "layers-differ"]
        if not deep:
            assert "other: ['theirs'] ['mine'] ['1', '2']" in run.lines
        options = {option["name"]: option["value"] for option in run.results["protocol"]["options"]}
        assert (options["device"], options["seed"]) == ("cpu", 3)
        assert options["model"] == str(place.path / "model")


@pytest.mark.usefixtures("first")
class TestTheEnvironment:
    def test_gives_what_the_command_line_does_not(self, place: Place, own: Path) -> None:
        ini = own.parent / "pytest.ini"
        ini.write_text("[pytest]\ncontext = 7\nfolds = 3\nverdicts_only = true\n")
        try:
            run = _own_run(
                place, own,
                environment={
                    "LAYERCLAIMS_MODEL": str(place.path / "model"), "LAYERCLAIMS_CACHE": str(place.cache),
                    "LAYERCLAIMS_CONTEXT": str(CONTEXT), "LAYERCLAIMS_N_TEXTS": "1",
                    "LAYERCLAIMS_ALPHA": "", "LAYERCLAIMS_VERDICTS_ONLY": "no",
                },
                model=None, cache_dir=None, context=None,
            )  # fmt: skip
        finally:
            ini.unlink()
        options = {o["name"]: (o["value"], o["source"]) for o in run.results["protocol"]["options"]}
        assert options["model"] == (str(place.path / "model"), "environment")
        assert options["context"] == (CONTEXT, "environment")
        assert options["n_texts"] == (TEXTS, "command line")
        assert options["folds"] == (3, "ini file")
        assert options["alpha"] == (0.05, "default")
        assert run.verdicts["norms-matter"] != "REPLICATED"
        assert run.status == 1, "the variable counts before the ini file"

    @pytest.mark.parametrize(
        ("name", "value", "said"),
        [
            ("FOLDS", "many", "LAYERCLAIMS_FOLDS 'many' is not possible: it has to be a whole number."),
            ("FOLDS", "99", "LAYERCLAIMS_FOLDS '99' is not possible"),
            ("PROFILE", "slow", "LAYERCLAIMS_PROFILE 'slow' is not possible: it has to be one of quick"),
            ("OFFLINE", "perhaps", "LAYERCLAIMS_OFFLINE 'perhaps' is not possible"),
            ("DEVICE", "gpu9", "LAYERCLAIMS_DEVICE 'gpu9' is not possible"),
            ("MEMORY", "much", "LAYERCLAIMS_MEMORY 'much' is not possible"),
            ("CACHE", "/dev/null/cache", "choose another with LAYERCLAIMS_CACHE."),
            ("N_TEXT", "3", "There is no variable 'LAYERCLAIMS_N_TEXT'; did you mean LAYERCLAIMS_N_TEXTS?"),
            ("CACHE_DIR", "x", "did you mean LAYERCLAIMS_CACHE?"),
        ],
    )
    def test_that_makes_no_sense_is_one_sentence(
        self, place: Place, own: Path, name: str, value: str, said: str
    ) -> None:
        left_out = {"cache_dir": None} if name == "CACHE" else {}
        run = _own_run(place, own, environment={f"LAYERCLAIMS_{name}": value}, **left_out)
        assert run.status == pytest.ExitCode.USAGE_ERROR
        assert said in run.err
        assert run.err.count("ERROR: ") == 1
        assert "Traceback" not in run.out + run.err

    def test_names_several_models(self, place: Place) -> None:
        both = f"{place.path / 'model'} embedded"
        nodes = _collected(place, model=None, environment={"LAYERCLAIMS_MODEL": both})
        assert "claims/test_norm.py::test_norm_is_a_feature[model]" in nodes
        assert "claims/test_norm.py::test_norm_is_a_feature[smollm2-135m-instruct]" in nodes


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
            assert verify_file(out / name / "results.json").mismatches == ()

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
