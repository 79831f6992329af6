"""What a run writes: what cannot be drawn, one format that fails, fuller files, baselines, and what was selected."""

import json
from pathlib import Path

import pytest
from layerclaims.results.checking import checked
from layerclaims.results.file import read_results, sealed, write
from layerclaims.verdicts import registry

from tests import tiny
from tests.plugin_runs import LOADED, Place, Run

NORM = "norm_is_a_feature or norm_is_not_the_only_feature or random_vectors_fail"
ALL = len(registry.post_claims())
# what breaks while files are made, and tests that run twice
BREAKS = """
import os
import pytest

def breaking(name, error):
    def broken(*args, **named):
        raise error
    import importlib
    module, _, function = name.rpartition(".")
    setattr(importlib.import_module(module), function, broken)

def pytest_configure(config):
    if name := os.environ.get("BREAK"):
        breaking(name, ZeroDivisionError("planted"))

class DeviceMemory(RuntimeError):
    pass

DeviceMemory.__name__ = "OutOfMemoryError"

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    for what in os.environ.get("MEMORY", "").split():
        if what.partition("=")[0] in item.nodeid:
            raise {"host": MemoryError(), "device": DeviceMemory("CUDA out of memory")}[what.partition("=")[2]]

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    if os.environ.get("TWICE", "no test") in item.nodeid:
        from _pytest.runner import runtestprotocol
        os.environ["FAULTS"] = os.environ["FIRST_TIME"]
        runtestprotocol(item, nextitem=nextitem)
        os.environ["FAULTS"] = os.environ["SECOND_TIME"]
        item._initrequest()
        runtestprotocol(item, nextitem=nextitem)
        return True
"""


@pytest.fixture(autouse=True)
def breaks(place: Place) -> None:
    (place.path / "breaks.py").write_text(BREAKS)


@pytest.fixture(scope="session")
def flat(place: Place) -> Path:
    """A model whose blocks add nothing: its states are equal in all layers."""
    model = tiny.model("gpt2", n_layer=2, n_embd=24)
    for block in model.transformer.h:
        for last in (block.attn.c_proj, block.mlp.c_proj):
            last.weight.data.zero_()
            last.bias.data.zero_()
    return tiny.save(model, place.path / "flat")


@pytest.fixture(scope="session")
def flat_run(place: Place, flat: Path) -> Run:
    return place.run("--verdicts-only", model=flat, report="html,md,pdf")


class TestAModelOfEqualStates:
    def test_has_all_its_verdicts_and_files(self, flat_run: Run) -> None:
        assert flat_run.status == 0, flat_run.out + flat_run.err
        assert len(flat_run.verdicts) == ALL
        assert "ERROR" not in flat_run.verdicts.values()
        names = {"results.json", "report.html", "summary.md", "report.pdf"}
        assert {path.name for path in flat_run.directory.iterdir()} == names

    def test_says_in_the_file_what_could_not_be_drawn(self, flat_run: Run) -> None:
        claim = flat_run.claims["no-dimension-dominates"]
        assert claim["missing"] == {"largest-shares": "its values are not finite"}
        assert "largest-shares" not in flat_run.results["figures"]
        assert "missing" not in flat_run.claims["norm-is-a-feature"]
        assert read_results(flat_run.directory / "report.pdf").claims[0].id in flat_run.verdicts

    def test_says_it_where_the_figure_would_stand(self, flat_run: Run) -> None:
        said = "Left out: largest-shares, since its values are not finite."
        page = (flat_run.directory / "report.html").read_text()
        body = page.partition('id="no-dimension-dominates"')[2].partition("</details>")[0]
        assert said in body
        assert said in (flat_run.directory / "summary.md").read_text()

    def test_has_pictures_of_its_three_states_and_says_which_it_has_not(self, flat_run: Run) -> None:
        (pictures,) = flat_run.results["pictures"]
        assert [one["states"] for one in pictures["pictures"]] == [[1, 2], [1, 2], [0, 1, 2]]
        assert [title.partition(",")[0] for title in pictures["missing"]] == ["t-SNE", "UMAP"]
        page = (flat_run.directory / "report.html").read_text()
        assert page.count('<figure class="states">') == 1
        assert "Not drawn: t-SNE, unit vectors with state 0. " in page


@pytest.mark.usefixtures("first")
class TestWhatBreaks:
    def test_a_picture_that_breaks_costs_no_verdict_and_no_file(self, place: Place) -> None:
        environment = {"BREAK": "layerclaims.recording.pictures.on_grid"}
        run = place.run("-p", "breaks", "-k", NORM, "--verdicts-only", report="html", environment=environment)
        assert run.status == 0, run.out + run.err
        (pictures,) = run.results["pictures"]
        assert pictures["pictures"] == []
        assert pictures["missing"]["PCA, unit vectors"] == "ZeroDivisionError: planted"
        assert (run.directory / "report.html").exists()

    @pytest.mark.parametrize(
        ("broken", "name"), [("html", "report.html"), ("markdown", "summary.md"), ("pdf", "report.pdf")]
    )
    def test_costs_no_other_format(self, place: Place, broken: str, name: str) -> None:
        environment = {"BREAK": f"layerclaims.report.render.{broken}"}
        run = place.run(
            "-p", "breaks", "-k", NORM, "--verdicts-only", report="html,md,pdf", environment=environment
        )
        assert run.status == 1
        assert f"{name} was not written: ZeroDivisionError: planted." in run.out
        written = {path.name for path in run.directory.iterdir()}
        assert written == {"results.json", "report.html", "summary.md", "report.pdf"} - {name}
        assert "Traceback" not in run.out + run.err

    def test_in_a_control_costs_no_verdict(self, place: Place, own: Path) -> None:
        folder = own.parent / "with controls"
        folder.mkdir()
        (folder / "test_it.py").write_text(
            "from layerclaims import NORM, RAW, accuracy, claim\n\n\n"
            "@claim(section='s', says='layers differ', estimand='accuracy')\n"
            "def test_with_control(judge):\n    '''acc > .001.'''\n"
            "    control = accuracy(NORM, name='norm alone')\n"
            "    judge(accuracy(RAW, name='accuracy').above(0.001), controls=[control])\n"
        )
        environment = {"BREAK": "layerclaims.recording.record._control"}
        run = place.run(*LOADED, "-p", "breaks", target=(str(folder),), cwd=folder, environment=environment)
        assert run.verdicts == {"with-control": "REPLICATED"}
        assert list(run.claims["with-control"]["missing"]) == ["norm alone"]

    def test_for_want_of_memory_says_what_to_do(self, place: Place) -> None:
        memory = "norm_is_a_feature=host norm_is_not_the_only=device"
        run = place.run("-p", "breaks", "-k", NORM, "--verdicts-only", environment={"MEMORY": memory})
        for name, where in (
            ("norm-is-a-feature", "Memory"),
            ("norm-is-not-the-only-feature", "The device's memory"),
        ):
            record = run.claims[name]
            assert record["verdict"] == "ERROR"
            assert record["reason"].startswith(f"{where} ran out; lower --memory")
            assert all(option in record["reason"] for option in ("--batch-size", "--dtype", "--device"))
        assert run.verdicts["random-vectors-fail"] != "ERROR"
        assert run.status == 1


@pytest.mark.usefixtures("first")
class TestATestThatRunsAgain:
    @pytest.mark.parametrize("faults", [("norm_is_a_feature=raise", ""), ("", "norm_is_a_feature=raise")])
    def test_counts_as_it_ended_last(self, place: Place, first: Run, faults: tuple[str, str]) -> None:
        run = place.run(
            "-p", "breaks", "-k", NORM, "--verdicts-only",
            environment={"TWICE": "norm_is_a_feature", "FIRST_TIME": faults[0], "SECOND_TIME": faults[1]},
        )  # fmt: skip
        last = "ERROR" if faults[1] else first.verdicts["norm-is-a-feature"]
        assert run.verdicts["norm-is-a-feature"] == last
        assert len(run.results["claims"]) == 3


@pytest.mark.usefixtures("first")
class TestSelected:
    @pytest.mark.parametrize("more", [(), ("-n", "2")], ids=["one process", "two processes"])
    def test_is_counted_and_said(self, place: Place, more: tuple[str, ...]) -> None:
        run = place.run("-k", NORM, "--verdicts-only", *more, report="html,md")
        said = f"3 of {ALL} claims selected"
        assert run.results["selected"] == {"claims": 3, "of": ALL}
        assert any(line.startswith("layerclaims: ") and line.endswith(said) for line in run.lines)
        assert f"{said}." in run.lines
        for name in ("report.html", "summary.md"):
            assert f"{said}." in (run.directory / name).read_text()

    def test_by_a_node_id_is_counted_among_those_of_the_post(self, place: Place) -> None:
        target = (str(Path("claims", "test_norm.py")) + "::test_norm_is_a_feature",)
        assert place.run(target=target).results["selected"] == {"claims": 1, "of": ALL}

    def test_of_somebodys_own_is_counted_where_the_whole_is_known(self, place: Place, own: Path) -> None:
        chosen = place.run(*LOADED, "-k", "norms_matter", target=(str(own),), cwd=own.parent)
        assert chosen.results["selected"] == {"claims": 1, "of": 2}
        node = f"{own / 'test_needs.py'}::test_norms_matter"
        assert "selected" not in place.run(*LOADED, target=(node,), cwd=own.parent).results

    def test_of_all_is_not_worth_a_word(self, first: Run) -> None:
        assert first.results["selected"] == {"claims": ALL, "of": ALL}
        assert "selected" not in first.out


@pytest.mark.usefixtures("first")
class TestAFullerFile:
    def test_is_not_replaced_by_fewer_claims_unless_asked(self, place: Place) -> None:
        out = place.out()
        place.run("-k", NORM, "--verdicts-only", out=out)
        before = (out / "results.json").read_bytes()
        run = place.run("-k", "norm_is_a_feature", "--verdicts-only", out=out)
        assert run.status == pytest.ExitCode.USAGE_ERROR
        assert "holds 3 verdicts, and this run does not judge 2 of them" in run.err
        assert (out / "results.json").read_bytes() == before
        assert place.run("-k", NORM, "--verdicts-only", out=out).status == 0
        run = place.run("-k", "norm_is_a_feature", "--verdicts-only", "--replace", out=out)
        assert list(run.verdicts) == ["norm-is-a-feature"]

    def test_that_cannot_be_read_is_none(self, place: Place) -> None:
        out = place.out()
        out.mkdir()
        (out / "results.json").write_text("{")
        assert len(place.run("-k", NORM, "--verdicts-only", out=out).verdicts) == 3

    def test_that_is_a_baseline_is_kept(self, place: Place) -> None:
        kept = place.path / "baseline.json"
        before = kept.read_bytes()
        run = place.run("-k", NORM, "--save-baseline", str(kept))
        assert run.status == pytest.ExitCode.USAGE_ERROR
        assert "give --replace" in run.err
        assert kept.read_bytes() == before


@pytest.mark.usefixtures("first")
class TestTheIndex:
    def test_lists_the_reports_of_several_runs(self, place: Place) -> None:
        home = place.path / "home"
        (home / "reports" / "broken").mkdir(parents=True)
        (home / "reports" / "broken" / "results.json").write_text("{")
        for name in (None, home / "reports" / "again"):
            run = place.run("-k", NORM, "--verdicts-only", out=name, report="html", cwd=home)
            assert run.status == 0
        assert "written: reports/index.html" in run.lines
        page = (home / "reports" / "index.html").read_text("utf-8")
        for folder in ("model", "again"):
            assert f'href="./{folder}/report.html"' in page
        assert "results.json is truncated" in page
        assert str(place.path) not in page

    def test_is_not_written_into_a_folder_that_somebody_named(self, place: Place) -> None:
        out = place.out() / "deep"
        assert place.run("-k", NORM, "--verdicts-only", out=out, report="html").status == 0
        assert not (out.parent / "index.html").exists()

    def test_that_cannot_be_written_costs_the_run_nothing(self, place: Place) -> None:
        home = place.path / "another home"
        home.mkdir()
        environment = {"BREAK": "layerclaims.report.index.update"}
        run = place.run(
            "-p",
            "breaks",
            "-k",
            NORM,
            "--verdicts-only",
            out=None,
            report="html",
            cwd=home,
            environment=environment,
        )
        assert run.status == 0
        assert "index.html was not written: ZeroDivisionError: planted." in run.out


@pytest.mark.usefixtures("first")
class TestABaseline:
    def test_is_not_saved_by_a_run_that_broke(self, place: Place) -> None:
        path = place.path / "broken.json"
        run = place.run("-k", NORM, "--save-baseline", str(path), faults="norm_is_a_feature=raise")
        assert "No baseline was saved, since 1 of the claims could not be judged" in run.out
        assert not path.exists()

    def test_is_not_saved_by_a_run_that_regressed(self, place: Place, first: Run) -> None:
        results = json.loads((place.path / "baseline.json").read_text())
        claims = {claim["id"]: claim for claim in results["claims"]}
        (worse, *_) = [
            name
            for name, verdict in first.verdicts.items()
            if verdict == "NOT_REPLICATED" and claims[name]["parts"][0]["relation"] in "<>"
        ]
        part = claims[worse]["parts"][0]
        middle = part["threshold"] + (10 if part["relation"] == ">" else -10)
        part.update(estimate=middle, interval=[middle - 1, middle + 1], holds=True)
        claims[worse].update(verdict="REPLICATED", estimate=middle, interval=[middle - 1, middle + 1])
        results["claims"] = [claims[worse]]
        path = place.path / "regressing.json"
        write(path, sealed(checked(results)))
        before = path.read_bytes()
        chosen = f"test_{worse.replace('-', '_')}"
        run = place.run("-k", chosen, "--baseline", str(path), "--save-baseline", str(path))
        assert run.status == 1
        assert "No baseline was saved, since this run fails against its own --baseline" in run.out
        assert path.read_bytes() == before
