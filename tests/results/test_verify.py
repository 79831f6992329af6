"""Verification: an honest file passes, and whatever is changed in one is seen."""

import copy
import json
import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from layerclaims.errors import LayerclaimsError
from layerclaims.protocol import resolve_options
from layerclaims.recording.record import unjudged
from layerclaims.results import file as results
from layerclaims.results.checking import checked
from layerclaims.results.file import sealed
from layerclaims.results.verify import Verification, verify_file
from layerclaims.results.verify import verify as verify_records
from layerclaims.statistics import counts as recipes
from layerclaims.statistics.estimate import Estimate
from layerclaims.verdicts import registry
from layerclaims.verdicts.verdict import Verdict

from tests.computed_results import computed

LINEAR, RECALL, NORM, MASKED, DROP, LARGEST = (
    "layers-linearly-separable", "every-layer-recognised", "norm-is-a-feature",
    "masking-recurring-dimensions-is-negligible", "accuracy-drops-on-another-corpus", "no-dimension-dominates",
)  # fmt: skip
Run = dict[str, Any]


@pytest.fixture(scope="module")
def honest() -> Run:
    return computed()


@pytest.fixture(scope="module", autouse=True)
def remembered() -> Iterator[None]:
    """A bootstrap of the same counts is not run a hundred times: `compute` is a pure function."""
    found: dict[bytes, Estimate] = {}

    def compute(recipe: Any, series: Any, **how: Any) -> Estimate:
        key = pickle.dumps(
            (recipe, how, [(n, s.corpus, s.documents, s.correct, s.total) for n, s in sorted(series.items())])
        )
        if key not in found:
            found[key] = recipes.compute(recipe, series, **how)
        return found[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("layerclaims.results.claim_check.compute", compute)
        yield


def claim(run: Run, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(entry for entry in run["claims"] if entry["id"] == name)
    return found


def part(run: Run, name: str, index: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = claim(run, name)["parts"][index]
    return found


def verify(run: Run, **known: Any) -> Verification:
    """Verify the content of a file that the records let through, with a checksum made anew, as a forger would."""
    return verify_records(sealed(checked(run)), **known)


def tampered(honest: Run, change: Callable[[Run], object]) -> Verification:
    run = copy.deepcopy(honest)
    change(run)
    return verify(run)


def test_a_file_of_version_4_is_held_to_the_rules_of_today(honest: Run) -> None:
    """Version 5 adds a comparison with a baseline, and judges no claim another way."""
    run = copy.deepcopy(honest)
    run["schema_version"] = 4
    found = verify(run)
    assert found.mismatches == ()
    assert found.unchecked == ""
    run["claims"][0]["statement"] = "something else"
    assert verify(run).mismatches != ()


class TestHonestFiles:
    def test_pass_and_say_what_was_recomputed(self, honest: Run) -> None:
        outcome = verify(honest)
        assert outcome.mismatches == ()
        assert [name.split()[0] for name in outcome.stated] == [LARGEST]
        assert len(outcome.recomputed) == 6
        assert "VERIFIED" in outcome.text()
        assert "cannot be recomputed from this file" in outcome.text()

    @pytest.mark.parametrize("seed", [1, 7])
    def test_pass_for_any_seed_and_both_protocols(self, seed: int) -> None:
        run = computed(seed=seed, sample=seed, protocols=("rigorous", "as-published"))
        assert verify(run).mismatches == ()

    def test_pass_after_a_round_through_the_disk(self, honest: Run, tmp_path: Path) -> None:
        assert verify_file(results.write(tmp_path / "results.json", checked(honest))).mismatches == ()

    def test_pass_where_the_probe_did_not_converge(self, honest: Run) -> None:
        def unconverged(run: Run) -> None:
            entry = claim(run, LINEAR)
            entry["probe"]["converged"] = False
            entry["verdict"], entry["survives_holm"] = "INCONCLUSIVE", None
            entry["reason"] = (
                "The probe behind the accuracy did not finish fitting within 12 iterations (gradient norm 1.0e-07), so "
                "its value of .890 is not reliable."
            )

        assert tampered(honest, unconverged).mismatches == ()

    def test_pass_with_claims_that_were_not_tested(self, honest: Run) -> None:
        def untested(run: Run) -> None:
            not_measured(run, LARGEST)
            others = [c for c in run["claims"] if c["p_value"] is not None]
            from layerclaims.statistics.hypotheses import holm

            for entry, p in zip(others, holm([c["p_value"] for c in others]), strict=True):
                entry["p_holm"] = p

        outcome = tampered(honest, untested)
        assert outcome.mismatches == ()
        assert [name.split()[0] for name in outcome.without] == [LARGEST]

    def test_few_documents_are_inconclusive(self) -> None:
        run = computed(n_texts=20)
        assert {entry["verdict"] for entry in run["claims"]} == {"INCONCLUSIVE"}
        assert verify(run).mismatches == ()


def not_measured(run: Run, name: str) -> None:
    """A claim as the suite records one that could not be measured."""
    record = unjudged(
        registry.post_claims()[name].claim,
        Verdict.NOT_TESTED,
        "It could not be.",
        protocol=resolve_options({o["name"]: (o["value"], "test") for o in run["protocol"]["options"]}),
        seconds=0.0,
    )
    entry = claim(run, name)
    entry.clear()
    entry.update(results.plain(record))


def nudge(mapping: dict[str, Any], key: str, by: float) -> None:
    mapping[key] += by


# what was changed -> how, and a word that the mismatch has to contain
TAMPERINGS: dict[str, tuple[Callable[[Run], object], str]] = {
    "estimate of a part": (lambda r: nudge(part(r, LINEAR), "estimate", 1e-6), "estimate"),
    "estimate of a claim": (lambda r: nudge(claim(r, LINEAR), "estimate", 1e-6), "estimate"),
    "estimate of both": (
        lambda r: (nudge(part(r, LINEAR), "estimate", 0.01), nudge(claim(r, LINEAR), "estimate", 0.01)),
        "estimate",
    ),
    "interval of a part": (lambda r: part(r, RECALL).update(interval=[0.8, 0.99]), "interval"),
    "interval of a claim": (lambda r: claim(r, RECALL).update(interval=[0.8, 0.99]), "interval"),
    "no interval": (lambda r: part(r, RECALL).update(interval=None), "interval"),
    "interval that cannot be recomputed": (
        lambda r: (part(r, LARGEST).update(interval=[0.04, 0.06]), claim(r, LARGEST).update(interval=[0.04, 0.06])),
        "its interval",
    ),
    "estimate that cannot be recomputed": (lambda r: part(r, LARGEST).update(estimate=0.9), "estimate"),
    "confidence": (lambda r: part(r, LINEAR).update(confidence=0.5), "confidence"),
    "method": (lambda r: part(r, LINEAR).update(method="jackknife"), "method"),
    "count": (lambda r: r["documents"]["rigorous/raw"]["correct"][3].__setitem__(2, 0), "the counts give"),
    "count that keeps the sums": (
        lambda r: (
            r["documents"]["rigorous/raw"]["correct"][3].__setitem__(0, 0),
            r["documents"]["rigorous/raw"]["correct"][3].__setitem__(
                1, r["documents"]["rigorous/raw"]["correct"][3][1]
            ),
        ),
        "the counts give",
    ),
    "document removed": (
        lambda r: [r["documents"]["rigorous/raw"][key].pop() for key in ("documents", "correct", "total")],
        "the counts give",
    ),
    "document twice": (
        lambda r: r["documents"]["rigorous/raw"]["documents"].__setitem__(0, 1),
        "one row for each document",
    ),
    "document that is not in the corpus": (
        lambda r: r["documents"]["rigorous/raw"]["documents"].__setitem__(59, 6000),
        "of 5249 texts",
    ),
    "more answers than tokens": (
        lambda r: r["documents"]["rigorous/raw"]["total"][0].__setitem__(0, 51),
        "51 answers",
    ),
    "series removed": (lambda r: r["documents"].pop("rigorous/unit"), "no sound counts"),
    "n_documents": (lambda r: claim(r, LINEAR).update(n_documents=6000), "n_documents"),
    "n_documents lowered": (lambda r: claim(r, LINEAR).update(n_documents=59), "n_documents"),
    "n_vectors": (lambda r: claim(r, LINEAR).update(n_vectors=1), "n_vectors"),
    "threshold of a part": (lambda r: part(r, LINEAR).update(threshold=0.3751), "threshold"),
    "threshold of a claim": (lambda r: claim(r, LINEAR)["criterion"].update(threshold=0.1), "threshold"),
    "threshold in both places": (
        lambda r: (part(r, NORM).update(threshold=-0.5), claim(r, NORM)["criterion"].update(threshold=-0.5)),
        "the rule is > 0.01",
    ),
    "threshold in both places, cannot be recomputed": (
        lambda r: (
            part(r, LARGEST).update(threshold=0.051),
            claim(r, LARGEST)["criterion"].update(threshold=0.051),
        ),
        "the rule is < 0.05",
    ),
    "threshold of a second part": (
        lambda r: part(r, "norm-is-not-the-only-feature", 1).update(threshold=0.0),
        "the rule is > 0.05",
    ),
    "margin": (lambda r: part(r, MASKED).update(threshold=[-0.1, 0.1]), "the rule is inside"),
    "lopsided margin": (lambda r: part(r, MASKED).update(threshold=[-0.01, 0.1]), "evenly around zero"),
    "relation": (lambda r: part(r, NORM).update(relation="<"), "the rule is >"),
    "part removed": (lambda r: claim(r, LINEAR)["parts"].pop(), "its rule 2"),
    "recipe": (
        lambda r: part(r, NORM).update(recipe={"statistic": "difference", "series": ["raw", "norm"]}),
        "rests on",
    ),
    "recipe removed": (lambda r: part(r, NORM).update(recipe=None), "rests on"),
    "recipe of nothing": (lambda r: part(r, NORM).update(recipe={"statistic": "mode", "series": ["raw"]}), "recipe"),
    "recipe of no series": (lambda r: part(r, NORM).update(recipe={"statistic": "accuracy", "series": []}), "recipe"),
    "p-value of a part": (lambda r: part(r, LINEAR).update(p_value=0.5), "p-value"),
    "p-value of a claim": (lambda r: claim(r, LINEAR).update(p_value=0.5), "p-value"),
    "p-value that cannot be recomputed": (
        lambda r: (part(r, LARGEST).update(p_value=0.2), claim(r, LARGEST).update(p_value=0.2)),
        "p-value",
    ),
    "p-value removed": (lambda r: claim(r, LINEAR).update(p_value=None), "p-value"),
    "Holm": (lambda r: claim(r, LINEAR).update(p_holm=0.04), "p_holm"),
    "Holm removed": (lambda r: claim(r, LINEAR).update(p_holm=None), "p_holm"),
    "survival of Holm": (lambda r: claim(r, LINEAR).update(survives_holm=False), "survives_holm"),
    "holds": (lambda r: part(r, NORM).update(holds=True), "holds"),
    "holds, cannot be recomputed": (lambda r: part(r, LARGEST).update(holds=None), "undecided"),
    "seed": (lambda r: r["protocol"].update(seed=1), "seed"),
    "alpha": (lambda r: r["protocol"].update(alpha=0.1), "alpha"),
    "option": (lambda r: r["protocol"]["options"][4].update(value=77), "hash"),
    "options that are no protocol": (lambda r: r["protocol"]["options"][4].update(value="x"), "protocol"),
    "hash": (lambda r: r["protocol"].update(hash="0" * 16), "hash"),
    "corpus": (lambda r: r["corpora"].pop(), "transfer corpus"),
    "labels": (lambda r: r["model"].update(n_blocks=3), "labels"),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERINGS)
def test_a_change_is_seen(honest: Run, what: str) -> None:
    change, word = TAMPERINGS[what]
    found = tampered(honest, change).mismatches
    assert found
    assert any(word in line for line in found), found


@pytest.mark.parametrize("verdict", ["REPLICATED", "NOT_REPLICATED", "INCONCLUSIVE", "NOT_TESTED", "ERROR"])
@pytest.mark.parametrize("name", [LINEAR, NORM, MASKED, DROP, LARGEST])
def test_another_verdict_is_seen(honest: Run, name: str, verdict: str) -> None:
    right = claim(honest, name)["verdict"]
    found = tampered(honest, lambda run: claim(run, name).update(verdict=verdict)).mismatches
    assert bool(found) == (verdict != right)


@pytest.mark.parametrize("series", ["raw", "unit", "norm", "shuffled", "masked", "transfer"])
def test_any_single_count_of_a_used_series_is_seen(honest: Run, series: str) -> None:
    def change(run: Run) -> None:
        row = run["documents"][f"rigorous/{series}"]["correct"][11]
        row[4] += 1 if row[4] < 10 else -1

    assert tampered(honest, change).mismatches


def test_mismatches_are_one_inert_line_each(honest: Run) -> None:
    def change(run: Run) -> None:
        part(run, LINEAR).update(name="\x1b[31m\u202eevil\nline", estimate=0.1)
        part(run, NORM)["recipe"] = {"statistic": "\x1b[31m", "series": ["\u202e"]}

    text = tampered(honest, change).text()
    assert all(c.isprintable() or c == "\n" for c in text)
    assert all(
        line.startswith(("mismatch:", "  ", "checksum")) or line[0].isdigit() or line[0].isupper()
        for line in text.splitlines()
    )


class TestChecksum:
    def test_covers_what_no_count_can_tell(self, honest: Run) -> None:
        sealed = copy.deepcopy(honest)
        assert "sha256" in verify_records(checked(sealed)).checksums
        claim(sealed, LARGEST)["seconds"] = 99.0
        assert any("sha256" in line for line in verify_records(checked(sealed)).mismatches)


@pytest.fixture(scope="module")
def pdf(tmp_path_factory: pytest.TempPathFactory, honest: Run) -> Path:
    pytest.importorskip("weasyprint", exc_type=OSError)
    from layerclaims.report import render as report

    path = tmp_path_factory.mktemp("pdf") / "report.pdf"
    path.write_bytes(report.pdf(checked(honest)))
    return path


class TestPdf:
    def test_verifies_what_is_attached(self, pdf: Path) -> None:
        outcome = verify_file(pdf)
        assert outcome.mismatches == ()
        assert "the PDF's identifier" in outcome.checksums

    def test_an_attachment_in_place_of_another_is_seen(self, pdf: Path, tmp_path: Path) -> None:
        import pikepdf

        other = computed(sample=5)  # sound in itself
        path = tmp_path / "swapped.pdf"
        with pikepdf.open(pdf) as opened:
            opened.attachments["results.json"].obj.EF.F.write(results.dumps(checked(other)).encode())
            opened.save(path)
        assert verify(other).mismatches == ()
        assert [line for line in verify_file(path).mismatches if "other results" in line]

    def test_a_tampered_attachment_is_seen(self, pdf: Path, honest: Run, tmp_path: Path) -> None:
        import pikepdf

        run = copy.deepcopy(honest)
        claim(run, NORM)["verdict"] = "REPLICATED"
        path = tmp_path / "tampered.pdf"
        with pikepdf.open(pdf) as opened:
            opened.attachments["results.json"].obj.EF.F.write(results.dumps(checked(run)).encode())
            opened.save(path)
        assert any(NORM in line for line in verify_file(path).mismatches)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema_version": 99}', b"%PDF-1.7 nothing"])
def test_what_is_no_results_file_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(LayerclaimsError):
        verify_file(path)


class TestUnknownClaims:
    def test_are_named_and_held_against_themselves_only(self, honest: Run) -> None:
        def renamed(run: Run) -> None:
            claim(run, LINEAR).update(id="my-claim")
            claim(run, "my-claim")["parts"][0]["threshold"] -= 0.01
            claim(run, "my-claim")["criterion"]["threshold"] -= 0.01

        assert (
            "1 claim is not known here, its rule was not checked: my-claim"
            in tampered(honest, renamed).text()
        )
        assert verify(honest).unknown == ()

    def test_are_known_where_they_are_given(self, honest: Run) -> None:
        run = copy.deepcopy(honest)
        claim(run, LINEAR).update(id="my-claim", source="our paper", calibration=None, nulls=[])
        theirs = registry.post_claims()[LINEAR]
        own = replace(theirs, claim=replace(theirs.claim, id="my-claim", source="our paper", where="table 2"))
        claim(run, "my-claim").update(where="table 2")
        known = {**registry.post_claims(), "my-claim": own}
        assert verify(run, claims=known).unknown == verify(run, claims=known).mismatches == ()
        part(run, "my-claim")["threshold"] -= 0.01
        assert any("and the rule is >" in line for line in verify(run, claims=known).mismatches)
        assert verify(run, claims={}).unknown == tuple(dict.fromkeys(entry["id"] for entry in run["claims"]))


class TestCatalogue:
    def test_every_claim_declares_a_rule_in_words_and_a_place(self) -> None:
        for name, entry in registry.post_claims().items():
            assert entry.rule, name
            assert entry.location.rpartition(":")[2].isdigit()
            assert entry.claim.id == name


def test_the_sample_is_plain_json(honest: Run) -> None:
    assert json.loads(json.dumps(honest)) == honest


class TestWhatAFailureMeans:
    """A claim's code may say it, and it stands before the numbers of the reason."""

    def test_is_let_through_where_the_code_is_not_at_hand(self, honest: Run) -> None:
        def own(run: Run) -> None:
            entry = claim(run, LINEAR)
            entry["reason"] = f"Layers are hard to tell apart. {entry['reason']}"

        assert tampered(honest, own).mismatches
        run = copy.deepcopy(honest)
        own(run)
        assert not [line for line in verify(run, claims={}).mismatches if "reason" in line]
