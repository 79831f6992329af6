"""Claims in other folders, tests without claims, and other plugins beside this one."""

import json
import os
import re
from pathlib import Path

import pytest

from tests import own_claims, warm
from tests.plugin_runs import CLAIMS, LOADED, NOT_OURS, ROOT, Place, Run


@pytest.fixture(scope="session")
def judged(place: Place, first: Run, own: Path) -> Run:
    """A run of the own claims, from the cache of ours."""
    del first
    return place.run_own(own, "--save-baseline", str(place.path / "own.json"), report="html,md")


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
        # two of the claims, and what the report shows of the states
        assert judged.err == "layerclaims: 3 kept measurements of 1 store read, checksums right\n"
        assert json.loads((place.path / "own.json").read_text())["claims"] == judged.results["claims"]

    def test_are_whose_they_are(self, judged: Run) -> None:
        first, second = judged.claims.values()
        assert (first["source"], first["where"], first["section"]) == (
            "our paper",
            "chapter 3",
            "what we need",
        )
        assert second["source"] == "own claim"
        assert second["criterion"]["text"] == "acc > the bar. Here: accuracy above .001."
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
        run = place.run_own(own, "--baseline", str(place.path / "own.json"))
        assert run.status == 0
        assert "2 same." in run.out

    def test_make_the_same_records_in_several_processes(self, place: Place, own: Path, judged: Run) -> None:
        run = place.run_own(own, "-n", "2")
        assert run.claims == judged.claims
        assert run.live == run.verdicts
        assert run.out.count("layerclaims: on ") == 1
        assert run.status == judged.status

    def test_leave_a_record_when_their_process_dies(self, place: Place, own: Path, judged: Run) -> None:
        run = place.run_own(own, "-n", "2", "--verdicts-only", faults="norms_matter=kill")
        assert run.verdicts == {**judged.verdicts, "norms-matter": "ERROR"}
        assert run.claims["norms-matter"]["statement"] == "norms carry information"
        assert run.claims["norms-matter"]["source"] == "our paper"
        assert run.status == 1

    def test_are_judged_on_the_untrained_twin_too(self, place: Place, own: Path) -> None:
        run = place.run_own(own, "--control", "untrained", "--verdicts-only", "--seed", "7")
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
            run = place.run_own(place.path / "two", *more, cache_dir=place.path / "untouched cache")
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
    done = warm.run(
        ["-m", "layerclaims.cli", *map(str, arguments)],
        cwd=cwd,
        env=place.environment(PYTHONPATH=os.pathsep.join((str(path), place.python_path()))),
    )
    return done.returncode, done.stdout, done.stderr


class TestWithoutClaims:
    @pytest.fixture
    def tests(self, tmp_path: Path) -> Path:
        (tmp_path / "test_it.py").write_text("def test_it():\n    pass\n")
        return tmp_path

    def run(self, place: Place, tests: Path, *more: str, **environment: str) -> tuple[int, str]:
        command = ["-m", "pytest", *NOT_OURS, *LOADED, *more]
        done = warm.run(command, cwd=tests, env=place.environment(**environment))
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
