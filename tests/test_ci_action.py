"""action.yml and the Dockerfile, as far as they go without GitHub and without a container.

Each script of the action is run under bash. What it would fetch or call outside is a stand-in that writes down how it
was called; layerclaims itself is real where the claims are judged.
"""

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import tiny
from tests.plugin_runs import LOADED
from tests.test_documented_commands import read

ROOT = Path(__file__).resolve().parent.parent
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
SCRIPTS = {step["name"]: step for step in STEPS if "run" in step}
PAGE = (ROOT / "docs" / "ci.md").read_text("utf-8")
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
RECORDS = """#!{python}
import json, os, sys
with open(os.environ["CALLS"], "a") as file:
    file.write(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]) + "\\n")
{then}
"""


def stand_in(folder: Path, name: str, then: str = "") -> None:
    """A program that writes down how it was called."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(RECORDS.format(python=sys.executable, then=then), "utf-8")
    (folder / name).chmod(0o755)


def run(name: str, place: Path, *, tools: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The script of a step, in a repository."""
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PYTEST", "LAYERCLAIMS", "GITHUB_", "RUNNER_"))
    }
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", SCRIPTS[name]["run"]],  # as GitHub does
        cwd=place,
        env=inherited
        | {
            "PATH": f"{tools}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "GITHUB_OUTPUT": str(place / "output"),
            "GITHUB_ACTION_PATH": str(ROOT),
            "RUNNER_TEMP": str(place),
            "CALLS": str(place / "calls"),
            "OMP_NUM_THREADS": "1",
        }
        | environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def calls(place: Path) -> list[list[str]]:
    """How the stand-ins were called."""
    path = place / "calls"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def inputs(**given: str) -> dict[str, str]:
    """The environment of the step that judges: the defaults of the action, and what is given."""
    values = {name: one.get("default", "") for name, one in ACTION["inputs"].items()} | given
    return {
        variable: values[expression.removeprefix("inputs.")]
        for variable, text in SCRIPTS["Judge"]["env"].items()
        if (expression := EXPRESSION.findall(text)[0])
    }


class TestTheAction:
    def test_pins_every_action_that_it_uses(self) -> None:
        used = [step["uses"] for step in STEPS if "uses" in step]
        used += re.findall(r"uses: (\S+)", PAGE)
        assert len(used) > 3
        for one in used:
            assert one == "./layerclaims" or re.fullmatch(
                r"[\w-]+/[\w-]+@(v\d+(\.\d+)*|[0-9a-f]{40})", one
            ), one

    def test_has_no_expression_in_any_script(self) -> None:
        for name, step in SCRIPTS.items():
            assert not EXPRESSION.search(step["run"]), name
            assert step["shell"] == "bash"

    def test_gives_every_input_to_the_step_that_judges(self) -> None:
        given = {found for text in SCRIPTS["Judge"]["env"].values() for found in EXPRESSION.findall(text)}
        assert given == {f"inputs.{name}" for name in ACTION["inputs"]}
        assert set(re.findall(r"^\| (`.*?`) \|", PAGE, re.MULTILINE)) <= {
            f"`{name}`" for name in ("corpus`, `transfer-corpus", *ACTION["inputs"])
        }
        table = PAGE.partition("| input | meaning |")[2].partition("\n\n")[0]
        assert {f"`{name}`" for name in ACTION["inputs"]} <= set(re.findall(r"`[\w-]+`", table))

    @pytest.mark.parametrize("name", SCRIPTS)
    def test_scripts_have_no_fault_that_shellcheck_knows(self, name: str, tmp_path: Path) -> None:
        program = shutil.which("shellcheck")
        if program is None:
            assert os.environ.get("CI") != "true", "shellcheck is missing"
            pytest.skip("shellcheck is missing: apt-get install shellcheck")
        script = tmp_path / "step.sh"
        script.write_text(f"#!/bin/bash\n{SCRIPTS[name]['run']}", "utf-8")
        done = subprocess.run([program, script], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout

    def test_installs_itself_and_the_embedded_packages(self, tmp_path: Path) -> None:
        tools = tmp_path / "tools"
        stand_in(tools, "pip")
        stand_in(tools, "sudo", "sys.exit(1)")
        libraries = run("Libraries for the PDF", tmp_path, tools=tools)
        assert libraries.returncode == 0
        assert "::warning::" in libraries.stdout
        assert run("Install", tmp_path, tools=tools).returncode == 0
        (_, *packages), first, second = calls(tmp_path)
        assert packages[:3] == ["apt-get", "install", "-y"]
        for call in (first, second):
            for word in call[1:]:
                assert "/" not in word or Path(word).exists(), word
        assert first[-1] == str(ROOT)
        assert "--require-hashes" in second

    def test_passes_every_input_as_one_word_and_runs_none_of_them(self, tmp_path: Path) -> None:
        tools = tmp_path / "tools"
        stand_in(tools, "layerclaims")
        evil = "$(touch pwned) `touch pwned`; touch pwned \"' && touch pwned"
        given = {name: f"{name} {evil}" for name in ACTION["inputs"] if name != "args"}
        done = run(
            "Judge", tmp_path, tools=tools, **inputs(**given, args='-k "a or b" --folds 3 $(touch pwned)')
        )
        assert done.returncode == 0, done.stderr
        (call,) = calls(tmp_path)
        for name, value in given.items():
            assert f"--{name}={value}" in call
        assert call[call.index("-k") :][:4] == ["-k", "a or b", "--folds", "3"]
        assert "$(touch" in call
        assert not (tmp_path / "pwned").exists()
        assert (tmp_path / "output").read_text() == "report=layerclaims-report\n"

    def test_leaves_out_what_is_not_given(self, tmp_path: Path) -> None:
        tools = tmp_path / "tools"
        stand_in(tools, "layerclaims")
        assert run("Judge", tmp_path, tools=tools, **inputs(model="embedded")).returncode == 0
        ((_, command, *options),) = calls(tmp_path)
        assert command == "run"
        assert options == [
            "--model=embedded", "--profile=quick", "--protocol=rigorous", "--verdicts-only",
            "--junit-xml=layerclaims-report/claims.xml", "--out=layerclaims-report",
        ]  # fmt: skip

    def test_words_that_no_shell_would_make_are_a_mistake(self, tmp_path: Path) -> None:
        tools = tmp_path / "tools"
        stand_in(tools, "layerclaims")
        done = run("Judge", tmp_path, tools=tools, **inputs(model="embedded", args='-k "norm'))
        assert done.returncode != 0
        assert calls(tmp_path) == []

    def test_judges_and_verifies(self, tmp_path: Path) -> None:
        tiny.build("gpt2", tmp_path / "model")
        for seed, name in enumerate(("main", "other")):
            tiny.write_jsonl(tmp_path / f"{name}.jsonl", tiny.texts(60, seed=seed, words=(30, 40)))
        loaded = ["-m", "layerclaims.cli"]
        tools = tmp_path / "tools"
        stand_in(
            tools,
            "layerclaims",
            f"os.execv({sys.executable!r}, [{sys.executable!r}, *{loaded}, *sys.argv[1:]])",
        )
        given = inputs(
            model="./model", corpus="main.jsonl",
            args=" ".join(["--n-texts 40 --context 8 --transfer-corpus none -k random_vectors_fail", *LOADED]),
        )  # fmt: skip
        where = {
            "LAYERCLAIMS_CACHE": str(tmp_path / "cache"),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "page.md"),
        }
        done = run("Judge", tmp_path, tools=tools, **given, **where)
        assert done.returncode == 0, done.stdout + done.stderr
        found = {path.name for path in (tmp_path / "layerclaims-report").iterdir()}
        assert {"results.json", "report.html", "summary.md", "claims.xml"} <= found
        assert "Layer claims on model" in (tmp_path / "page.md").read_text("utf-8")
        verified = run("Verify the report from itself", tmp_path, tools=tools)
        assert verified.returncode == 0, verified.stdout + verified.stderr
        assert "VERIFIED" in verified.stdout

    @pytest.mark.parametrize("earlier", ["", "4711"])
    def test_comments_once_and_then_replaces_the_comment(self, tmp_path: Path, earlier: str) -> None:
        tools = tmp_path / "tools"
        stand_in(tools, "gh", f"print({earlier!r}, end='') if '--paginate' in sys.argv else None")
        (tmp_path / "layerclaims-report").mkdir()
        (tmp_path / "layerclaims-report" / "summary.md").write_text("# A summary\n" + "x" * 100_000)
        done = run("Comment the summary", tmp_path, tools=tools, GH_TOKEN="t", NUMBER="7", REPOSITORY="a/b")
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        written = calls(tmp_path)[-1]
        place = "repos/a/b/issues/comments/4711" if earlier else "repos/a/b/issues/7/comments"
        assert written[1:5] == ["api", "--method", "PATCH" if earlier else "POST", place]
        body = Path(written[-1].removeprefix("body=@")).read_text()
        assert body.startswith("<!-- layerclaims -->\n# A summary\n")
        assert len(body.encode()) < 65_536

    def test_a_comment_that_cannot_be_made_fails_no_job(self, tmp_path: Path) -> None:
        tools = tmp_path / "tools"
        stand_in(tools, "gh", "sys.exit(1)")
        (tmp_path / "layerclaims-report").mkdir()
        (tmp_path / "layerclaims-report" / "summary.md").write_text("# A summary\n")
        done = run("Comment the summary", tmp_path, tools=tools, GH_TOKEN="t", NUMBER="7", REPOSITORY="a/b")
        assert done.returncode == 0
        assert "::warning::The summary could not be commented." in done.stdout

    def test_nothing_to_comment_or_verify_is_no_failure(self, tmp_path: Path) -> None:
        tools = tmp_path / "tools"
        stand_in(tools, "gh")
        stand_in(tools, "layerclaims")
        for name in ("Comment the summary", "Verify the report from itself"):
            done = run(name, tmp_path, tools=tools, GH_TOKEN="t", NUMBER="7", REPOSITORY="a/b")
            assert done.returncode == 0, done.stderr
        assert calls(tmp_path) == []

    def test_goes_on_to_keep_the_report_when_a_claim_fails(self) -> None:
        after = STEPS[[step.get("name") for step in STEPS].index("Judge") + 1 :]
        assert all("!cancelled()" in step["if"] for step in after)
        assert after[-1]["with"]["path"] == "layerclaims-report/"

    def test_in_the_documentation_is_given_inputs_that_it_has(self) -> None:
        workflow = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0])
        (step,) = [one for one in workflow["jobs"]["claims"]["steps"] if one["uses"] == "./layerclaims"]
        assert set(step["with"]) <= set(ACTION["inputs"])
        assert {name for name, one in ACTION["inputs"].items() if one.get("required")} <= set(step["with"])


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, each on one line, without comments."""
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    found = [line.split(None, 1) for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(name, " ".join(rest.split())) for name, rest in found]


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a file from the builder: the last pattern that fits it or a folder of it decides."""
    parts = path.split("/")
    above = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    out = False
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = line.lstrip("!")
        if pattern and not line.startswith("#"):
            plain = pattern.removeprefix("**/")
            if any(fnmatch.fnmatchcase(one, pattern) or fnmatch.fnmatchcase(one.rpartition("/")[2], plain)
                   if pattern != plain else fnmatch.fnmatchcase(one, pattern) for one in above):  # fmt: skip
                out = not line.startswith("!")
    return out


class TestTheImage:
    def test_begins_with_a_version_and_ends_with_a_user_who_is_not_root(self) -> None:
        found = instructions()
        assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", found[0][1])
        (user,) = [rest for name, rest in found if name == "USER"]
        assert int(user) > 0
        names = [name for name, _ in found]
        assert "COPY" not in names[names.index("USER") :]
        assert names[-2:] == ["ENTRYPOINT", "CMD"]

    def test_copies_what_is_there_and_all_that_is_installed(self) -> None:
        sources = [word for name, rest in instructions() if name == "COPY" for word in rest.split()[:-1]]
        for source in sources:
            assert (ROOT / source).exists(), source
            assert not ignored(source), source
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
        needed = {*project["tool"]["setuptools"]["package-dir"].values(), project["project"]["readme"]}
        assert needed <= set(sources)
        for other in (".git/config", ".venv/bin/python", "reports/gpt2/results.json", "tests/tiny.py"):
            assert ignored(other), other
        assert ignored("harness/plugin/__pycache__/hooks.pyc")
        assert not ignored("harness/plugin/hooks.py")

    def test_installs_as_the_action_does(self) -> None:
        said = " ".join(rest for name, rest in instructions() if name == "RUN")
        of_action = (
            SCRIPTS["Install"]["run"]
            .replace('"$GITHUB_ACTION_PATH/', '"')
            .replace('"$GITHUB_ACTION_PATH"', ".")
        )
        for command in re.findall(r"^pip install .+$", of_action.replace('"', ""), re.MULTILINE):
            assert command in said.replace("--no-cache-dir ", ""), command
        libraries = re.findall(r"lib[\w.-]+", SCRIPTS["Libraries for the PDF"]["run"])
        assert set(libraries) <= set(said.split())

    def test_starts_the_program_that_is_installed(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        (start,) = [json.loads(rest) for name, rest in instructions() if name == "ENTRYPOINT"]
        assert start[0] in project["scripts"]

    def test_in_the_documentation_is_given_options_that_there_are(self) -> None:
        (block,) = [
            one for one in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) if one.startswith("docker")
        ]
        build, start = map(shlex.split, block.splitlines())
        assert build == ["docker", "build", "-t", "layerclaims", "."]
        words = start[start.index("layerclaims") + 1 :]
        assert words[0] == "run"
        read(["--pyargs", "layerclaims.claims", *words[1:]])
        (place,) = [rest for name, rest in instructions() if name == "WORKDIR"][-1:]
        assert f"$PWD:{place}" in start

    def test_names_no_host(self) -> None:
        for name in ("Dockerfile", "action.yml"):
            assert "://" not in (ROOT / name).read_text("utf-8"), name

    def test_has_no_fault_that_hadolint_knows(self) -> None:
        places = [str(Path(sys.executable).parent), os.environ["PATH"]]  # the lock brings it
        program = shutil.which("hadolint", path=os.pathsep.join(places))
        assert program is not None
        done = subprocess.run([program, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout

    def test_is_built_and_judges_as_anybody(self) -> None:
        program = shutil.which("docker") or shutil.which("podman")
        if program is None or subprocess.run([program, "info"], capture_output=True, check=False).returncode:
            pytest.skip("no container runtime answers here")
        if not os.environ.get("BUILD_IMAGE"):
            pytest.skip("building takes minutes and a package index: set BUILD_IMAGE=1")
        subprocess.run([program, "build", "-t", "layerclaims-test", ROOT], check=True)
        anybody = [program, "run", "--rm", "--user", "12345"]
        who = subprocess.run(
            [*anybody, "--entrypoint", "id", "layerclaims-test", "-u"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert who.stdout.strip() == "12345"
        subprocess.run(
            [*anybody, "layerclaims-test", "run", "-k", "norms_grow", "--n-texts", "40", "--verdicts-only"],
            check=True,
        )


class TestWhatGitHubShows:
    def test_forms_ask_for_what_is_needed(self) -> None:
        forms = {path.stem: yaml.safe_load(path.read_text("utf-8"))
                 for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config"}  # fmt: skip
        assert {form["name"] for form in forms.values()} == {"A claim you miss", "A verdict you doubt"}
        for form in forms.values():
            assert form["description"]
            ids = [one["id"] for one in form["body"]]
            assert len(ids) == len(set(ids)) > 2
            for one in form["body"]:
                assert one["type"] in ("textarea", "input", "dropdown", "checkboxes", "markdown")
                assert one["attributes"]["label"]
            assert any(one.get("validations", {}).get("required") for one in form["body"])

    def test_the_forms_verdicts_are_those_that_there_are(self) -> None:
        from layerclaims.verdicts.verdict import Verdict

        form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / "verdict.yml").read_text("utf-8"))
        (field,) = [one for one in form["body"] if one["id"] == "verdict"]
        assert field["attributes"]["options"] == list(Verdict)

    def test_the_citation_is_of_this_version_and_of_the_post(self) -> None:
        from layerclaims import __version__

        cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
        assert cited["cff-version"] == "1.2.0"
        assert {"message", "title", "authors", "version"} <= set(cited)
        assert cited["version"] == __version__
        (post,) = cited["references"]
        readme = (ROOT / "README.md").read_text("utf-8")
        assert f"title  = {{{post['title']}}}" in readme
        assert f"]({post['url']})" in readme
        for author in post["authors"]:
            assert f"{author['family-names']}, {author['given-names']}" in readme
