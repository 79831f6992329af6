"""docs/ci.md is true: its workflow parses, and its commands run as they stand in a model's own repository."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests import tiny

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "ci.md").read_text("utf-8")


def block(language: str) -> str:
    """The fenced block in a language that the recipe has: of YAML the one after the action's."""
    found = re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)
    return found[-1] if language == "yaml" else found[0]


@pytest.fixture(scope="module")
def job():
    return yaml.safe_load(block("yaml"))["jobs"]["claims"]


@pytest.fixture(scope="module")
def repository(tmp_path_factory, job):
    """A repository that has what the workflow's `env` names, and nothing of layerclaims."""
    place = tmp_path_factory.mktemp("repository")
    tiny.build("gpt2", place / job["env"]["MODEL"])
    for seed, key in enumerate(("CORPUS", "TRANSFER_CORPUS")):
        path = place / job["env"][key]
        path.parent.mkdir(exist_ok=True)
        tiny.write_jsonl(path, tiny.texts(60, seed=seed, words=(30, 40)))
    (place / "pytest.ini").write_text(
        "[pytest]\nn_texts = 40\ncontext = 8\n"
    )  # the recipe's profile, made small
    return place


def run(command: str, place: Path, job, **extra: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("PYTEST")},
        **job["env"],
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(place / ".cache"),
        "OMP_NUM_THREADS": "1",
        **extra,
    }
    return subprocess.run(
        ["bash", "-c", command],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def test_the_commands_run_in_the_order_of_the_recipe(repository, job):
    steps = {step["name"]: step for step in job["steps"] if "name" in step}
    made = run(block("sh").strip(), repository, job)
    assert made.returncode == 0, made.stdout + made.stderr
    assert (repository / "claims-baseline.json").is_file()

    summary = repository / "summary.md"
    judged = run(steps["Judge"]["run"], repository, job, GITHUB_STEP_SUMMARY=str(summary))
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert summary.stat().st_size > 500

    verified = run(steps["Verify the report from itself"]["run"], repository, job)
    assert verified.returncode == 0, verified.stdout + verified.stderr

    for path in steps["Keep the report"]["with"]["path"].split():
        assert (repository / path).is_file(), path

    compared = run(re.search(r"`(layerclaims compare [^`]*)`", TEXT)[1], repository, job)
    assert compared.returncode == 0, compared.stdout + compared.stderr


def test_the_cache_step_keeps_the_directory_that_is_used(job):
    from layerclaims.runtime.paths import default_cache_dir

    (step,) = [step for step in job["steps"] if "cache" in step.get("uses", "")]
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CACHE_HOME", "LAYERCLAIMS_CACHE"):
            patch.delenv(name, raising=False)
        assert default_cache_dir() == Path(step["with"]["path"]).expanduser()
