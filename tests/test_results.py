"""results.json: what goes in comes out, and what cannot be right is refused in one sentence."""

import json
import os
import re
import resource
from pathlib import Path

import numpy as np
import pytest

from harness import results
from harness.errors import LayerclaimsError
from tests import sample_results


def refused(path: Path) -> str:
    with pytest.raises(LayerclaimsError) as caught:
        results.read(path)
    message = str(caught.value)
    assert "\n" not in message
    assert "Traceback" not in message
    assert len(message) < 500
    return message


class TestWriting:
    @pytest.mark.parametrize("name", sample_results.BUILDERS)
    def test_what_is_written_is_read_back(self, name: str, tmp_path: Path) -> None:
        made = results.plain(sample_results.BUILDERS[name]())
        path = results.write(tmp_path / "deep" / "results.json", made)
        assert results.read(path) == made

    def test_floats_keep_ten_significant_digits_and_numpy_floats_become_plain(self) -> None:
        made = sample_results.single_claim()
        made["claims"][0]["estimate"] = np.float64(0.12345678901234)
        text = results.dumps(made)
        assert json.loads(text)["claims"][0]["estimate"] == 0.123456789

    def test_equal_results_give_equal_bytes(self) -> None:
        assert results.dumps(sample_results.ten()) == results.dumps(sample_results.ten())

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), np.int64(3), Path("x"), {1}])
    def test_what_json_lacks_is_refused_with_its_place(self, value: object, tmp_path: Path) -> None:
        made = sample_results.single_claim()
        made["claims"][0]["estimate"] = value
        with pytest.raises(LayerclaimsError, match="claims/0/estimate"):
            results.write(tmp_path / "results.json", made)
        assert not list(tmp_path.iterdir())

    def test_a_full_disk_leaves_the_old_file_and_no_remains(self, tmp_path: Path) -> None:
        path = results.write(tmp_path / "results.json", sample_results.single_claim())
        before = path.read_bytes()
        child = os.fork()
        if child == 0:  # the limit must not outlive this test, so a child process takes it on
            import signal

            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
            try:
                results.write(path, sample_results.ten())
            except LayerclaimsError as error:
                os._exit(0 if "cannot write" in str(error) else 2)
            os._exit(3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]

    def test_a_place_that_cannot_be_written_is_one_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(LayerclaimsError, match=r"cannot write .* choose another directory"):
            results.write(tmp_path / "file" / "results.json", sample_results.single_claim())


class TestReading:
    def test_truncation_anywhere_is_noticed(self, tmp_path: Path) -> None:
        data = results.dumps(sample_results.single_claim()).encode()
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
            (b'{"schema_version": 2, "claims": "new"}', "update layerclaims"),
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
        assert "does not end" in refused(Path("/dev/zero"))
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
            (("claims",), {}),
            (("created",), "yesterday"),
            (("model", "n_blocks"), -1),
            (("documents", "rigorous/raw", "correct", 3, 2), 31),
            (("documents", "rigorous/raw", "correct", 3, 2), -1),
            (("documents", "rigorous/raw", "correct", 3, 2), 1.5),
            (("documents", "rigorous/raw", "correct", 3), [1]),
            (("documents", "rigorous/raw", "total", 3, 2), "30"),
            (("documents", "rigorous/raw", "documents"), [0]),
            (("figures", "accuracy-by-layer", "series", 0, "values"), [1.0]),
            (("figures", "confusion", "values", 4), [1.0]),
            (("figures", "accuracy-by-layer", "kind"), "pie"),
        ],
    )
    def test_edits_by_hand_that_cannot_be_right_are_named(
        self, place: tuple[str | int, ...], value: object, tmp_path: Path
    ) -> None:
        made = results.plain(sample_results.ten())
        target = made
        for step in place[:-1]:
            target = target[step]
        target[place[-1]] = value
        path = tmp_path / "results.json"
        path.write_text(json.dumps(made))
        message = refused(path)
        assert "not a sound results file" in message
        assert str(place[0]) in message

    def test_a_claim_that_stands_twice_is_refused(self, tmp_path: Path) -> None:
        made = sample_results.single_claim()
        made["claims"] *= 2
        with pytest.raises(LayerclaimsError, match="twice"):
            results.write(tmp_path / "results.json", made)
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
        data = results.dumps(made).encode()
        results.loads(data, origin="large")
        assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 5

    def test_messages_show_hostile_values_escaped_and_cut(self, tmp_path: Path) -> None:
        made = sample_results.single_claim()
        made["claims"][0]["verdict"] = sample_results.HOSTILE * 50
        path = tmp_path / "x\x1b[31m.json"
        path.write_text(json.dumps(made))
        message = refused(path)
        assert "\x1b" not in message
        assert "\u202e" not in message


def test_the_schema_is_a_valid_schema() -> None:
    import jsonschema

    jsonschema.Draft202012Validator.check_schema(results.schema())


def test_the_identifier_of_a_pdf_is_made_of_digits_that_a_pdf_string_keeps():
    made = results.identifier(results.dumps(sample_results.ten()).encode("ascii"))
    assert re.fullmatch(rb"[0-9a-f]{32}", made)
