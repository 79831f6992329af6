"""results.json: what goes in comes out, and what cannot be right is refused in one sentence."""

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from layerclaims.errors import LayerclaimsError
from layerclaims.report import render as report
from layerclaims.results import file as results
from layerclaims.results.checking import checked
from layerclaims.results.compare import compare
from layerclaims.results.verify import verify, verify_file
from layerclaims.verdicts.verdict import Verdict

from tests import sample_results

OLDER = sorted(
    Path(__file__).parent.glob("results_v*/*.json")
)  # of every earlier version that had files of its own


def refused(path: Path) -> str:
    with pytest.raises(LayerclaimsError) as caught:
        results.read_results(path)
    message = str(caught.value)
    assert "\n" not in message
    assert "Traceback" not in message
    assert len(message) < 500
    return message


class TestWriting:
    @pytest.mark.parametrize("name", sample_results.BUILDERS)
    def test_what_is_written_is_read_back(self, name: str, tmp_path: Path) -> None:
        made = results.sealed(checked(sample_results.BUILDERS[name]()))
        path = results.write(tmp_path / "deep" / "results.json", made)
        assert results.plain(results.read_results(path)) == results.plain(made)
        assert results.read_results(path) == results.read_results(path)

    def test_floats_keep_ten_significant_digits_and_numpy_floats_become_plain(self) -> None:
        made = sample_results.single_claim()
        made["claims"][0]["estimate"] = np.float64(0.12345678901234)
        text = results.dumps(checked(made))
        assert json.loads(text)["claims"][0]["estimate"] == 0.123456789

    def test_equal_results_give_equal_bytes(self) -> None:
        assert results.dumps(checked(sample_results.ten())) == results.dumps(checked(sample_results.ten()))

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), np.int64(3), Path("x"), {1}])
    def test_what_json_lacks_is_refused_with_its_place(self, value: object, tmp_path: Path) -> None:
        made = sample_results.single_claim()
        made["claims"][0]["estimate"] = value
        with pytest.raises(LayerclaimsError, match="claims/0/estimate"):
            results.write(tmp_path / "results.json", checked(made))
        assert not list(tmp_path.iterdir())

    def test_a_full_disk_leaves_the_old_file_and_no_remains(self, tmp_path: Path) -> None:
        path = results.write(tmp_path / "results.json", checked(sample_results.single_claim()))
        before = path.read_bytes()
        child = os.fork()
        if child == 0:  # the limit must not outlive this test, so a child process takes it on
            import signal

            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
            try:
                results.write(path, checked(sample_results.ten()))
            except LayerclaimsError as error:
                os._exit(0 if "could not be written" in str(error) else 2)
            os._exit(3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]

    def test_a_place_that_cannot_be_written_is_one_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(LayerclaimsError, match=r"could not be written: .* choose another directory"):
            results.write(tmp_path / "file" / "results.json", checked(sample_results.single_claim()))


class TestReading:
    def test_truncation_anywhere_is_noticed(self, tmp_path: Path) -> None:
        data = results.dumps(checked(sample_results.single_claim())).encode()
        path = tmp_path / "results.json"
        for length in (0, 1, 17, 1000, len(data) // 2, len(data) - 3):
            path.write_bytes(data[:length])
            assert any(word in refused(path) for word in ("truncated", "empty")), length

    @pytest.mark.parametrize(
        ("content", "word"),
        [
            (b"# a heading", "not valid JSON"),
            (b"\x89PNG\r\n\x1a\n\x00\xff", "not JSON text"),
            (b"[1, 2]", "no schema_version"),
            (b"{}", "no schema_version"),
            (b'{"schema_version": 99, "claims": "new"}', "update layerclaims"),
            (b'{"schema_version": "1"}', "sound"),
            (b'{"schema_version": 1, "schema_version": 1}', "twice"),
            (b'{"schema_version": 1, "x": NaN}', "NaN"),
            (b"[" * 100_000, ""),
            (b'{"schema_version": 1' + b"0" * 5000 + b"}", ""),
            (b"%PDF-1.7 nothing more", "damaged PDF"),
        ],
    )
    def test_what_is_no_results_file_is_one_sentence(self, content: bytes, word: str, tmp_path: Path) -> None:
        path = tmp_path / "results.json"
        path.write_bytes(content)
        assert word in refused(path)

    def test_missing_files_and_directories_are_one_sentence(self, tmp_path: Path) -> None:
        assert "cannot read" in refused(tmp_path / "absent.json")
        assert "cannot read" in refused(tmp_path)

    def test_a_file_of_200_megabytes_is_refused_before_it_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "huge.json"
        with path.open("wb") as file:
            file.truncate(200 * 2**20)
        assert "200 MiB" in refused(path)

    def test_an_endless_device_is_refused(self) -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert "no regular file" in refused(Path("/dev/zero"))
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600 * 1024

    @pytest.mark.parametrize(
        ("place", "value"),
        [
            (("claims", 0, "verdict"), "GREAT"),
            (("claims", 0, "interval"), [0.9, 0.1]),
            (("claims", 0, "interval"), [0.1]),
            (("claims", 0, "estimate"), "0.9"),
            (("claims", 0, "id"), "../../etc/passwd"),
            (("claims", 0, "figures"), ["absent"]),
            (("claims", 0, "protocol"), "as-published"),
            (("claims", 0, "parts", 0, "threshold"), [0.1, 0.2]),
            (("claims", 0, "parts", 0, "relation"), "~"),
            (("claims", 0, "parts", 0, "method"), sample_results.HOSTILE),
            (("claims", 0, "parts", 0, "recipe"), {"statistic": "accuracy"}),
            (("claims", 0, "parts", 0, "recipe"), {"statistic": "accuracy", "series": 3}),
            (("claims", 0, "parts", 0, "holds"), 1),
            (("claims", 0, "controls", 0, "interval"), [0.9, 0.1]),
            (("claims", 0, "calibration", "false_replicated"), 1.5),
            (("claims", 0, "nulls", 0, "passed"), 1.5),
            (("claims", 0, "unknown"), None),
            (("selected",), {"claims": 3, "of": 2}),
            (("protocol", "options", 0, "value"), [{"deep": float("inf")}]),
            (("claims",), {}),
            (("created",), "yesterday"),
            (("model", "n_blocks"), -1),
            (("documents", "rigorous/raw", "correct", 3, 2), 31),
            (("documents", "rigorous/raw", "correct", 3, 2), -1),
            (("documents", "rigorous/raw", "correct", 3, 2), 1.5),
            (("documents", "rigorous/raw", "correct", 3), [1]),
            (("documents", "rigorous/raw", "total", 3, 2), "30"),
            (("documents", "rigorous/raw", "total", 3, 2), 2**63),
            (("documents", "rigorous/raw", "documents"), [0]),
            (("figures", "accuracy-by-layer", "series", 0, "values"), [1.0]),
            (("figures", "confusion", "values", 4), [1.0]),
            (("figures", "accuracy-by-layer", "kind"), "pie"),
            (("figures", "accuracy-by-layer", "series", 0, "values", 3), 1e999),
            (("figures", "accuracy-by-layer", "points"), []),
        ],
    )
    def test_edits_by_hand_that_cannot_be_right_are_named(
        self, place: tuple[str | int, ...], value: object, tmp_path: Path
    ) -> None:
        made: Any = sample_results.ten()
        target = made
        for step in place[:-1]:
            target = target[step]
        target[place[-1]] = value
        path = tmp_path / "results.json"
        path.write_text(json.dumps(made).replace("Infinity", "1e999"))
        message = refused(path)
        assert "not a sound results file" in message
        assert str(place[0]) in message

    def test_a_claim_that_stands_twice_is_refused(self, tmp_path: Path) -> None:
        made = sample_results.single_claim()
        made["claims"] *= 2
        with pytest.raises(LayerclaimsError, match="twice"):
            results.write(tmp_path / "results.json", checked(made))
        assert not list(tmp_path.iterdir())

    def test_large_counts_are_checked_quickly(self) -> None:
        made = sample_results.single_claim()
        made["documents"]["rigorous/raw"] = {
            "corpus": "main",
            "documents": list(range(5000)),
            "correct": [[25] * 49 for _ in range(5000)],
            "total": [[30] * 49 for _ in range(5000)],
        }
        before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        data = results.dumps(checked(made)).encode()
        results.loads(data, origin="large")
        assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 5

    @pytest.mark.parametrize("place", ["claims", "model"])
    def test_a_million_faults_are_one_sentence_and_cost_little(self, place: str) -> None:
        made: Any = sample_results.single_claim()
        made[place] = [1] * 10**6 if place == "claims" else {str(n): 1 for n in range(10**6)}
        before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        with pytest.raises(LayerclaimsError, match="not a sound results file"):
            checked(made)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 5

    def test_messages_show_hostile_values_escaped_and_cut(self, tmp_path: Path) -> None:
        made = sample_results.single_claim()
        made["claims"][0]["verdict"] = sample_results.HOSTILE * 50
        path = tmp_path / "x\x1b[31m.json"
        path.write_text(json.dumps(made))
        message = refused(path)
        assert "\x1b" not in message
        assert "\u202e" not in message


class TestSchema:
    def test_is_a_valid_schema(self) -> None:
        jsonschema.Draft202012Validator.check_schema(results.schema())

    @pytest.mark.parametrize("name", sample_results.BUILDERS)
    def test_accepts_what_is_written(self, name: str) -> None:
        written = results.plain(checked(sample_results.BUILDERS[name]()))
        jsonschema.Draft202012Validator(results.schema()).validate(written)

    @pytest.mark.parametrize(
        ("place", "value"),
        [
            (("claims", 0, "verdict"), "GREAT"),
            (("claims", 0, "interval"), [0.1]),
            (("claims", 0, "unknown"), 1),
            (("documents", "rigorous/raw", "total"), [-1]),
            (("figures", "accuracy-by-layer", "kind"), "pie"),
        ],
    )
    def test_refuses_what_reading_refuses(self, place: tuple[str | int, ...], value: object) -> None:
        made: Any = results.plain(checked(sample_results.ten()))
        target = made
        for step in place[:-1]:
            target = target[step]
        target[place[-1]] = value
        assert not jsonschema.Draft202012Validator(results.schema()).is_valid(made)


@pytest.mark.parametrize("path", OLDER, ids=[f"{path.parent.name}-{path.stem}" for path in OLDER])
class TestFilesOfEarlierVersions:
    def test_are_read_without_loss(self, path: Path) -> None:
        read = results.read_results(path)
        assert read.schema_version == int(path.parent.name.removeprefix("results_v"))
        assert results.dumps(read) == path.read_text()

    def test_are_verified(self, path: Path) -> None:
        outcome = verify_file(path)
        assert outcome.mismatches == ()
        assert "sha256" in outcome.checksums
        assert "VERIFIED" in outcome.text()

    def test_are_held_to_the_p_values_that_they_were_written_under(self, path: Path) -> None:
        run = results.plain(results.read_results(path))
        tested = [
            part
            for claim in run["claims"]
            for part in claim["parts"]
            if part["recipe"] and part["p_value"] and part["method"] in ("BCa", "lowest BCa")
        ]
        assert tested
        for part in tested[:5]:
            part["p_value"] *= 2  # as a later version has it
            found = verify(results.sealed(checked(run))).mismatches
            assert any(f"{part['name']}: the p-value is" in line for line in found)
            part["p_value"] /= 2

    def test_are_the_same_as_themselves(self, path: Path) -> None:
        changes = compare(results.read_results(path), results.read_results(path))
        assert [(c.id, c.protocol) for c in changes] == [
            (c.id, c.protocol) for c in results.read_results(path).claims
        ]
        assert {change.status for change in changes} == {"same"}

    def test_are_rendered(self, path: Path, tmp_path: Path) -> None:
        read = results.read_results(path)
        page, summary = (made.read_text() for made in report.render(read, tmp_path, ("html", "md")))
        for claim in read.claims:
            assert f'id="{claim.id}"' in page
            assert claim.source in page
        assert summary.count("\n| ") >= len(read.claims)


def test_a_published_verdict_of_version_three_does_not_need_a_probe_that_converged() -> None:
    run = results.plain(results.read_results(Path(__file__).parent / "results_v3" / "both.json"))
    for claim in run["claims"]:
        if claim["protocol"] == "as-published" and claim["probe"]:
            claim["probe"]["converged"] = False
    run["walks"] = []
    assert verify(results.sealed(checked(run))).mismatches == ()
    run["schema_version"] = 2
    assert any(
        "its parts give INCONCLUSIVE" in line for line in verify(results.sealed(checked(run))).mismatches
    )


def test_the_fixtures_hold_every_verdict_and_what_only_some_runs_have() -> None:
    runs = [results.read_results(path) for path in OLDER]
    assert {claim.verdict for run in runs for claim in run.claims} == set(Verdict)
    assert any(run.ablation for run in runs)
    assert any(claim.control_untrained for run in runs for claim in run.claims)
    assert {figure.kind for run in runs for figure in run.figures.values()} == {
        "lines",
        "bars",
        "matrix",
        "path",
    }


def test_a_where_is_shown_beside_the_source() -> None:
    made = sample_results.single_claim()
    made["claims"][0].update(source="the post", where="section 2")
    assert "post, section “section 2”" in report.html(checked(made))


def test_reading_loads_neither_torch_nor_scipy() -> None:
    program = (
        "import sys\nfrom layerclaims.results import file as results\nresults.read_results(sys.argv[1])\n"
        "print(sorted({'torch', 'transformers', 'scipy', 'sklearn', 'jinja2'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, OLDER[0]], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_the_identifier_of_a_pdf_is_made_of_digits_that_a_pdf_string_keeps():
    made = results.identifier(results.dumps(checked(sample_results.ten())).encode("ascii"))
    assert re.fullmatch(rb"[0-9a-f]{32}", made)


def test_a_file_that_was_changed_is_refused_by_all_but_verify(tmp_path: Path) -> None:
    path = results.write(tmp_path / "results.json", results.sealed(checked(sample_results.single_claim())))
    assert results.read_results(path).sha256
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1', 1))
    assert "was changed after it was written: its checksum is not" in refused(path)


def test_a_file_whose_checksum_was_taken_out_is_refused_by_all_but_verify(tmp_path: Path) -> None:
    made = checked(sample_results.single_claim())
    for content in (made, checked({**results.plain(made), "sha256": None})):
        path = results.write(tmp_path / "results.json", content)
        assert "was changed after it was written: it has no checksum" in refused(path)
        assert any("sha256" in line for line in verify_file(path).mismatches)
