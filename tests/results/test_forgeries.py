"""Forgeries: whoever forges a results file makes its checksum anew, so every field is held against something else.

What nothing can contradict is said to be taken as stated; here stands which fields those are, and no other may be.
"""

import copy
import random
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from layerclaims.errors import LayerclaimsError
from layerclaims.results.change_records import ChangeRecord
from layerclaims.results.change_records import outcome as outcome_of
from layerclaims.results.checking import checked
from layerclaims.results.compare import against
from layerclaims.results.file import plain, sealed
from layerclaims.results.verify import verify
from layerclaims.statistics.hypotheses import holm

from tests.computed_results import SHARES, computed
from tests.results.test_verify import remembered  # noqa: F401  the same counts are bootstrapped once
from tests.sample_results import pictures

Run = dict[str, Any]
LINEAR, NORM, RECALL, LARGEST = (
    "layers-linearly-separable", "norm-is-a-feature", "every-layer-recognised", "no-dimension-dominates",
)  # fmt: skip


@pytest.fixture(scope="module")
def honest() -> Run:
    """A run that nobody changed."""
    return made()


@cache
def made() -> Run:
    """A run of both protocols with a baseline, a walk and a figure, as the suite would write it."""
    run = computed(protocols=("rigorous", "as-published"))
    published, rigorous = (claim(run, NORM, protocol) for protocol in ("as-published", "rigorous"))
    run["walks"] = [{
        "claim": NORM, "quantity": "accuracy lost by unit-normalising",
        "steps": [
            {"ingredient": name, "choice": "as chosen", "value": one["estimate"], "interval": one["interval"],
             "converged": True}
            for name, one in (("published", published), ("rigorous", rigorous))
        ],
    }]  # fmt: skip
    raw = run["documents"]["rigorous/raw"]
    recall = [
        sum(row[label] for row in raw["correct"]) / sum(row[label] for row in raw["total"])
        for label in range(6)
    ]
    run["figures"]["accuracy-by-layer-rigorous"] = {
        "kind": "lines", "title": "Recall", "caption": "By layer.", "alt": "Recall by state.",
        "x": {"label": "state", "values": list(range(6))}, "y": {"label": "recall", "log": False},
        "series": [{"name": "recall", "values": recall}], "protocol": "rigorous",
    }  # fmt: skip
    claim(run, RECALL)["figures"] = ["accuracy-by-layer-rigorous"]
    run["pictures"] = [pictures(protocol, 5, tokens=3) for protocol in ("rigorous", "as-published")]
    for one in run["pictures"]:
        one["pictures"] = one["pictures"][1:2]
    earlier = computed(protocols=("rigorous", "as-published"), sample=1, shares={**SHARES, "masked": 0.895})
    run["baseline"] = plain(against(checked(earlier), checked(run)))
    return run


def row(run: Run, status: str) -> dict[str, Any]:
    """The first row of the comparison with the baseline that has a status."""
    found: dict[str, Any] = next(one for one in run["baseline"]["changes"] if one["status"] == status)
    return found


def counted_anew(run: Run) -> None:
    """The outcome of the comparison, counted from its rows."""
    changes = [ChangeRecord.model_validate(one) for one in run["baseline"]["changes"]]
    run["baseline"]["outcome"] = outcome_of(changes)


def claim(run: Run, name: str, protocol: str = "rigorous") -> dict[str, Any]:
    """A claim's entry."""
    found: dict[str, Any] = next(
        one for one in run["claims"] if (one["id"], one["protocol"]) == (name, protocol)
    )
    return found


def mismatches(run: Run) -> tuple[str, ...]:
    """What is found in a forgery with a checksum of its own."""
    return verify(sealed(checked(run))).mismatches


def of_both(run: Run, name: str, p_value: float) -> None:
    """Another p-value of a claim and its first part."""
    for one in (claim(run, name), claim(run, name)["parts"][0]):
        one["p_value"] = p_value


def removed(run: Run, name: str) -> None:
    """A claim less, with Holm's adjustment made anew."""
    run["claims"] = [one for one in run["claims"] if one["id"] != name]
    holm_anew(run)
    run["walks"] = [walk for walk in run["walks"] if walk["claim"] != name]


def holm_anew(run: Run) -> None:
    """Holm's adjustment of the p-values that there are."""
    for protocol in ("rigorous", "as-published"):
        family = [one for one in run["claims"] if one["protocol"] == protocol]
        for one, p in zip(family, holm([one["p_value"] for one in family]), strict=True):
            one["p_holm"] = p


def invented(run: Run) -> None:
    """One more claim of the post, a copy of another."""
    run["claims"] += [
        {**claim(run, NORM, name), "id": "layers-are-beautiful"} for name in ("rigorous", "as-published")
    ]


def option(run: Run, name: str) -> dict[str, Any]:
    """An option's entry."""
    found: dict[str, Any] = next(one for one in run["protocol"]["options"] if one["name"] == name)
    return found


def picture(run: Run) -> dict[str, Any]:
    """The picture under the rigorous protocol."""
    found: dict[str, Any] = run["pictures"][0]["pictures"][0]
    return found


def whole(run: Run) -> None:
    """The file says that no selection was made."""
    run["selected"] = None


# what was forged -> how, and a word that the mismatch has to contain
FORGERIES: dict[str, tuple[Callable[[Run], object], str]] = {
    "statement": (lambda r: claim(r, NORM).update(statement="norms are all"), "statement"),
    "section": (lambda r: claim(r, NORM).update(section="geometry"), "section"),
    "source": (lambda r: claim(r, NORM).update(source="our paper"), "source"),
    "place": (lambda r: claim(r, NORM).update(where="Appendix"), "where"),
    "reported": (lambda r: claim(r, NORM).update(reported=".83 -> .80"), "reported"),
    "reported value": (lambda r: claim(r, NORM).update(reported_value=0.0), "reported_value"),
    "reported cell": (lambda r: claim(r, NORM).update(reported_cell="gpt2, IMDB"), "reported_cell"),
    "reported exact": (lambda r: claim(r, NORM).update(reported_exact=True), "reported_exact"),
    "estimand": (lambda r: claim(r, NORM).update(estimand="beauty"), "estimand"),
    "estimand of a part": (lambda r: claim(r, NORM)["parts"][0].update(estimand="beauty"), "estimand"),
    "name of a part": (lambda r: claim(r, NORM)["parts"][0].update(name="beauty"), "what the rule speaks of"),
    "rule": (lambda r: claim(r, NORM)["criterion"].update(
        text=claim(r, NORM)["criterion"]["text"].replace("Unit-normalising", "Shuffling")), "criterion"),
    "rule in numbers": (lambda r: claim(r, NORM)["criterion"].update(
        text=claim(r, NORM)["criterion"]["text"].replace("above .010.", "above .001.")), "criterion"),
    "published rule": (lambda r: claim(r, LINEAR, "as-published")["criterion"].update(
        text="As published: anything. Here: accuracy above .375."), "criterion"),
    "reason": (lambda r: claim(r, NORM).update(reason="Accuracy lost is large, above the required .010."), "reason"),
    "a digit of a reason": (lambda r: claim(r, LINEAR).update(
        reason=re.sub(r"\d(?= \()", lambda m: str(9 - int(m[0])), claim(r, LINEAR)["reason"], count=1)), "reason"),
    "reason of a number that is only stated": (lambda r: claim(r, LARGEST).update(
        reason=claim(r, LARGEST)["reason"].replace(".05", ".5")), "reason"),
    "p-value of a stated part removed": (
        lambda r: (claim(r, LARGEST)["parts"][0].update(p_value=None), claim(r, LARGEST).update(p_value=None),
                   holm_anew(r)), "has no p-value"),
    "p-value of a stated part": (
        lambda r: (of_both(r, LARGEST, 0.051), holm_anew(r)), "which its interval contradicts"),
    "p-value in a far tail": (lambda r: (of_both(r, LINEAR, 1e-20), holm_anew(r)), "the counts give"),
    "half a p-value": (
        lambda r: (of_both(r, NORM, claim(r, NORM)["p_value"] / 2), holm_anew(r)), "the counts give"),
    "p-value of a control": (lambda r: claim(r, LINEAR)["parts"][1].update(p_value=0.5), "p-value is 0.5"),
    "interval of a control": (
        lambda r: claim(r, LINEAR)["parts"][1].update(confidence=0.95), "confidence is 0.95"),
    "control that has to contain chance": (
        lambda r: claim(r, LINEAR)["parts"][1].update(relation="contains"), "the rule is not above"),
    "confidence of a stated number": (
        lambda r: (claim(r, LARGEST)["parts"][0].update(confidence=0.9), claim(r, LARGEST).update(confidence=0.9)),
        "does not follow from alpha"),
    "error rates": (lambda r: claim(r, LINEAR)["calibration"].update(false_replicated=0.0), "calibration"),
    "plants": (lambda r: claim(r, LINEAR)["calibration"].update(plants=10_000), "calibration"),
    "error rates removed": (lambda r: claim(r, LINEAR).update(calibration=None), "calibration"),
    "error rates of a published rule": (lambda r: claim(r, LINEAR, "as-published").update(
        calibration=claim(r, LINEAR)["calibration"]), "calibration"),
    "draws of a null model": (lambda r: claim(r, LINEAR)["nulls"][0].update(draws=10_000), "null models"),
    "share of a null model": (lambda r: claim(r, LINEAR)["nulls"][0].update(passed=0.05), "null models"),
    "null models removed": (lambda r: claim(r, LINEAR).update(nulls=[]), "null models"),
    "null models of a published rule": (lambda r: claim(r, LINEAR, "as-published").update(
        nulls=claim(r, LINEAR)["nulls"]), "null models"),
    "model": (lambda r: r["model"].update(name="gpt2-xl"), "model/name"),
    "corpus": (lambda r: r["corpora"][0].update(name="pile"), "corpora, main"),
    "texts": (lambda r: r["corpora"][0].update(n_texts=5000), "asked for 60"),
    "option removed": (lambda r: r["protocol"]["options"].remove(option(r, "corpus")), "do not state 'corpus'"),
    "option twice": (lambda r: r["protocol"]["options"].append({**option(r, "model"), "value": "gpt2"}), "2 times"),
    "claim removed": (lambda r: (removed(r, NORM), whole(r)), "claims are not in the file"),
    "claim removed from a selection": (lambda r: removed(r, NORM), "7 claims were run, and the file has 6"),
    "claim removed under one protocol": (
        lambda r: (r["claims"].remove(claim(r, LARGEST, "as-published")), whole(r)), "under as-published"),
    "claim invented": (invented, "no such claim"),
    "selection": (lambda r: r["selected"].update(claims=5), "5 claims were run"),
    "selection of fewer than there are": (lambda r: r["selected"].update(of=7), "not in the file"),
    "counts of nothing": (lambda r: r["documents"].update(
        {"rigorous/other": r["documents"]["rigorous/raw"]}), "no claim rests"),
    "packages": (lambda r: r["environment"].update(packages={}), "environment"),
    "start of a walk": (lambda r: r["walks"][0]["steps"][0].update(value=0.5), "walks"),
    "end of a walk": (lambda r: r["walks"][0]["steps"][-1].update(value=0.5), "walks"),
    "interval of a walk": (lambda r: r["walks"][0]["steps"][-1].update(interval=[0.0, 0.5]), "walks"),
    "a walk that begins elsewhere": (lambda r: r["walks"][0]["steps"][0].update(ingredient="split"), "begins with"),
    "walk of a claim without a number": (lambda r: r["walks"][0].update(claim="pca-shows-drift"), "walks"),
    "figure": (lambda r: r["figures"]["accuracy-by-layer-rigorous"]["series"][0].update(
        values=[0.1, *r["figures"]["accuracy-by-layer-rigorous"]["series"][0]["values"][1:]]), "state 0"),
    "picture of other states": (lambda r: picture(r).update(states=[1, 2, 3, 4, 6]), "the model does not have"),
    "picture of a state twice": (lambda r: picture(r).update(states=[1, 2, 3, 4, 4]), "the model does not have"),
    "picture of more texts": (lambda r: picture(r).update(n_documents=4), "more texts than tokens"),
    "pictures twice": (lambda r: r["pictures"][1].update(protocol="rigorous"), "stand twice"),
    "outcome of a comparison": (lambda r: r["baseline"].update(outcome="14 same"), "baseline/outcome"),
    "a regression hidden": (
        lambda r: (row(r, "regressed").update(status="changed"), counted_anew(r)), "its numbers give 'regressed'"),
    "a regression called the same": (
        lambda r: (row(r, "regressed").update(status="same"), counted_anew(r)), "its numbers give 'regressed'"),
    "a regression invented": (
        lambda r: (row(r, "same").update(status="regressed"), counted_anew(r)), "its numbers give 'same'"),
    "intervals of a comparison": (lambda r: row(r, "regressed").update(separate=False), "separate"),
    "verdict in a comparison": (
        lambda r: row(r, "regressed")["new"].update(verdict="REPLICATED"), "and the claim NOT_REPLICATED"),
    "estimate in a comparison": (lambda r: row(r, "regressed")["new"].update(estimate=0.0), "the claim gives"),
    "part of a comparison": (lambda r: row(r, "regressed").update(part="beauty"), "does not have"),
    "row of a comparison removed": (
        lambda r: (r["baseline"]["changes"].remove(row(r, "regressed")), counted_anew(r)), "has no row there"),
    "row of a comparison twice": (
        lambda r: (r["baseline"]["changes"].append(row(r, "same")), counted_anew(r)), "stands there 2 times"),
    "claim said not to be run": (
        lambda r: (row(r, "regressed").update(new=None, status="incomparable", separate=None), counted_anew(r)),
        "whether the run has this claim"),
    "figure of nothing": (lambda r: r["figures"].update(
        other=r["figures"]["accuracy-by-layer-rigorous"]), "with no claim"),
}  # fmt: skip


def test_the_honest_file_is_verified(honest: Run) -> None:
    outcome = verify(sealed(checked(honest)))
    assert outcome.mismatches == ()
    assert outcome.verified
    assert outcome.conclusion.startswith("VERIFIED: ")


@pytest.mark.parametrize("what", FORGERIES)
def test_a_forgery_with_a_right_checksum_is_seen(honest: Run, what: str) -> None:
    forge, word = FORGERIES[what]
    run = copy.deepcopy(honest)
    forge(run)
    found = mismatches(run)
    assert any(word in line for line in found), found


def test_a_removed_checksum_is_seen(honest: Run) -> None:
    run = copy.deepcopy(honest)
    del run["sha256"]
    assert any("sha256: is absent" in line for line in verify(checked(run)).mismatches)


def test_the_conclusion_counts_what_was_seen(honest: Run) -> None:
    outcome = verify(sealed(checked(honest)))
    counts = len(outcome.recomputed), len(outcome.stated)
    assert outcome.text().endswith(
        f"VERIFIED: {counts[0]} verdicts recomputed and equal; {counts[1]} cannot be recomputed but agree with their "
        "intervals."
    )


def test_a_file_of_another_version_is_not_held_to_these_texts(honest: Run) -> None:
    run = copy.deepcopy(honest)
    run["harness"]["version"] = "99.0"
    claim(run, NORM)["statement"] = "as it was worded then"
    outcome = verify(sealed(checked(run)))
    assert outcome.mismatches == ()
    assert "layerclaims 99.0 wrote the file" in outcome.text()
    assert outcome.conclusion.startswith("VERIFIED (of numbers, not of rules and texts): ")


# Taken as stated, as `verification.STATED` says in words: the places of fields, without positions in lists.
STATED = re.compile(
    r"created|command|schema_version|sha256|harness/(version|git_commit)|environment/.*|protocol/options(/source)?"
    r"|model/(revision|architecture|n_parameters|dtype|tied_embeddings|weights_sha256|hidden_size)"
    r"|corpora(/(revision|skipped|ids_sha256|n_available))?|documents/[^/]*/[^/]*/documents|selected/of"
    r"|claims(/(seconds|probe/.*|n_documents|n_vectors|parts/estimand))?"
    r"|walks/(quantity|steps/(choice|converged|ingredient))"
    r"|pictures(/.*)?"
    r"|baseline/(model|revision|created|n_texts|context|seed|sha256)|baseline/changes(/(note|baseline/.*))?"
    r"|figures/[^/]*/(title|caption|alt|protocol|x/.*|y/.*|series/name)"
)


def leaves(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all numbers, texts, truths and nulls, and of all lists."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, (*place, name))
    else:
        if not isinstance(value, list) or len(value) > 1:
            yield place
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from leaves(item, (*place, index))


def changed(value: Any, random_: random.Random) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return random_.choice([value + 1, value - 1, 0, 10**12, -value, value * 2])
    if isinstance(value, float):
        return random_.choice([value + 0.01, value - 0.01, -value, value * 2, 1e300, 0.0])
    if isinstance(value, str):
        return random_.choice([f"{value}x", value[:-1], "", "\ud800\x1b[31m", "rigorous", "REPLICATED"])
    if isinstance(value, list):
        shorter, swapped = value[:-1], [*value[1:], value[0]]
        return random_.choice([shorter, swapped, [*value, value[-1]]])
    return 0.5


@settings(
    max_examples=100, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(seed=st.integers(0, 10**9))
def test_what_is_changed_is_seen_or_said_to_be_stated(seed: int) -> None:
    honest, random_ = made(), random.Random(seed)  # no fixture: Hypothesis would print it
    run = copy.deepcopy(honest)
    places = [place for place in leaves(run) if place[0] != "documents"]
    counts = [place for place in leaves(run["documents"], ("documents",)) if place]
    place = random_.choice(places if random_.random() < 0.9 else counts)
    target: Any = run
    for step in place[:-1]:
        target = target[step]
    before = target[place[-1]]
    target[place[-1]] = changed(before, random_)
    if target[place[-1]] == before:
        return
    try:
        forged = sealed(checked(run))
    except LayerclaimsError:
        return  # no results file at all
    if forged == sealed(checked(honest)):
        return  # less than the digits that a file keeps
    outcome = verify(forged)
    assert outcome.text()
    if not outcome.mismatches:
        name = "/".join(str(step) for step in place if not isinstance(step, int))
        assert STATED.fullmatch(name), f"{place}: {before!r} -> {target[place[-1]]!r}"
