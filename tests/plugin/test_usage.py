"""Options, ini keys and variables: what they do, and one sentence for what makes no sense."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from layerclaims.verdicts import registry

from tests import tiny, warm
from tests.plugin_runs import CLAIMS, CONTEXT, LOADED, NOT_OURS, ROOT, TEXTS, Place, Run

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
    "an ini key that is no choice": (["-o", "dtype=int7"], "The ini key dtype 'int7' is not possible"),
    "a map of no devices": (["--device-map", "some"], "--device-map 'some' is not possible"),
    "a device that the map would choose": (
        ["--device-map", "auto", "--device", "cuda:1"],
        "leave out one of the two",
    ),
    "a twin that would be spread": (
        ["--control", "untrained", "--device-map", "auto"],
        "leave out that or --control",
    ),
    "an adapter for several models": (
        ["--model", "embedded", "--adapter", "./x"],
        "An adapter or a tokenizer is for one model, and there are 2",
    ),
    "a tokenizer that is not there": (["--tokenizer", "./nowhere"], "nowhere"),
    "no name of a data set": (["--corpus", "hf:../x"], "is not the name of a data set"),
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
    "hardly a level": (["--alpha", "1e-320"], "is not possible: it has to be .000001 to .25"),
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
    "too few texts": (["--corpus", "PLACE/few.jsonl"], "has 5 different texts"),
    "too few other texts": (["--transfer-corpus", "PLACE/few.jsonl"], "has 5 different texts"),
    "too few texts of all that repeat": (["--corpus", "PLACE/repeated.jsonl"], "has 20 different texts"),
    "a file of weights": (["--model", "PLACE/model/model.safetensors"], "name its folder: --model "),
    "a file of weights by a short name": (["--model", "model.safetensors"], "name its folder: --model ./"),
    "a file of local weights": (
        ["--model", "local:PLACE/model/model.safetensors"],
        "name its folder: --model ",
    ),
    "an ini key that is misspelt": (
        ["-o", "layerclaims_modle=x"],
        "There is no ini key 'layerclaims_modle'; did you mean layerclaims_model?",
    ),
}


@pytest.fixture(scope="session")
def answers(place: Place) -> dict[str, list[str]]:
    """Exit status and output of each case: real sessions, one after the other in one process."""
    (place.path / "empty.jsonl").write_text("")
    tiny.write_jsonl(place.path / "few.jsonl", tiny.texts(5))
    tiny.write_jsonl(place.path / "repeated.jsonl", tiny.texts(20) * 3)
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
        assert heavy == []


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
        assert run.without_holm.items() <= first.without_holm.items()
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
    command = ["-m", "pytest", *NOT_OURS, str(CLAIMS), "--collect-only", "-q"]
    done = warm.run(
        [*command, *place.options(*more, **changed)],
        cwd=ROOT,
        env=place.environment(**(environment or {})),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if "::" in line]


@pytest.mark.usefixtures("first")
class TestTheEnvironment:
    def test_gives_what_the_command_line_does_not(self, place: Place, own: Path) -> None:
        ini = own.parent / "pytest.ini"
        ini.write_text("[pytest]\ncontext = 7\nfolds = 3\nverdicts_only = true\n")
        try:
            run = place.run_own(
                own,
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
        run = place.run_own(own, environment={f"LAYERCLAIMS_{name}": value}, **left_out)
        assert run.status == pytest.ExitCode.USAGE_ERROR
        assert said in run.err
        assert run.err.count("ERROR: ") == 1
        assert "Traceback" not in run.out + run.err

    def test_names_several_models(self, place: Place) -> None:
        both = f"{place.path / 'model'} embedded"
        nodes = _collected(place, model=None, environment={"LAYERCLAIMS_MODEL": both})
        assert "claims/test_norm.py::test_norm_is_a_feature[model]" in nodes
        assert "claims/test_norm.py::test_norm_is_a_feature[smollm2-135m-instruct]" in nodes
