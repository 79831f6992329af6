"""The three answers to each claim: their groups, the sentence that says why they differ, and the first page."""

import itertools
import re
import unicodedata
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from layerclaims.errors import LayerclaimsError
from layerclaims.report import answers, moves, protocols
from layerclaims.report import render as report
from layerclaims.report.answers import (
    GONE,
    HIDDEN,
    HOLDS,
    KINDS,
    NEVER,
    PROCEDURE,
    UNDECIDED,
    UNJUDGED,
    Row,
    kind,
    reported,
)
from layerclaims.report.escaping import unbroken
from layerclaims.report.present import present
from layerclaims.report.wording import caution, certificate
from layerclaims.results import file as results
from layerclaims.results.checking import checked
from layerclaims.results.records import ClaimRecord, ProbeRecord
from layerclaims.results.walk_records import WalkRecord
from layerclaims.verdicts.verdict import Verdict

from tests import sample_results
from tests.report.test_report import run

R, N, I, T, E = (  # noqa: E741  one letter each, as in pytest's line
    Verdict.REPLICATED,
    Verdict.NOT_REPLICATED,
    Verdict.INCONCLUSIVE,
    Verdict.NOT_TESTED,
    Verdict.ERROR,
)
OLDER = Path(__file__).parent.parent / "results" / "results_v1"
SINGLE = sample_results.single_claim()["claims"][0]
NEVER_PUBLISHED = "Never published: the authors' code has no run of this"
UNCONVERGED = ProbeRecord(converged=False, gradient_norm=0.021, iterations=185_000, relative_gap=0.41)


def claim(
    protocol: str,
    verdict: Verdict,
    *,
    name: str = "norm-is-a-feature",
    probe: ProbeRecord | None = None,
    reason: str = "it is so",
    untrained: Verdict | None = None,
    interval: tuple[float, float] = (0.0, 0.002),
) -> ClaimRecord:
    """A claim with one part, as far as the table looks at it."""
    made = {**SINGLE}
    outcome = {R: True, N: False}.get(verdict)
    part = made["parts"][0] | {"holds": outcome, "interval": interval, "estimate": sum(interval) / 2}
    twin = untrained and {"verdict": untrained, "estimate": None, "interval": None, "reason": ""}
    made |= {"id": name, "protocol": protocol, "verdict": verdict, "reason": reason, "parts": [part]}
    made |= {"probe": probe and results.plain(probe), "control_untrained": twin}
    return ClaimRecord.model_validate(made)


def pair(rigorous: Verdict, published: Verdict, **options: Any) -> tuple[ClaimRecord, ClaimRecord]:
    """A claim under both protocols; the rigorous probe has converged, the published one has not."""
    solved = UNCONVERGED.model_copy(update={"converged": True})
    return (
        claim("rigorous", rigorous, probe=solved, **options),
        claim("as-published", published, probe=UNCONVERGED, **options),
    )


def walk(
    *steps: tuple[str, float], alone: tuple[tuple[str, float], ...] = (), half: float = 0.005
) -> WalkRecord:
    """A walk by (ingredient, value)."""
    made = sample_results.walk(
        "norm-is-a-feature",
        "accuracy lost by unit-normalising",
        half,
        [(one, f"{one} as it should be", value, None) for one, value in steps],
        [(one, f"{one} as it should be", value, None) for one, value in alone],
    )
    return WalkRecord.model_validate(made)


SOLVER = walk(("published", 0.13), ("features", 0.1333), ("solver", -0.009), ("rigorous", -0.01))
TWO = walk(("published", 0.2), ("solver", 0.12), ("split", 0.05), ("rigorous", 0.048))
THREE = walk(("published", 0.3), ("solver", 0.2), ("split", 0.1), ("features", 0.02), ("rigorous", 0.0))
STILL = walk(("published", 0.012), ("solver", 0.0101), ("rigorous", 0.009))


class TestGroups:
    def test_hang_on_the_two_verdicts_alone(self) -> None:
        decided = {(R, R): HOLDS, (R, N): PROCEDURE, (N, R): HIDDEN, (N, N): GONE}
        for published, rigorous in itertools.product((*Verdict, None), repeat=2):
            if T in (published, rigorous) or E in (published, rigorous) or None in (published, rigorous):
                expected = UNJUDGED
            elif I in (published, rigorous):
                expected = UNDECIDED
            else:
                expected = decided[published, rigorous]  # type: ignore[index]
            assert kind(published, rigorous) is expected, (published, rigorous)
            assert kind(published, rigorous, never=True) is NEVER

    def test_never_published_is_told_by_the_reason_of_a_verdict_that_is_none(self) -> None:
        assert protocols.never_published(claim("as-published", T, reason=NEVER_PUBLISHED))
        assert not protocols.never_published(claim("as-published", T, reason="it needs a second model"))
        assert not protocols.never_published(claim("as-published", R, reason=NEVER_PUBLISHED))
        assert not protocols.never_published(None)

    def test_every_claim_stands_in_one_group_and_empty_groups_are_left_out(self) -> None:
        made = present(checked(sample_results.three_answers()), interactive=False)
        listed = [line.id for group in made.answers for line in group.lines]
        assert sorted(listed) == sorted(one.id for one in made.claims)
        assert [group.heading for group in made.answers] == [one.heading for one in KINDS]
        fewer = present(checked(sample_results.everything()), interactive=False)
        assert NEVER.heading not in [group.heading for group in fewer.answers]

    def test_a_claim_that_only_one_protocol_has_was_not_judged_by_both(self) -> None:
        made = sample_results.everything()
        made["claims"] = made["claims"][:3]
        *_, last = present(checked(made), interactive=False).answers
        assert (last.heading, [line.why for line in last.lines]) == (
            UNJUDGED.heading,
            ["judged by one protocol only"],
        )
        assert last.lines[0].published.verdict is None

    def test_are_counted_in_the_headline(self) -> None:
        made = present(checked(sample_results.three_answers()), interactive=False)
        assert made.headline == (
            "Of 28 claims, 8 hold, 5 come back only with the published procedure, 1 is true of the model though its "
            "procedure does not show it, 1 does not come back, 5 are not decided, 6 were never published (4 of them "
            "true of the model) and 2 were not judged."
        )
        rows = [
            Row(title="x", rigorous=one, published=other, why="") for one, other in [pair(R, R), pair(N, R)]
        ]
        assert answers.headline(rows) == (
            "Of 2 claims, 1 holds and 1 comes back only with the published procedure."
        )

    def test_are_none_under_one_protocol(self) -> None:
        made = present(checked(sample_results.ten()), interactive=False)
        assert made.answers == ()
        assert made.headline == "8 of 10 claims replicate."

    def test_show_the_part_that_tells_the_answers_apart(self) -> None:
        rigorous, published = pair(N, R)
        second = rigorous.parts[0].model_copy(update={"name": "second", "holds": False, "estimate": 7.0})
        shared = published.parts[0].model_copy(update={"name": "second", "holds": False, "estimate": 8.0})
        first = rigorous.model_copy(update={"parts": (second, *rigorous.parts)})
        other = published.model_copy(update={"parts": (shared, *published.parts)})
        assert [part and part.name for part in protocols.compared(first, other)] == [
            rigorous.parts[0].name
        ] * 2
        alone = published.model_copy(update={"parts": (shared,)})
        renamed = rigorous.model_copy(update={"parts": rigorous.parts})
        assert [part and part.name for part in protocols.compared(renamed, alone)] == [
            rigorous.parts[0].name,
            "second",
        ]
        assert protocols.compared(None, None) == (None, None)

    def test_name_the_part_whose_number_stands_beside_the_posts_unless_it_is_the_first(self) -> None:
        claims = pair(N, R)
        alike = [one.parts[0].model_copy(update={"name": "first", "holds": True}) for one in claims]
        told = [
            one.model_copy(update={"parts": (part, *one.parts)})
            for one, part in zip(claims, alike, strict=True)
        ]
        rows = [
            answers.Row(title="One", rigorous=one, published=other, why="") for one, other in (claims, told)
        ]
        (group,) = answers.groups(rows)
        assert [line.part for line in group.lines] == ["", claims[0].parts[0].name]

    @pytest.mark.parametrize(
        ("text", "value", "wanted"),
        [
            (None, None, "–"),
            (".83 -> .64", 0.19, ".83 → .64"),
            ("gpt2 .92; gpt2-medium .8322; gpt2-xl about .60", 0.8322, ".8322"),
            ("Fig. 2; x1.045 a layer in gpt2-xl", None, "Fig. 2"),
            ("dimensions 591, 690, 581 and 239", None, "dimensions 591,…"),
            ("x" * 300, None, f"{'x' * 19}…"),
        ],
    )
    def test_have_what_the_post_found_in_few_words(
        self, text: str | None, value: float | None, wanted: str
    ) -> None:
        one = claim("rigorous", R).model_copy(update={"reported": text, "reported_value": value})
        assert reported(one) == wanted
        assert len(reported(one)) <= answers.LONGEST_POST


class TestSentence:
    def test_names_the_one_ingredient_that_makes_the_difference(self) -> None:
        assert protocols.contrast(*pair(N, R), SOLVER) == (
            "The solver makes the difference: solving the probe to its optimum takes the accuracy lost by "
            "unit-normalising from .13 to −.01; everything else moves it by less than .004."
        )

    def test_names_two_that_share_it(self) -> None:
        assert protocols.contrast(*pair(N, R), TWO) == (
            "Two ingredients make the difference: solving the probe to its optimum takes the accuracy lost by "
            "unit-normalising from .200 to .120, and splitting by document takes it from .120 to .050; everything "
            "else moves it by less than .003."
        )

    def test_names_the_three_largest_of_many(self) -> None:
        text = protocols.contrast(*pair(N, R), THREE)
        assert text.startswith("Three ingredients make the difference: solving")
        assert text.count(" takes it from ") == 2

    def test_names_a_single_change_that_is_enough_where_the_walk_needs_several(self) -> None:
        steps = [("published", 0.2), ("solver", 0.12), ("split", 0.05), ("rigorous", 0.048)]
        text = protocols.contrast(*pair(N, R), walk(*steps, alone=(("split", 0.19), ("solver", 0.051))))
        assert text == (
            "The solver alone makes the difference: solving the probe to its optimum takes the accuracy lost by "
            "unit-normalising from .20 to .05, with everything else as published."
        )
        short = protocols.contrast(*pair(N, R), walk(*steps, alone=(("solver", 0.12),)))
        assert short.startswith("Two ingredients")

    def test_says_that_the_wrong_dimensions_were_masked(self) -> None:
        text = protocols.contrast(
            *pair(N, R), walk(("published", -0.001), ("mask", 0.11), ("rigorous", 0.104))
        )
        assert text.startswith(
            "The index makes the difference: the four masked dimensions are the right-hand neighbours of the "
            "recurring ones, and masking the recurring ones themselves takes "
        )

    def test_holds_the_number_of_steps_fixed(self) -> None:
        text = protocols.contrast(
            *pair(N, R), walk(("published", 0.27), ("steps", 0.004), ("rigorous", 0.004))
        )
        assert text == (
            "The number of SGD steps makes the difference: with the number of SGD steps held fixed, the accuracy lost "
            "by unit-normalising goes from .270 to .004; nothing else moves it."
        )

    @pytest.mark.parametrize("name", moves.WORDS)
    def test_can_speak_of_every_ingredient(self, name: str) -> None:
        made = walk(("published", 0.3), (name, 0.1))
        text = protocols.contrast(*pair(N, R), made)
        assert "from .30 to .10" in text
        assert text.endswith(".")
        assert "{" not in text

    def test_says_that_nothing_moves_a_number_close_to_the_border(self) -> None:
        text = protocols.contrast(*pair(I, R), STILL)
        assert text.startswith(
            "No ingredient makes the difference: none moves the accuracy lost by unit-normalising"
        )
        assert "close to the pass mark (it must be above .01)" in text
        frozen = walk(("published", 0.01), ("rigorous", 0.01), half=0.0)
        assert protocols.contrast(*pair(I, R), frozen).startswith("No ingredient")

    def test_says_what_moves_a_number_on_which_both_agree(self) -> None:
        text = protocols.contrast(*pair(R, R), SOLVER)
        assert text.startswith("Both agree, although solving the probe to its optimum takes ")
        assert protocols.contrast(*pair(N, N), STILL) == ""
        assert protocols.contrast(*pair(R, R), None) == ""

    def test_blames_position_0_and_unit_vectors_where_no_probe_is_fitted(self) -> None:
        text = protocols.contrast(claim("rigorous", R), claim("as-published", N), None)
        assert text.startswith("The difference comes from position 0 and the scaling of unit vectors")

    def test_says_that_nobody_measured_it(self) -> None:
        wanted = "What makes the difference was not measured in this run."
        assert protocols.contrast(*pair(N, R), None) == wanted
        assert protocols.contrast(*pair(N, R), walk(("published", 0.3))) == wanted
        unfitted = claim("rigorous", R), claim("as-published", N)
        assert protocols.contrast(*unfitted, None, older=True) == wanted

    def test_says_that_the_rigorous_probe_did_not_converge(self) -> None:
        rigorous, published = pair(I, R)
        stalled = rigorous.model_copy(update={"probe": UNCONVERGED})
        assert protocols.contrast(stalled, published, SOLVER).startswith(
            "The rigorous probe did not finish fitting"
        )
        assert protocols.reason(stalled, published, SOLVER) == "undecided: probe not finished"

    def test_says_that_the_authors_published_nothing(self) -> None:
        published = claim("as-published", T, reason=NEVER_PUBLISHED)
        text = protocols.contrast(claim("rigorous", R), published, SOLVER)
        assert text.startswith("The authors published no run of this")

    def test_says_which_was_not_judged(self) -> None:
        assert protocols.contrast(*pair(T, R), None).endswith("not judged under the rigorous protocol.")
        assert protocols.contrast(*pair(R, E), None).endswith("not judged by the published procedure.")
        assert protocols.contrast(None, claim("as-published", R), None) == ""

    def test_prints_no_number_as_zero_that_is_none(self) -> None:
        text = protocols.contrast(*pair(N, R), walk(("published", 0.13), ("solver", 0.0012), half=0.0))
        assert "from .130 to .001" in text
        large = walk(("published", 1200.0), ("positions", 150.0), half=0.0)
        assert "from 1,200 to 150" in protocols.contrast(*pair(N, R), large)

    def test_an_ingredient_out_of_place_is_told_by_its_choice(self) -> None:
        text = protocols.contrast(*pair(N, R), walk(("solver", 0.3), ("published", 0.0)))
        assert "the last step (published as it should be) takes" in text

    def test_a_number_stays_with_the_word_before_it(self) -> None:
        assert (
            str(unbroken("from .13 to .01"))
            == '<span class="nb">from .13</span> <span class="nb">to .01</span>'
        )
        assert str(unbroken("unit-normalising .1")) == 'unit-normalising <span class="nb">.1</span>'


WALKS = [
    None,
    SOLVER,
    TWO,
    THREE,
    STILL,
    *(walk(("published", 0.3), (name, 0.1)) for name in moves.WORDS),
]
WALKS += [
    walk(("published", 0.3), (one, 0.15), (other, 0.0))
    for one, other in itertools.combinations(moves.WORDS, 2)
]
TEXTS = [
    NEVER_PUBLISHED,
    "One model alone has no larger one: give --model several times.",
    "There is no other corpus to transfer to: give --transfer-corpus.",
    "UMAP is not installed",
    "The run's context is 5 tokens, and nothing shorter is compared; raise --context.",
    "a and b have the same number of parameters: neither is larger.",
    "5 folds are needed; raise --folds",
    "Only 12 test documents were measured, and an interval of fewer than 30 is not trusted.",
    "The accuracy is undefined here, because there is nothing to compute it from.",
    "Accuracy is .06 (99.8 % interval .05 to .07). This control should be .03 and is not, so something leaks.",
    "x" * 500,
]


class TestReasons:
    def test_have_at_most_five_words_whatever_happened(self) -> None:
        names = ("norm-is-a-feature", "more-data-higher-accuracy")
        seen = set()
        for rigorous, published in itertools.product(Verdict, repeat=2):
            unfitted = claim("rigorous", rigorous), claim("as-published", published)
            seen.add(protocols.reason(*unfitted, None))
            for text in TEXTS:
                seen.add(protocols.reason(*pair(rigorous, published, reason=text, untrained=R), SOLVER))
            for both in (pair(rigorous, published, name=name) for name in names):
                seen |= {protocols.reason(*both, made) for made in WALKS}
        seen.add(protocols.reason(claim("rigorous", R), None, None))
        assert len(seen) > 25
        assert all(0 < len(one.split()) <= 5 and len(one) <= 32 for one in seen), seen

    @pytest.mark.parametrize(
        ("rigorous", "published", "made", "wanted"),
        [
            (N, R, SOLVER, "solver stops early"),
            (N, R, walk(("published", 0.0), ("mask", 0.3)), "masked the wrong dimensions"),
            (N, R, TWO, "solver and split"),
            (N, R, THREE, "several ingredients together"),
            (N, R, None, "cause not measured"),
            (R, R, SOLVER, "true of the model"),
            (N, N, SOLVER, "not even with its procedure"),
            (I, R, SOLVER, "undecided: too few texts"),
            (R, I, SOLVER, "undecided by its procedure"),
            (R, E, SOLVER, "the harness failed"),
            (T, T, None, "not tested"),
        ],
    )
    def test_say_why(
        self, rigorous: Verdict, published: Verdict, made: WalkRecord | None, wanted: str
    ) -> None:
        assert protocols.reason(*pair(rigorous, published), made) == wanted

    def test_speak_of_what_the_claim_is_about(self) -> None:
        steps = walk(("published", 0.3), ("steps", 0.0))
        for name, wanted in (
            ("more-data-higher-accuracy", "more steps, not more texts"),
            ("longer-context-higher-accuracy", "more steps, not longer texts"),
        ):
            assert protocols.reason(*pair(N, R, name=name), steps) == wanted

    def test_say_that_untrained_weights_pass_too(self) -> None:
        assert protocols.reason(*pair(R, R, untrained=R), None) == "true, untrained weights too"
        assert protocols.reason(*pair(R, R, untrained=N), None) == "true of the model"

    def test_say_that_no_probe_was_fitted(self) -> None:
        both = claim("rigorous", R), claim("as-published", N)
        assert protocols.reason(*both, None) == "position 0, unit scaling"
        assert protocols.reason(*both, None, older=True) == "cause not measured"
        close = claim("rigorous", R, interval=(0.0, 0.2)), claim("as-published", N, interval=(0.0, 0.2))
        assert protocols.reason(*close, walk(("published", 0.1), ("positions", 0.11), half=0.0)) == (
            "close to the pass mark"
        )

    @pytest.mark.parametrize(
        ("text", "wanted"),
        [
            (TEXTS[1], "needs a second model"),
            (TEXTS[2], "needs a second corpus"),
            (TEXTS[3], "needs UMAP"),
            (TEXTS[4], "needs a longer context"),
            (TEXTS[5], "models of one size"),
            (TEXTS[6], "needs more folds"),
        ],
    )
    def test_say_what_a_claim_needs(self, text: str, wanted: str) -> None:
        assert protocols.reason(*pair(T, T, reason=text), None) == wanted


def remarks(made: dict[str, Any]) -> dict[str, str]:
    return {remark.label: remark.text for remark in present(checked(made), interactive=False).certainty}


class TestConvergence:
    def test_as_published_is_told_and_no_fault(self) -> None:
        assert certificate(UNCONVERGED, "as-published") == (
            "Training ended after 185,000 iterations at gradient norm .021. 41 % of its loss lies above the optimum."
        )
        bare = ProbeRecord(converged=False, gradient_norm=None, iterations=None)
        assert certificate(bare, "as-published") == ""
        assert certificate(bare.model_copy(update={"relative_gap": 0.5}), "as-published") == (
            "50 % of its loss lies above the optimum."
        )
        assert certificate(UNCONVERGED, "rigorous").startswith("The probe did not finish fitting within")
        assert certificate(None, "as-published") == ""

    def test_as_published_is_not_asked_for(self) -> None:
        rigorous, published = pair(I, I)
        stalled = rigorous.model_copy(update={"probe": UNCONVERGED})
        assert "Only a probe that finishes fitting" in caution(stalled, stalled.parts[0])
        assert caution(published.model_copy(update={"probe": UNCONVERGED}), published.parts[0]) == ""

    def test_as_published_stands_under_no_warning(self) -> None:
        made = sample_results.three_answers()
        assert "Unreliable" not in remarks(made)
        rigorous = next(one for one in made["claims"] if one["protocol"] == "rigorous" and one["probe"])
        rigorous["probe"]["converged"] = False
        assert remarks(made)["Unreliable"].startswith(
            "1 verdict is unreliable, because a probe did not finish fitting: "
        )


class TestMarkdown:
    def test_is_one_table_that_the_summary_has_too(self) -> None:
        made = checked(sample_results.three_answers())
        table = report.three_answers_markdown(made)
        assert table in report.markdown(made)
        lines = table.splitlines()
        assert {line.count("|") for line in lines} == {6}
        assert len(lines) == 2 + 28 + len(KINDS)
        assert "| **Comes back only with the procedure** (5) | | | | |" in lines
        assert "| Norm is a feature | .83 → .64 | ✅ .127 | ❌ .0012 | solver stops early |" in lines
        assert "| Decision tree separates | – | – | ✅ .341 | never published |" in lines
        assert table.endswith("|\n")

    def test_is_empty_under_one_protocol(self) -> None:
        assert report.three_answers_markdown(checked(sample_results.ten())) == ""
        assert "Its procedure" not in report.markdown(checked(sample_results.ten()))

    def test_the_summary_lists_why_for_the_claims_that_both_judged(self) -> None:
        text = report.markdown(checked(sample_results.three_answers()))
        told = text.split("What makes the answers differ")[1].split("</details>")[0]
        assert "- **Norm is a feature**: The solver makes the difference" in told
        assert "Decision tree separates" not in told
        assert "From one protocol to the other" not in text


class TestPage:
    def test_leads_from_every_row_to_its_claim(self) -> None:
        page = report.html(checked(sample_results.three_answers()))
        table = page.split('<table class="answers">')[1].split("</table>")[0]
        targets = re.findall(r'href="#([^"]+)"', table)
        assert len(set(targets)) == 28
        assert all(f'id="{target}"' in page for target in targets)
        assert table.count("<tbody>") == len(KINDS)

    def test_shows_the_walk_with_the_claim(self) -> None:
        page = report.html(checked(sample_results.three_answers()))
        section = page.split('id="norm-is-a-feature"')[1].split("</details>")[0]
        walked = re.sub(r"<[^>]+>", "", section.split('<table class="walk">')[1].split("</table>")[0])
        for words in ("The published procedure", "+ probe solved to its tolerance", "only split by document"):
            assert words in " ".join(walked.split())
        assert section.count("Changed alone, with everything else as published") == 1

    def test_tells_what_the_authors_did_and_older_files_what_they_did(self) -> None:
        now = report.html(checked(sample_results.three_answers()))
        assert "rate .01, batches of 1,024, 1,000 epochs" in now
        assert "LogisticRegression" not in now
        before = report.html(results.read_results(OLDER / "both-with-untrained.json"))
        assert "LogisticRegression" in before
        assert "1,000 epochs" not in before
        assert "here scikit-learn’s defaults" in before
        assert 'class="answers"' in before

    def test_hostile_walks_stay_text(self) -> None:
        made = checked(sample_results.hostile(protocols=("rigorous", "as-published")))
        page, summary = report.html(made), report.markdown(made)
        tags: list[str] = []

        class Collector(HTMLParser):
            def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
                tags.append(tag)
                assert not [name for name, _ in attrs if name.startswith("on") or name == "style"]

        Collector().feed(page)
        assert not {"img", "iframe", "object", "embed"} & set(tags)
        assert tags.count("script") == 1
        assert 'class="walk"' in page
        for text in (page, summary):
            assert not [c for c in text if unicodedata.category(c) in ("Cc", "Cf") and c != "\n"]
        outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", summary)
        assert set(re.findall(r"</?(\w+)", outside)) <= {"details", "summary"}
        assert "](" not in outside
        assert {line.count("|") for line in report.three_answers_markdown(made).splitlines()} == {6}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The print edition of 28 claims of every group."""
    made = checked(sample_results.three_answers())
    return report.render(made, tmp_path_factory.mktemp("answers"), ("pdf",))[0]


class TestFirstPageInPrint:
    def test_holds_all_claims_and_nothing_else(self, path: Path) -> None:
        first, second = (run("pdftotext", "-layout", "-f", page, "-l", page, path, "-") for page in (1, 2))
        words = " ".join(first.split())
        for one in sample_results.ROWS:
            title = one[0].replace("-", " ").capitalize().replace("Pca ", "PCA ")
            assert title in words or title.rsplit(" ", 1)[0] in words, title
        for group in KINDS:
            assert group.heading in words
        assert "Of 28 claims, 8 hold" in words
        assert "Measured on embedded:movies: 200 texts × 30 tokens." in words
        assert "The run" in second.splitlines()[0]
        assert "Verdicts" in second

    def test_is_in_the_contents_and_the_bookmarks(self, path: Path) -> None:
        import pikepdf

        with pikepdf.open(path) as pdf, pdf.open_outline() as outline:
            titles = [item.title for item in outline.root]
        assert titles[:3] == [
            "Layer claims on SmolLM2-135M-Instruct",
            "Three answers to each claim",
            "The run",
        ]

    def test_a_hostile_run_has_a_sound_pdf(self, tmp_path: Path) -> None:
        made = checked(sample_results.hostile(protocols=("rigorous", "as-published")))
        (path,) = report.render(made, tmp_path, ("pdf",))
        run("qpdf", "--check", path)


class TestRecords:
    def test_walks_are_written_read_and_described_by_the_schema(self, tmp_path: Path) -> None:
        made = results.sealed(checked(sample_results.three_answers()))
        read = results.read_results(results.write(tmp_path / "results.json", made))
        assert results.plain(read)["walks"] == results.plain(made)["walks"]
        jsonschema.Draft202012Validator(results.schema()).validate(results.plain(made))

    @pytest.mark.parametrize(
        ("broken", "message"),
        [
            ({"steps": []}, "walks/0/steps"),
            ({"claim": "No Id"}, "walks/0/claim"),
            ({"quantity": 3}, "walks/0/quantity"),
            ({"more": 1}, "walks/0/more"),
        ],
    )
    def test_a_walk_that_cannot_be_is_refused(self, broken: dict[str, Any], message: str) -> None:
        made = sample_results.three_answers()
        made["walks"][0] |= broken
        with pytest.raises(LayerclaimsError, match=message):
            checked(made)

    def test_a_step_of_an_unknown_ingredient_is_refused(self) -> None:
        made = sample_results.three_answers()
        made["walks"][0]["steps"][1]["ingredient"] = "luck"
        with pytest.raises(LayerclaimsError, match="ingredient"):
            checked(made)

    def test_a_walk_of_a_claim_that_the_run_does_not_have_is_not_shown(self) -> None:
        made = sample_results.three_answers()
        made["walks"][0]["claim"] = "something-else"
        assert "something-else" not in report.html(checked(made))
