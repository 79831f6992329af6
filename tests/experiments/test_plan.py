"""What a run needs, said and checked before the first forward pass."""

import dataclasses
import shutil
from collections import namedtuple
from itertools import pairwise

import pytest
from layerclaims import RAW, TRANSFER, accuracy, difference, measurement, quarter
from layerclaims.corpora.selection import select
from layerclaims.errors import LayerclaimsError, NotTestedError
from layerclaims.experiments import plan, subject
from layerclaims.experiments.measurement import Values
from layerclaims.experiments.norms import norms_by_state
from layerclaims.experiments.pictures import planes
from layerclaims.experiments.probes import layer_probe, transferred
from layerclaims.experiments.study import Study
from layerclaims.protocol import Protocol, resolve_options
from layerclaims.verdicts.declaration import Declaration
from layerclaims.verdicts.registry import post_claims

from tests import tiny

Usage = namedtuple("Usage", ["total", "used", "free"])


@pytest.fixture
def study(tmp_path):
    tiny.write_jsonl(tmp_path / "main.jsonl", tiny.texts(60))
    protocol = Protocol(
        model=str(tiny.build("llama", tmp_path / "model")),
        corpus=str(tmp_path / "main.jsonl"),
        transfer_corpus=str(tmp_path / "absent.jsonl"),
        n_texts=40,
        context=8,
    )
    return Study(protocol, cache_dir=tmp_path / "cache")


def rule(claim):
    return post_claims()[claim].declaration


def test_a_claim_about_norms_asks_for_no_other_corpus(study):
    made = plan.make_plan([(study, [rule("last-layer-norm-dominates")], ())])
    ((_, roles, measurements),) = made.studies
    assert roles == ("main",)
    assert measurements == (norms_by_state, planes)  # and what the report shows of the states
    made.prepare()  # the other corpus is not there at all
    assert study.corpora_read == ("main",)


def test_what_a_measurement_is_made_of_comes_before_it(study):
    declaration = Declaration(conditions=(difference(RAW, TRANSFER, name="lost").above(0.02),))
    assert plan.needed(study, [declaration]) == (layer_probe, transferred)
    assert plan.roles_of(study, [declaration]) == ("main", "transfer")


@pytest.mark.parametrize("name", ["rigorous", "as-published"])
def test_claims_of_one_corpus_follow_each_other_the_cheap_ones_first(name):
    """Norms take a pass of the states, everything else more; probes come after what needs none."""
    costs = {row: plan.cost(rule(row), Protocol(name=name)) for row in post_claims()}
    order = sorted(costs, key=costs.get)
    tested = [row for row in order if costs[row] != ((), 0.0)]
    assert set(tested[:2]) == {"layer-norms-grow-exponentially", "last-layer-norm-dominates"}
    assert order.index("layer-zero-closes-a-ring") < order.index("layers-linearly-separable")
    assert order.index("layers-linearly-separable") < order.index("accuracy-drops-on-another-corpus")
    corpora = [costs[row][0] for row in order]
    assert len(set(corpora)) == 1 + sum(a != b for a, b in pairwise(corpora))


def test_a_claim_whose_rule_is_not_known_comes_last():
    assert plan.cost(None, Protocol()) > max(plan.cost(rule(row), Protocol()) for row in post_claims())


def test_what_every_model_of_a_run_takes_counts():
    assert plan.cost(rule("larger-model-lower-accuracy"), Protocol())[1] >= layer_probe.weight


def test_a_rule_that_is_not_known_may_read_both_corpora(study):
    assert plan.roles_of(study, [None]) == ("main", "transfer")


def test_only_the_claim_about_punctuation_reads_texts_without(study):
    stripped = [
        claim for claim in post_claims() if any("without" in r for r in plan.roles_of(study, [rule(claim)]))
    ]
    assert stripped == ["punctuation-explains-the-drop"]


def test_what_cannot_be_had_is_no_step(study):
    assert plan.needed(study, [rule("larger-model-lower-accuracy")]) == ()


def test_a_run_without_room_is_refused_before_anything_is_loaded(study, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 1000))
    monkeypatch.setattr(Study, "_model", None)
    with pytest.raises(LayerclaimsError, match=r"takes .* on disk, but .* has 1\.0 kB free"):
        plan.make_plan([(study, [rule("layers-linearly-separable")], ())]).prepare()


def test_texts_that_are_too_few_or_too_short_are_refused_before_any_weights(study, monkeypatch, tmp_path):
    """The other corpus has texts enough, but hardly one is long enough: only the tokenizer can tell."""
    short = [f"text {n}" for n in range(60)]
    tiny.write_jsonl(tmp_path / "absent.jsonl", [*tiny.texts(5), *short])
    monkeypatch.setattr(Study, "_model", None)
    made = plan.make_plan([(study, [None], ())])
    with pytest.raises(LayerclaimsError, match=r"absent.jsonl' has \d+ different texts of 8 tokens or more"):
        made.prepare()
    assert not list(study.cache_dir.glob("states/*/shard-*"))


def test_too_few_texts_are_refused_before_the_model_is_looked_for(study, monkeypatch, tmp_path):
    tiny.write_jsonl(tmp_path / "absent.jsonl", tiny.texts(5) * 20)
    monkeypatch.setattr(Study, "source", property(lambda _: pytest.fail("the model was looked for")))
    with pytest.raises(LayerclaimsError, match=r"absent.jsonl' has 5 different texts, but 40 are asked for"):
        plan.make_plan([(study, [None], ())]).prepare()


def test_texts_of_too_few_characters_are_refused_before_the_model_is_looked_for(study, monkeypatch, tmp_path):
    tiny.write_jsonl(tmp_path / "absent.jsonl", tiny.texts(39) + [f"s {i}" for i in range(100)])
    longer = Study(dataclasses.replace(study.protocol, context=16), cache_dir=study.cache_dir)
    monkeypatch.setattr(Study, "source", property(lambda _: pytest.fail("the model was looked for")))
    with pytest.raises(
        LayerclaimsError, match="has 39 different texts that are long enough for 16 tokens, of 139"
    ):
        plan.make_plan([(longer, [None], ())]).prepare()


def test_texts_are_chosen_once(study, monkeypatch):
    asked = []
    monkeypatch.setattr(subject, "select", lambda *given, **how: asked.append(1) or select(*given, **how))
    plan.make_plan([(study, [rule("last-layer-norm-dominates")], ())]).prepare()
    assert asked == [1]
    assert study.store("main").n_documents == 40


def test_without_a_transfer_corpus_its_claims_are_not_tested(study):
    given = {"model": study.protocol.model, "corpus": study.protocol.corpus, "transfer_corpus": "none"}
    protocol = resolve_options({name: (value, "test") for name, value in given.items()})
    assert protocol.transfer_corpus is None
    alone = Study(protocol, cache_dir=study.cache_dir)
    with pytest.raises(NotTestedError, match="--transfer-corpus"):
        alone.store("transfer")


def test_two_measurements_of_one_name_are_refused():
    @measurement("main", name="mean-entry-of-a-test")
    def one(study):
        return Values(arrays={}, facts={})

    with pytest.raises(LayerclaimsError, match="two measurements called mean-entry-of-a-test"):

        @measurement("main", name="mean-entry-of-a-test")
        def other(study):
            return Values(arrays={}, facts={})


def test_a_raised_version_is_measured_anew(study):
    kinds = [
        measurement("main", name="versioned", version=v)(lambda _: Values(arrays={}, facts={}))
        for v in (1, 2)
    ]
    study.values(kinds[0])
    assert study.has(kinds[0])
    assert not study.has(kinds[1])


def test_a_study_judges_any_claim_and_names_the_nearest(study):
    def test_own(judge):
        judge(accuracy(RAW, name="accuracy").above(quarter(0.9)))

    with pytest.raises(LayerclaimsError, match="no claim: declare it with @claim"):
        study.judge(test_own)
    with pytest.raises(LayerclaimsError, match="the nearest is norm-is-a-feature"):
        study.judge("norm-is-a-featur")
    assert str(study.judge("random-vectors-fail").verdict) in ("REPLICATED", "NOT_REPLICATED", "INCONCLUSIVE")


@pytest.fixture
def of_two(study, monkeypatch, tmp_path):
    """A plan that reads both corpora, and the number of times that the model was loaded."""
    tiny.write_jsonl(tmp_path / "absent.jsonl", tiny.texts(60, seed=1))
    loads, load = [], Study._load
    monkeypatch.setattr(Study, "_load", lambda self, *, head: loads.append(head) or load(self, head=head))
    return plan.make_plan([(study, [rule("accuracy-drops-on-another-corpus")], ())]), loads


def test_the_first_verdicts_wait_for_the_main_corpus_alone(study, of_two):
    made, loads = of_two
    made.prepare(put_off=True)
    assert study.has_states("main")
    assert not study.has_states("transfer")
    study.values(norms_by_state)
    assert not study.has_states("transfer")
    study.values(transferred)
    assert study.has_states("transfer")
    assert len(loads) == 2
    assert "_model" not in vars(study)  # its memory is given back


def test_states_that_are_put_off_are_those_that_are_not(study, of_two, tmp_path):
    made, _ = of_two
    made.prepare(put_off=True)
    other = Study(study.protocol, cache_dir=tmp_path / "other")
    plan.make_plan([(other, [rule("accuracy-drops-on-another-corpus")], ())]).prepare()
    for role in ("transfer", "main"):
        assert study.store(role).digest == other.store(role).digest


def test_states_that_cannot_be_had_later_are_tried_once(study, of_two, monkeypatch):
    made, _ = of_two
    made.prepare(put_off=True)
    tried = []

    def failing(self, *, head):
        tried.append(1)
        raise LayerclaimsError("The model is gone.")

    monkeypatch.setattr(Study, "_load", failing)
    for _ in range(2):
        with pytest.raises(LayerclaimsError, match="The model is gone"):
            study.values(transferred)
    assert tried == [1]
    assert study.values(norms_by_state).arrays
