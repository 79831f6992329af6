"""`layerclaims verify` as it is typed: a report's pages, and files that nobody should have to trust."""

import copy
import json
import os
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from layerclaims.cli.main import main
from layerclaims.report import render, rerender
from layerclaims.results import file as results
from layerclaims.results.checking import checked
from layerclaims.results.records import SCHEMA_VERSION

from tests.computed_results import computed

pikepdf = pytest.importorskip("pikepdf")
Said = tuple[int, str, str]  # status, stdout, stderr


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs the command in this process."""

    def run(*arguments: object) -> Said:
        status = main([str(one) for one in arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report PDF, rendered once."""
    pytest.importorskip("weasyprint", exc_type=OSError)
    path = tmp_path_factory.mktemp("pdf") / "report.pdf"
    path.write_bytes(render.pdf(checked(computed())))
    return path


@pytest.fixture
def rendered_once(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rendering is a pure function and takes seconds: the same results are not rendered for each forgery."""
    monkeypatch.setattr(rerender.render, "pdf", lambda _: report.read_bytes())


class TestPages:
    def test_that_the_results_give_are_verified(self, run: Callable[..., Said], report: Path) -> None:
        with pikepdf.open(report) as pdf:
            pages = len(pdf.pages)
        status, out, _ = run("verify", report)
        assert status == 0, out
        assert f"The {pages} pages are those that these results give, byte for byte." in out
        assert out.splitlines()[-1].startswith("VERIFIED: ")

    def test_made_elsewhere_are_said_not_to_be_looked_at(
        self, run: Callable[..., Said], report: Path, tmp_path: Path
    ) -> None:
        def older(pdf: Any) -> None:
            pdf.docinfo["/Renderer"] = str(pdf.docinfo["/Renderer"]).replace("weasyprint ", "weasyprint 9")

        status, out, _ = run("verify", forged(report, tmp_path, older))
        assert status == 0
        assert "pages of the PDF were not looked at: it was rendered with 'weasyprint 9" in out
        assert "model: planted" in out
        verdicts = Counter(claim["verdict"] for claim in computed()["claims"])
        said = ", ".join(
            f"{verdicts[one]} {one}"
            for one in ("REPLICATED", "NOT_REPLICATED", "INCONCLUSIVE")
            if verdicts[one]
        )
        assert f"rigorous: {said}" in out
        assert out.splitlines()[-1].startswith("VERIFIED (of the attached results, not of the pages): ")

    def test_are_not_looked_at_without_pango(
        self, run: Callable[..., Said], report: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def missing() -> str:
            raise OSError("cannot load library 'libpango-1.0-0'")

        monkeypatch.setattr(rerender, "renderer", missing)
        status, out, _ = run("verify", report)
        assert status == 0
        assert "Pango is missing here" in out
        assert "not of the pages" in out.splitlines()[-1]

    def test_in_a_font_of_another_machine_are_not_called_forged(
        self, run: Callable[..., Said], report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def with_another_font(pdf: Any) -> None:
            font = next(one for one in pdf.objects if isinstance(one, pikepdf.Dictionary)
                        and one.get("/Type") == "/FontDescriptor")  # fmt: skip
            font.FontName = pikepdf.Name("/ABCDEF+Noto-Sans-CJK")

        here = forged(report, tmp_path, with_another_font).read_bytes()
        monkeypatch.setattr(rerender.render, "pdf", lambda _: here)
        status, out, _ = run("verify", report)
        assert status == 0
        assert "'ABCDEF+Noto-Sans-CJK'" in out
        assert "not of the pages" in out.splitlines()[-1]


def forged(report: Path, place: Path, forge: Callable[[Any], object]) -> Path:
    """The report, changed by a program that keeps its identifier."""
    path = place / "forged.pdf"
    with pikepdf.open(report) as pdf:
        identifier = bytes(pdf.trailer["/ID"][0])
        forge(pdf)
        pdf.save(path, static_id=True)
    with pikepdf.open(path) as pdf:
        kept = bytes(pdf.trailer["/ID"][0]) == identifier
    assert kept
    return path


def painted_over(pdf: Any) -> None:
    """A white page with another verdict on it."""
    pdf.pages[1].contents_add(b"1 1 1 rg 0 0 600 900 re f", prepend=False)


def attached(pdf: Any) -> None:
    """Another file beside the results."""
    pdf.attachments["more.txt"] = pikepdf.AttachedFileSpec(pdf, b"more", filename="more.txt")


def annotated(pdf: Any) -> None:
    """A note over a page."""
    note = pikepdf.Dictionary(
        Type=pikepdf.Name.Annot, Subtype=pikepdf.Name.FreeText, Rect=[0, 0, 600, 900], Contents="REPLICATED"
    )
    pdf.pages[0].obj.Annots = pdf.make_indirect(pikepdf.Array([pdf.make_indirect(note)]))


def with_action(pdf: Any) -> None:
    """JavaScript when the report is opened."""
    action = pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS="app.alert(1)")
    pdf.Root.OpenAction = action


def with_named_script(pdf: Any) -> None:
    """JavaScript in the tree of names."""
    script = pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS="app.alert(1)")
    pdf.Root.Names.JavaScript = pikepdf.Dictionary(Names=["x", pdf.make_indirect(script)])


def only_first(pdf: Any) -> None:
    """One page is left."""
    del pdf.pages[1:]


def rewritten(_: Any) -> None:
    """The same objects, written by another program."""


# what is done to the PDF -> how, and words of the mismatch
FORGERIES: dict[str, tuple[Callable[[Any], object], str]] = {
    "a page painted over": (painted_over, "page 2 of the PDF is not what its results give"),
    "pages deleted": (only_first, "the PDF has 1 page, and its results give"),
    "an action on opening": (with_action, "OpenAction"),
    "a script": (with_named_script, "JavaScript"),
    "a form": (lambda pdf: setattr(pdf.Root, "AcroForm", pikepdf.Dictionary(Fields=[])), "AcroForm"),
    "actions of a page": (lambda pdf: setattr(pdf.pages[0].obj, "AA", pikepdf.Dictionary()), "(AA)"),
    "another file": (attached, "another file embedded beside results.json: 'more.txt'"),
    "a note": (annotated, "an annotation that is no link: '/FreeText'"),
    "a title": (lambda pdf: pdf.docinfo.update({"/Title": "All claims hold"}), "byte for byte"),
    "nothing but how it is written": (rewritten, "byte for byte"),
}


@pytest.mark.usefixtures("rendered_once")
class TestForgedPdf:
    @pytest.mark.parametrize("what", FORGERIES)
    def test_is_not_verified(self, run: Callable[..., Said], report: Path, tmp_path: Path, what: str) -> None:
        forge, words = FORGERIES[what]
        status, out, _ = run("verify", forged(report, tmp_path, forge))
        assert status == 1
        assert words in out
        assert out.splitlines()[-1].startswith("NOT VERIFIED: ")

    @pytest.mark.parametrize("what", ["an action on opening", "a script", "a form", "another file"])
    def test_that_runs_something_is_a_mismatch_whoever_rendered_it(
        self, run: Callable[..., Said], report: Path, tmp_path: Path, what: str
    ) -> None:
        forge, words = FORGERIES[what]

        def both(pdf: Any) -> None:
            del pdf.docinfo["/Renderer"]
            forge(pdf)

        status, out, _ = run("verify", forged(report, tmp_path, both))
        assert status == 1
        assert words in out

    def test_that_was_changed_on_top_is_a_mismatch(
        self, run: Callable[..., Said], report: Path, tmp_path: Path
    ) -> None:
        path = tmp_path / "updated.pdf"
        data = report.read_bytes()
        start = int(data.rpartition(b"startxref\n")[2].split()[0])
        path.write_bytes(data + b"\nstartxref\n%d\n%%%%EOF\n" % start)
        status, out, _ = run("verify", path)
        assert status == 1
        assert "was changed after it was written" in out

    def test_whose_results_were_replaced_is_a_mismatch(
        self, run: Callable[..., Said], report: Path, tmp_path: Path
    ) -> None:
        other = results.dumps(checked(computed(sample=5))).encode("ascii")

        def replaced(pdf: Any) -> None:
            pdf.attachments["results.json"].obj.EF.F.write(other)

        status, out, _ = run("verify", forged(report, tmp_path, replaced))
        assert status == 1
        assert "the PDF was made from other results than those attached to it" in out

    def test_that_is_encrypted_is_refused(
        self, run: Callable[..., Said], report: Path, tmp_path: Path
    ) -> None:
        path = tmp_path / "locked.pdf"
        with pikepdf.open(report) as pdf:
            pdf.save(path, encryption=pikepdf.Encryption(owner="a", user="b"))
        status, _, err = run("verify", path)
        assert status == 1
        assert "is encrypted" in err
        with pikepdf.open(report) as pdf:
            pdf.save(path, encryption=pikepdf.Encryption(owner="a", user=""))
        status, out, _ = run("verify", path)
        assert status == 1
        assert "the PDF is encrypted" in out

    def test_with_two_results_is_refused(
        self, run: Callable[..., Said], report: Path, tmp_path: Path
    ) -> None:
        def twice(pdf: Any) -> None:
            names = pdf.Root.Names.EmbeddedFiles.Names
            names.append(names[0])
            names.append(names[1])

        status, _, err = run("verify", forged(report, tmp_path, twice))
        assert status == 1
        assert "2 attachments called results.json" in err


def numbers(value: str) -> Callable[[dict[str, Any]], str]:
    """The text of a results file with a number in a place of its own."""

    def text(made: dict[str, Any]) -> str:
        made["protocol"]["seed"] = made["claims"][0]["estimate"] = "NUMBER"
        return json.dumps(made).replace('"NUMBER"', value)

    return text


def option(value: str) -> Callable[[dict[str, Any]], str]:
    """The text of a results file with a value of an option."""

    def text(made: dict[str, Any]) -> str:
        made["protocol"]["options"][0]["value"] = "VALUE"
        return json.dumps(made).replace('"VALUE"', value)

    return text


def many_claims(made: dict[str, Any]) -> str:
    """10,000 claims."""
    one = made["claims"][0]
    made["claims"] = [{**one, "id": f"claim-{n}"} for n in range(10_000)]
    return json.dumps(made)


def a_large_count(made: dict[str, Any]) -> str:
    """A document with 2^62 answers, of which sums do not fit 64 bits."""
    counts = made["documents"]["rigorous/raw"]
    counts["total"][0][0] = counts["correct"][0][0] = 2**62
    return json.dumps(made)


HOSTILE: dict[str, Callable[[dict[str, Any]], str]] = {
    "ninety megabytes of lists": lambda _: "[" + "[]," * 30_000_000 + "[]]",
    "many numbers": lambda _: f'{{"schema_version": {SCHEMA_VERSION}, "x": [' + "9," * 30_000_000 + "9]}",
    "many names": lambda _: "{" + ",".join(f'"{n}":1' for n in range(3_000_000)) + "}",
    "deep lists": lambda _: "[" * 100_000 + "]" * 100_000,
    "a deep value": option("[" * 900 + "]" * 900),
    "a number of 400 digits": numbers("1" + "0" * 400),
    "a number of 4,000 digits": numbers("9" * 4_000),
    "a number of 5,000 digits": numbers("9" * 5_000),
    "a huge exponent": numbers("1e999"),
    "a version of 4,000 digits": lambda made: json.dumps(made).replace(
        f'"schema_version": {SCHEMA_VERSION}', f'"schema_version": {"9" * 4000}'
    ),
    "10,000 claims": many_claims,
    "a large count": a_large_count,
}


@pytest.fixture(scope="module")
def base() -> dict[str, Any]:
    """The content of a sound file."""
    return computed()


def rest(command: str, path: object, place: Path) -> list[object]:
    """What a command needs besides its first file."""
    return {"verify": [], "compare": [path], "report": ["--out", place / "out"]}[command]


class TestHostileFiles:
    @pytest.mark.parametrize("command", ["verify", "compare", "report"])
    @pytest.mark.parametrize("what", HOSTILE)
    def test_are_one_sentence_and_cost_little(
        self, run: Callable[..., Said], tmp_path: Path, base: dict[str, Any], what: str, command: str
    ) -> None:
        path = tmp_path / "results.json"
        path.write_text(HOSTILE[what](copy.deepcopy(base)))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        status, _, err = run(command, path, *rest(command, path, tmp_path))
        assert status == 1
        assert one_sentence(err), err[:500]
        assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 10

    def test_take_no_gigabytes(self, tmp_path: Path) -> None:
        path = tmp_path / "results.json"
        path.write_text("[" + "[]," * 30_000_000 + "[]]")
        program = (
            "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (3 * 2**29, 3 * 2**29))\n"
            "from layerclaims.cli.main import main; sys.exit(main(['verify', sys.argv[1]]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, path], capture_output=True, text=True, timeout=120, check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
        assert done.returncode == 1
        assert one_sentence(done.stderr), done.stderr[-500:]

    @pytest.mark.parametrize("command", ["verify", "compare", "report"])
    @pytest.mark.parametrize(
        "name", ["/dev/zero", "/dev/null", "folder", "pipe", "x" * 300, "a\0b", "absent"]
    )
    def test_that_are_none_are_one_sentence(
        self, run: Callable[..., Said], tmp_path: Path, name: str, command: str
    ) -> None:
        (tmp_path / "folder").mkdir()
        os.mkfifo(tmp_path / "pipe")  # nobody will ever write to it
        path = name if name.startswith("/") else f"{tmp_path}/{name}"
        status, _, err = run(command, path, *rest(command, path, tmp_path))
        assert status == 1
        assert one_sentence(err), err

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
    def test_a_cut_pdf_is_one_sentence(
        self, run: Callable[..., Said], report: Path, tmp_path: Path, share: float
    ) -> None:
        data, path = report.read_bytes(), tmp_path / "cut.pdf"
        path.write_bytes(data[: int(len(data) * share)])
        status, out, err = run("verify", path)
        assert status == 1
        assert out.splitlines()[-1].startswith("NOT VERIFIED") if out else one_sentence(err)

    @pytest.mark.parametrize("kind", ["text", "number", "list", "missing stream"])
    def test_a_pdf_whose_parts_are_of_another_kind_is_one_sentence(
        self, run: Callable[..., Said], report: Path, tmp_path: Path, kind: str
    ) -> None:
        def broken(pdf: Any) -> None:
            files = pdf.Root.Names.EmbeddedFiles
            if kind == "missing stream":
                del files.Names[1].EF.F
                return
            files.Names = {"text": pikepdf.String("x"), "number": 3, "list": pikepdf.Array([3])}[kind]

        status, _, err = run("verify", forged(report, tmp_path, broken))
        assert status == 1
        assert one_sentence(err), err


def one_sentence(text: str) -> bool:
    """Whether a message is one printable line."""
    return text.count("\n") == 1 and text.startswith("layerclaims: ") and text.strip().isprintable()
