"""The command line as a user meets it: help, exit statuses, one sentence for every mistake."""

import copy
import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from layerclaims import __version__
from layerclaims.cli.main import main, parse
from layerclaims.report import board
from layerclaims.results import file as results
from layerclaims.results.checking import checked

from tests import sample_results, tiny
from tests.computed_results import computed
from tests.test_cache import KEY, make_measurements, make_states

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (
    "run", "work", "sweep", "report", "compare", "verify", "cache", "explain", "schema", "capture", "fetch",
)  # fmt: skip
ACTIONS = ("list", "verify", "prune", "path")
Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Said:
    """Run a command in this process: exit status, stdout, stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as end:
            status = int(end.code or 0)
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


def process(*arguments: object, **how: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "layerclaims.cli", *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, **how,
    )  # fmt: skip


def one_sentence(text: str) -> bool:
    return text.startswith("layerclaims") and text.count("\n") == 1 and "Traceback" not in text


def inert(text: str) -> bool:
    return all(c.isprintable() or c == "\n" for c in text)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A few results files."""
    directory = tmp_path_factory.mktemp("files")
    honest = computed()
    tampered = copy.deepcopy(honest)
    tampered["claims"][0]["estimate"] += 0.01
    large = sample_results.sample(ids=("norm-is-a-feature",), model="gpt2-large")
    large["model"]["n_parameters"] = 774_000_000
    made = {
        "honest": honest, "tampered": tampered,
        "ten": sample_results.ten(), "large": large, "hostile": sample_results.hostile(),
    }  # fmt: skip
    return {
        name: results.write(directory / name / "results.json", results.sealed(checked(run)))
        for name, run in made.items()
    }


class TestHelp:
    @pytest.mark.parametrize("words", [(), *((c,) for c in COMMANDS), *(("cache", a) for a in ACTIONS)])
    def test_of_every_command_has_an_example(self, run: Said, words: tuple[str, ...]) -> None:
        status, out, err = run(*words, "--help")
        assert (status, err) == (0, "")
        assert "example: layerclaims " + " ".join(words) in out

    def test_names_every_command(self, run: Said) -> None:
        out = run("--help")[1]
        assert set(re.findall(r"^    (\w+) ", out, re.MULTILINE)) == set(COMMANDS)

    @pytest.mark.parametrize("words", [(), *((c,) for c in COMMANDS), *(("cache", a) for a in ACTIONS)])
    def test_examples_are_valid_command_lines(self, run: Said, words: tuple[str, ...]) -> None:
        example = " ".join(run(*words, "--help")[1].partition("example: layerclaims ")[2].split())
        assert example
        parse(example.partition(" >")[0].split())  # exits on a line that is not valid

    def test_loads_nothing_heavy(self) -> None:
        code = "import sys; from layerclaims.cli.main import parser; parser(); print(*sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert not {"numpy", "torch", "transformers", "jinja2", "scipy"} & set(done.stdout.split())

    def test_version(self, run: Said) -> None:
        assert run("--version")[:2] == (0, f"layerclaims {__version__}\n")


class TestMistakes:
    @pytest.mark.parametrize(
        "words",
        [
            (), ("nothing",), ("compare",), ("compare", "a", "b", "--fail-on", "all"), ("verify", "a", "b"),
            ("cache",), ("cache", "prune"), ("cache", "prune", "--older-than", "soon"),
            ("cache", "prune", "--older-than", "-1"), ("cache", "prune", "--older-than", "nan"),
            ("cache", "prune", "--older-than", "3", "--all"),
            ("compare", "a", "b", "--all", "--csv"), ("report", "--out"), ("explain", "a", "b"),
            ("explain", "norm-is-a-feture"), ("explain", "\x1b[31m\u202e"), ("capture",), ("verify", "--fil", "a"),
            ("report", "x.json", "--report", "docx"), ("\x1b[31m\u202e\n",), ("verify", "a", "\x1b[31m\u202e\n"),
            ("capture", "embedded", "--batch-size", "0"),
        ],
    )  # fmt: skip
    def test_in_the_command_line_are_one_sentence(self, run: Said, words: tuple[str, ...]) -> None:
        status, out, err = run(*words)
        assert (status, out) == (2, "")
        assert one_sentence(err), err
        assert inert(err)

    @pytest.mark.parametrize(
        "words",
        [
            ("verify", "absent.json"), ("report", "absent.json"), ("compare", "absent.json", "absent.json"),
            ("capture", "./no/such/model"), ("capture", "embedded", "--corpus", "\x1b[31m\u202e"),
            ("capture", "embedded", "--n-texts", "1"), ("capture", "embedded", "--profile", "\x1b[31m"),
            ("verify", "\x1b[31m\u202e\n"),
        ],
    )  # fmt: skip
    def test_in_the_world_are_one_sentence(self, run: Said, words: tuple[str, ...]) -> None:
        status, _, err = run(*words)
        assert status == 1
        assert one_sentence(err), err
        assert inert(err)

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema_version": 99}', b"%PDF-1.7 x", b"\xff"])
    @pytest.mark.parametrize("command", ["verify", "report", "compare"])
    def test_in_a_file_are_one_sentence(
        self, run: Said, tmp_path: Path, content: bytes, command: str
    ) -> None:
        path = tmp_path / "results.json"
        path.write_bytes(content)
        status, _, err = run(command, path, *([path] if command == "compare" else []))
        assert status == 1
        assert one_sentence(err), err

    def test_a_hint_names_the_nearest_claim(self, run: Said) -> None:
        assert "did you mean norm-is-a-feature?" in run("explain", "norm-is-a-feture")[2]


class TestReport:
    def test_renders_again_without_a_model(self, files: dict[str, Path], tmp_path: Path) -> None:
        code = (
            "import sys; from layerclaims.cli.main import main; status = main(sys.argv[1:]); "
            "heavy = {'torch', 'transformers', 'datasets', 'sklearn', 'matplotlib', 'weasyprint'} & set(sys.modules); "
            "assert not heavy, heavy; sys.exit(status)"
        )
        before = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code, "report", files["ten"], "--out", tmp_path, "--report", "html,md"],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        assert time.perf_counter() - before < 10  # 1 s on an idle core
        assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "summary.md"]

    def test_goes_to_the_models_own_directory(
        self, run: Said, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        status, out, _ = run("report", files["ten"], "--report", "md")
        assert status == 0
        assert (tmp_path / "reports" / "smollm2-135m-instruct" / "summary.md").exists()
        assert "written: reports/smollm2-135m-instruct/summary.md" in out

    def test_lists_the_reports_that_lie_together(
        self, run: Said, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        name = Path("reports", "smollm2-135m-instruct", "results.json")
        name.parent.mkdir(parents=True)
        shutil.copy(files["ten"], name)
        status, out, _ = run("report", name, "--report", "html")
        assert status == 0
        assert "written: reports/index.html" in out
        assert "./smollm2-135m-instruct/report.html" in Path("reports", "index.html").read_text("utf-8")
        assert run("report", name, "--report", "html", "--out", "elsewhere")[0] == 0
        assert not Path("index.html").exists()

    def test_of_several_files_gives_a_board_by_size(
        self, run: Said, files: dict[str, Path], tmp_path: Path
    ) -> None:
        status, out, _ = run("report", files["large"], files["ten"], "--out", tmp_path, "--report", "html,md")
        assert status == 0
        head = out.splitlines()[0]
        assert head.index("SmolLM2-135M-Instruct (135M)") < head.index("gpt2-large (774M)")
        assert {path.name for path in tmp_path.iterdir()} == {
            "board.html", "board.md", "gpt2-large", "smollm2-135m-instruct",
        }  # fmt: skip
        assert (tmp_path / "gpt2-large" / "report.html").exists()
        assert out.startswith((tmp_path / "board.md").read_text())

    def test_of_one_model_twice_overwrites_nothing(
        self, run: Said, files: dict[str, Path], tmp_path: Path
    ) -> None:
        run("report", files["ten"], files["ten"], "--out", tmp_path, "--report", "md")
        assert (tmp_path / "smollm2-135m-instruct" / "summary.md").exists()
        assert (tmp_path / "smollm2-135m-instruct-2" / "summary.md").exists()

    def test_of_hostile_names_stays_in_its_directory(
        self, run: Said, files: dict[str, Path], tmp_path: Path
    ) -> None:
        status, out, _ = run(
            "report", files["hostile"], files["ten"], "--out", tmp_path / "out", "--report", "html"
        )
        assert status == 0
        assert inert(out)
        assert [path.name for path in tmp_path.iterdir()] == ["out"]

    def test_that_cannot_be_written_is_one_sentence(self, run: Said, files: dict[str, Path]) -> None:
        status, _, err = run("report", files["ten"], "--out", "/dev/null/x", "--report", "md")
        assert status == 1
        assert one_sentence(err)


class TestBoard:
    def test_tells_how_estimates_go_with_size(self) -> None:
        runs = []
        for size, estimate in ((30, 0.2), (10, 0.9), (20, 0.5), (40, 0.21)):
            made = sample_results.sample(ids=("norm-is-a-feature",), model=f"m{size}")
            made["model"]["n_parameters"] = size
            made["claims"][0].update(estimate=estimate, interval=[estimate - 0.02, estimate + 0.02])
            runs.append(checked(made))
        made_board = board.make(runs)
        assert [model.name for model in made_board.models] == ["m10", "m20", "m30", "m40"]
        assert made_board.lines[0].trend == "↓↓≈"

    def test_has_holes_where_a_run_lacks_a_claim(self) -> None:
        made = board.make(
            [
                checked(content)
                for content in (
                    sample_results.ten(),
                    sample_results.single_claim(),
                    sample_results.all_not_tested(),
                )
            ]
        )
        line = next(line for line in made.lines if line.id == "random-vectors-fail")
        assert sum(cell is None for cell in line.cells) == 1
        assert "not in this run" in board.html(made)
        assert "○ NOT_TESTED" in board.markdown(made)

    def test_of_hostile_runs_is_inert(self) -> None:
        made = board.make(
            [
                checked(content)
                for content in (
                    sample_results.hostile(),
                    sample_results.hostile("x" * 10_000),
                    sample_results.ten(),
                )
            ]
        )
        page, text = board.html(made), board.markdown(made)
        assert inert(text)
        assert inert(page)
        assert "<img" not in page
        assert "<script" not in page
        assert "{{" not in text.replace("{{7*7}}", "")
        assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1
        assert max(map(len, text.splitlines())) < 2000

    def test_asks_for_nothing_from_elsewhere(self) -> None:
        page = board.html(board.make([checked(sample_results.ten()), checked(sample_results.everything())]))
        assert not re.search(r"(?:src|href|url)\s*[=(]", page)
        assert "default-src 'none'" in page


class TestCompare:
    def test_prints_a_table(self, run: Said, files: dict[str, Path]) -> None:
        status, out, _ = run("compare", files["ten"], files["ten"], "--fail-on", "change")
        assert status == 0
        assert out.startswith("10 same.\n\nbaseline: SmolLM2-135M-Instruct")
        assert "norm-is-a-feature" not in out
        assert run("compare", files["ten"], files["ten"], "--all")[1].count("\nsame ") == 10

    def test_prints_a_line_for_each_claim_as_csv(self, run: Said, files: dict[str, Path]) -> None:
        status, out, err = run("compare", files["ten"], files["ten"], "--csv")
        assert (status, err) == (0, "")
        rows = list(csv.DictReader(io.StringIO(out)))
        assert len(rows) == 10
        assert {row["status"] for row in rows} == {"same"}

    def test_fails_on_a_regression_when_asked(self, run: Said, tmp_path: Path) -> None:
        better = sample_results.single_claim()
        worse = copy.deepcopy(better)
        better["claims"][0]["verdict"] = "REPLICATED"
        better["claims"][0]["parts"][0].update(estimate=0.2, interval=[0.19, 0.21], holds=True)
        paths = [
            results.write(tmp_path / f"{n}.json", results.sealed(checked(r)))
            for n, r in enumerate((better, worse))
        ]
        assert run("compare", *paths)[0] == 0
        assert run("compare", *paths, "--fail-on", "regression")[0] == 1
        assert run("compare", *reversed(paths), "--fail-on", "regression")[0] == 0

    def test_of_hostile_files_is_inert(self, run: Said, files: dict[str, Path]) -> None:
        assert inert(run("compare", files["hostile"], files["ten"])[1])


class TestVerify:
    def test_passes_an_honest_file(self, run: Said, files: dict[str, Path]) -> None:
        status, out, _ = run("verify", files["honest"])
        assert status == 0
        assert "VERIFIED" in out

    def test_fails_a_tampered_one(self, run: Said, files: dict[str, Path]) -> None:
        status, out, _ = run("verify", files["tampered"])
        assert status == 1
        assert out.startswith("mismatch: layers-linearly-separable (rigorous): the estimate is")
        assert out.endswith("NOT VERIFIED: 1 mismatch.\n")

    def test_of_hostile_files_is_inert(self, run: Said, files: dict[str, Path]) -> None:
        assert inert(run("verify", files["hostile"])[1])


class TestCache:
    @pytest.fixture
    def cache_dir(self, tmp_path: Path) -> Path:
        make_states(tmp_path, model="\x1b[31m\u202etiny")
        make_measurements(tmp_path)
        return tmp_path

    def test_path_is_the_default_one(self, run: Said, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LAYERCLAIMS_CACHE", "/other/disk")
        monkeypatch.setenv("XDG_CACHE_HOME", "/big/disk")
        assert run("cache", "path", "--cache-dir", "elsewhere")[1] == "elsewhere\n"
        assert run("cache", "path") == (0, "/other/disk\n", "")
        monkeypatch.delenv("LAYERCLAIMS_CACHE")
        assert run("cache", "path") == (0, "/big/disk/layerclaims\n", "")

    def test_list_shows_sizes_and_names(self, run: Said, cache_dir: Path) -> None:
        status, out, _ = run("cache", "list", "--cache-dir", cache_dir)
        assert status == 0
        assert inert(out)
        assert f"states/{KEY}  \\x1b[31m\\u202etiny on movies" in out
        assert "in 2 entries" in out.splitlines()[-1]

    def test_list_of_nothing(self, run: Said, tmp_path: Path) -> None:
        assert run("cache", "list", "--cache-dir", tmp_path / "absent")[1].startswith("0 B in 0 entries")

    def test_verify_finds_damage(self, run: Said, cache_dir: Path) -> None:
        assert run("cache", "verify", "--cache-dir", cache_dir)[0] == 0
        (cache_dir / "states" / KEY / "shard-00000.safetensors").write_bytes(b"")
        status, out, _ = run("cache", "verify", "--cache-dir", cache_dir)
        assert status == 1
        assert "DAMAGED: shard-00000.safetensors, since it is missing or cut off\n" in out

    def test_prune_says_what_it_freed(self, run: Said, cache_dir: Path) -> None:
        assert run("cache", "prune", "--older-than", "1", "--cache-dir", cache_dir)[1] == "0 B freed\n"
        status, out, _ = run("cache", "prune", "--all", "--cache-dir", cache_dir)
        assert status == 0
        assert out.count("removed") == 2
        assert re.search(r"^[\d.]+ kB freed$", out.splitlines()[-1])
        assert not (cache_dir / "states" / KEY).exists()


class TestExplainAndSchema:
    def test_explain_lists_every_claim(self, run: Said) -> None:
        status, out, _ = run("explain")
        assert status == 0
        tests = [name for path in (ROOT / "claims").glob("test_*.py")
                 for name in re.findall(r"^def test_(\w+)\(", path.read_text(), re.MULTILINE)]  # fmt: skip
        assert {line.split()[0] for line in out.splitlines()} == {name.replace("_", "-") for name in tests}

    def test_explain_tells_sentence_estimand_rule_and_place(self, run: Said) -> None:
        out = run("explain", "norm-is-a-feature")[1]
        assert "unit-normalising the vectors lowers accuracy" in out
        assert re.search(
            r"^pass mark +Unit-normalising costs more than \.01 of accuracy\.$", out, re.MULTILINE
        )
        assert re.search(r"test_norm\.py:\d+$", out)
        assert "\nwhy            One point" in out

    def test_schema_is_the_one_that_files_are_held_against(self, run: Said) -> None:
        assert json.loads(run("schema")[1]) == results.schema()


class TestCapture:
    def test_captures_once_and_finds_it_again(self, run: Said, tmp_path: Path) -> None:
        model = tiny.build("gpt2", tmp_path / "model")
        corpus = tiny.write_jsonl(tmp_path / "corpus.jsonl", tiny.texts(20))
        words = ("capture", model, "--corpus", corpus, "--n-texts", 12, "--context", 6, "--offline",
                 "--cache-dir", tmp_path / "cache")  # fmt: skip
        status, out, err = run(*words)
        assert status == 0, err
        assert "12 texts x 6 tokens" in out
        (directory,) = (tmp_path / "cache" / "states").iterdir()
        before = (directory / "manifest.json").stat().st_mtime_ns
        assert run(*words)[0] == 0
        assert (directory / "manifest.json").stat().st_mtime_ns == before


class TestEnds:
    def test_a_closed_pipe_is_quiet(self) -> None:
        done = subprocess.run(
            ["bash", "-c", f"{sys.executable} -m layerclaims.cli.main schema | head -c 10; echo ${{PIPESTATUS[0]}}"],
            cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        assert done.stderr == ""
        assert done.stdout.endswith(("0\n", "141\n"))  # 0: all was written before the reader had gone

    def test_a_closed_pipe_is_quiet_however_late(self) -> None:
        code = "import sys, time; from layerclaims.cli.main import main; time.sleep(1); sys.exit(main(['schema']))"
        reader, writer = os.pipe()
        child = subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, stdout=writer, stderr=subprocess.PIPE
        )
        os.close(writer)
        os.close(reader)
        _, err = child.communicate(timeout=60)
        assert (child.returncode, err) == (141, b"")

    @pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=lambda sent: sent.name)
    def test_an_interrupt_is_one_sentence(self, sent: signal.Signals) -> None:
        code = (
            "import signal, sys\nfrom layerclaims.results import file\nfrom layerclaims.cli.main import main\n"
            f"file.read_whole = lambda path: signal.raise_signal({int(sent)})\n"  # while a file is read
            # what a shell starts in the background ignores it
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "sys.exit(main(['verify', 'results.json']))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=600, check=False
        )
        assert (done.returncode, done.stdout) == (130, b"")
        assert done.stderr.strip() == b"layerclaims: Stopped; what was finished is kept."

    def test_a_terminal_without_unicode_is_served(self, files: dict[str, Path]) -> None:
        done = process(
            "compare", files["ten"], files["large"], env={**os.environ, "PYTHONIOENCODING": "ascii"}
        )
        assert done.returncode == 0
        assert done.stderr == ""
