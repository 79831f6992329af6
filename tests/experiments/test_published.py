"""The published procedure: each ingredient is what the authors ran, on the rigorous protocol's captures."""

import contextlib
import dataclasses

import numpy as np
import pytest
import torch
from layerclaims.corpora.corpus import PUBLISHED, longer, make_corpus
from layerclaims.errors import NotTestedError
from layerclaims.experiments import random_vectors, sgd
from layerclaims.experiments.conditions import of_texts, texts
from layerclaims.experiments.norms import norms_by_state
from layerclaims.experiments.probes import (
    UNIT_CELL,
    layer_weights,
    recurring_dimensions,
)
from layerclaims.experiments.runs import repeated_fits
from layerclaims.experiments.series import (
    MASKED,
    MASKED_NEIGHBOURS,
    NORM,
    RANDOM_TRAINED,
    RAW,
    SHUFFLED,
    TRANSFER,
    TREE,
    UNIT,
    at_context,
)
from layerclaims.experiments.sgd import Cell, sgd_fit
from layerclaims.experiments.solved import Solved
from layerclaims.experiments.study import Study
from layerclaims.experiments.walks import WALKS, walk
from layerclaims.metrics import attribution
from layerclaims.probing.probe import LayerProbe
from layerclaims.probing.sgd import BATCH, EPOCHS, RATE, initial, order
from layerclaims.protocol import Protocol
from layerclaims.recording import assemble, exhibits, record
from layerclaims.recording.figure import figure
from layerclaims.results import file as results
from layerclaims.results import verify
from layerclaims.results.records import SelectedRecord
from layerclaims.runtime import progress
from layerclaims.verdicts import registry
from layerclaims.verdicts.verdict import Verdict
from sklearn.linear_model import LogisticRegression

from tests import tiny

N_TEXTS, CONTEXT = 60, 12
NEVER = {
    "every-layer-recognised",
    "decision-tree-separates",
    "mixed-training-restores-accuracy",
    "punctuation-explains-the-drop",
    "layers-occupy-different-subspaces",
    "each-layer-uses-a-subspace",
}


def study_of(name, directory, cache, **changes) -> Study:
    usual = {
        "model": f"local:{directory / 'model'}",
        "corpus": str(directory / "a.jsonl"),
        "transfer_corpus": str(directory / "b.jsonl"),
        "n_texts": N_TEXTS,
        "context": CONTEXT,
        "name": name,
    }
    return Study(Protocol(**{**usual, **changes}), cache_dir=cache)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("published")
    tiny.build("gpt2", path / "model")
    for name, seed in (("a", 0), ("b", 5)):
        tiny.write_jsonl(path / f"{name}.jsonl", tiny.texts(N_TEXTS + 30, seed=seed))
    return path


@pytest.fixture(scope="module")
def studies(directory):
    return {name: study_of(name, directory, directory / "cache") for name in ("rigorous", "as-published")}


@pytest.fixture(scope="module")
def study(studies):
    return studies["as-published"]


@pytest.fixture
def fresh(study, directory, tmp_path):
    """The same study without what was measured before."""
    for role in ("main", PUBLISHED):
        study.store(role)
    (tmp_path / "states").symlink_to(directory / "cache" / "states")
    return study_of("as-published", directory, tmp_path)


@pytest.fixture(scope="module")
def split(study):
    return Cell().split(study, study.rows("main"))


class TestVectors:
    def test_are_split_at_random_whatever_their_document_one_in_five_for_the_test(self, study, split):
        rows = study.rows("main")
        n, per = len(rows.flat), study.n_labels * CONTEXT
        assert len(split.tested) == n // 5
        assert sorted([*split.training, *split.tested]) == list(range(n))
        assert set(split.tested // per) == set(split.training // per) == set(range(N_TEXTS))

    def test_are_counted_where_they_are_tested_and_nowhere_else(self, study, split):
        counts = study.counts(RAW)
        assert counts.total.sum() == len(split.tested)
        assert len(counts.documents) == N_TEXTS, "documents are the unit of intervals"

    def test_are_labelled_with_every_state_the_embedding_first_the_last_before_the_final_norm(self, study):
        store, rows = study.store("main"), study.rows("main")
        assert rows.n_labels == store.n_blocks + 1
        for label in range(rows.n_labels):
            assert (rows.x[:, label] == store.state(label)[rows.rows]).all()
        assert not np.allclose(rows.x[:, -1], store.state(store.final)[rows.rows])

    def test_keep_position_0(self, study, studies):
        assert study.rows("main").x.shape[2] == CONTEXT
        published, rigorous = (one.values(norms_by_state).arrays for one in (study, studies["rigorous"]))
        first = np.linalg.norm(study.store("main").state(1)[:, 0].astype(float), axis=1)
        np.testing.assert_allclose(published["sums"][:, 1] - rigorous["sums"][:, 1], first, rtol=1e-5)

    def test_are_the_rigorous_protocol_s(self, studies):
        one, other = (study.store("main") for study in studies.values())
        assert one.directory == other.directory

    def test_of_the_other_corpus_are_of_its_first_longer_texts(self, study):
        long = [i for i, text in enumerate(study.corpus("transfer").texts) if len(text.split()) > 2 * CONTEXT]
        store = study.store(PUBLISHED)
        assert list(store.document_ids) == long[: len(store.document_ids)]
        assert len(store.document_ids) == min(N_TEXTS, len(long)) > 20
        counts = study.counts(TRANSFER)
        assert counts.corpus == "transfer as published"
        assert counts.total.sum() == len(store.document_ids) * study.n_labels * CONTEXT // 5

    def test_longer_texts_stay_in_place_and_are_cut(self):
        corpus = longer(make_corpus("c", ["a b", "a b c d e f g", " ".join("abcdefgh")]), 3)
        assert list(corpus.texts) == ["", "a b c d e f", "a b c d e f"]


class TestSgd:
    def test_is_a_thousand_epochs_of_batches_of_1024_at_a_hundredth(self, study, split):
        fit = study.values(sgd_fit(Cell()))
        assert (BATCH, EPOCHS, RATE) == (1024, 1000, 0.01)
        assert fit.facts["steps"] == 1000 * -(-len(split.training) // 1024)
        assert fit.arrays["epochs"].tolist() == [1, 3, 10, 30, 100, 300, 1000]

    @pytest.mark.parametrize("cell", [Cell(), UNIT_CELL])
    def test_ends_where_a_plain_loop_ends(self, study, split, cell):
        """An independent loop in PyTorch, with the same start and orders: loss and accuracy agree but for rounding."""
        rows = study.rows("main")
        x = rows.flat.astype(np.float64)
        if cell.kind == "unit":
            x = (x - x.mean(0)) / x.std(0)
            x /= np.linalg.norm(x, axis=1, keepdims=True)
        x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(rows.labels)
        seed, numbers = (study.protocol.seed, 20, 0), split.training.astype(np.int32)
        layer = torch.nn.Linear(x.shape[1], rows.n_labels)
        for own, start in zip(
            (layer.weight, layer.bias), initial(seed, x.shape[1], rows.n_labels), strict=True
        ):
            own.data.copy_(start)
        optimiser = torch.optim.SGD(layer.parameters(), lr=0.01)
        train = torch.tensor(split.training)
        for epoch in range(1000):
            for batch in torch.tensor(order(seed, epoch, numbers), dtype=torch.int64).split(1024):
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(layer(x[batch]), y[batch]).backward()
                optimiser.step()
        with torch.no_grad():
            loss = torch.nn.functional.cross_entropy(layer(x[train]), y[train]).item()
            right = (layer(x[split.tested]).argmax(1) == y[split.tested]).float().mean().item()
        ours = study.values(sgd_fit(cell))
        assert ours.facts["loss"] == pytest.approx(loss, rel=0.01)
        assert study.counts(RAW if cell.kind == "raw" else UNIT).accuracy == pytest.approx(right, abs=0.01)

    def test_depends_on_the_seed_and_on_nothing_else(self, study, fresh):
        for cell in (UNIT_CELL, Cell()):  # alone, and in another order
            assert (
                fresh.values(sgd_fit(cell)).arrays["weights"] == study.values(sgd_fit(cell)).arrays["weights"]
            ).all()

    def test_fits_side_by_side_what_the_run_will_ask_for(self, study, fresh, tmp_path, monkeypatch):
        fresh.wanted = (sgd_fit(UNIT_CELL), sgd_fit(Cell(context=10)))
        fresh.values(sgd_fit(Cell()))
        assert all(fresh.has(one) for one in fresh.wanted)
        assert not list(tmp_path.rglob("*.partial"))
        monkeypatch.setattr(sgd, "fitted", None)
        for cell in (Cell(), UNIT_CELL):
            assert (
                fresh.values(sgd_fit(cell)).arrays["weights"] == study.values(sgd_fit(cell)).arrays["weights"]
            ).all()

    def test_leaves_to_other_processes_what_they_fit_and_more_than_it_was_asked_for(self, fresh):
        first, second, third = (Cell(context=10), Cell(run=1, context=10), Cell(run=2, context=10))
        fresh.wanted = tuple(map(sgd_fit, (second, third)))
        with fresh.if_free(sgd_fit(second)) as free:  # as another process holds it
            assert free
            fresh.values(sgd_fit(first))
            assert [fresh.has(one) for one in fresh.wanted] == [False, True]
        fresh.beside = 1
        fresh.values(sgd_fit(Cell(kind="unit", context=10)))
        assert not fresh.has(sgd_fit(second))

    def test_says_how_long_it_takes_before_it_starts(self, fresh, monkeypatch):
        said = []
        monkeypatch.setattr(progress, "note", said.append)
        monkeypatch.setattr(sgd, "MANY_STEPS", 10)
        monkeypatch.setattr(sgd, "TRIALS", (1, 2))
        fresh.values(sgd_fit(Cell(context=10)))
        assert any("the published procedure fits a probe with 2,000 steps" in line for line in said)

    def test_says_how_far_from_its_optimum_it_ended(self, study):
        (certificate,) = study.certificates(RAW)
        loss, solved = (
            study.values(one).facts["loss"] for one in (sgd_fit(Cell()), Solved(Cell()).series.of)
        )
        assert not certificate.converged
        assert certificate.iterations == study.values(sgd_fit(Cell())).facts["steps"]
        assert certificate.gradient_norm > 0
        assert certificate.relative_gap == pytest.approx((loss - solved) / loss)
        assert certificate.relative_gap > 0.1, "it is far from it"

    def test_runs_differ_in_split_start_and_order(self, study):
        rows = study.rows("main")
        fits = study.values(repeated_fits).arrays
        assert fits["weights"].shape == (3, study.facts.hidden_size, study.n_labels)
        assert not np.allclose(fits["weights"][0], fits["weights"][1])
        tested = [set(Cell(run=run).split(study, rows).tested) for run in range(3)]
        assert tested[0] != tested[1] != tested[2]
        assert fits["runs"][0].tolist() == [study.counts(RAW).correct.sum(), study.counts(RAW).total.sum()]


class TestMasks:
    def test_are_of_the_right_hand_neighbours(self, study, split):
        """Weights of one run, dimensions chosen, vectors masked and classified by hand."""
        rows, fit = study.rows("main"), study.values(sgd_fit(Cell())).arrays
        shares = np.abs(fit["weights"]) / np.abs(fit["weights"]).sum(0)
        four = attribution.recurrence(shares).dimensions[:4]
        assert recurring_dimensions(study) == list(four)
        for series, masked in (
            (MASKED, four),
            (MASKED_NEIGHBOURS, [i + 1 for i in four if i + 1 < len(shares)]),
        ):
            x = rows.flat[split.tested].astype(np.float64)
            x[:, list(masked)] = 0
            named = (x @ fit["weights"] + fit["bias"]).argmax(1)
            right = (named == rows.labels[split.tested]).sum()
            assert study.counts(series).correct.sum() == pytest.approx(right, abs=2)
        assert study.counts(MASKED).correct.sum() != study.counts(MASKED_NEIGHBOURS).correct.sum()

    def test_rest_on_weights_as_they_are(self, study, studies):
        assert (layer_weights(study)[0] == study.values(sgd_fit(Cell())).arrays["weights"]).all()
        assert len(layer_weights(studies["rigorous"])) == studies["rigorous"].protocol.folds


def test_random_vectors_have_uniform_entries_and_norms_drawn_by_label(study, fresh, monkeypatch):
    seen = []
    fitted = random_vectors.fitted_by_sgd
    monkeypatch.setattr(
        random_vectors, "fitted_by_sgd", lambda *given: [seen.append(given[1].copy()), fitted(*given)][1]
    )
    counts = fresh.counts(RANDOM_TRAINED)
    (x,), rows = seen, study.rows("main")
    z = (rows.flat - rows.flat.mean(0)) / rows.flat.std(0)
    norms = np.linalg.norm(z, axis=1)
    drawn = np.linalg.norm(x, axis=1)
    for label in range(study.n_labels):
        own, mine = (found[rows.labels == label].astype(np.float64) for found in (norms, drawn))
        error = 4 * own.var() / len(own) ** 0.5
        assert mine.mean() == pytest.approx(own.mean(), abs=error + 1e-3)
        if own.var() < own.mean() / 4:  # no norm below 0
            assert mine.std() == pytest.approx(own.var(), rel=0.15)
    entries = np.abs(x) / np.abs(x).max(1, keepdims=True)
    assert np.quantile(entries, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.05)
    assert counts.total.sum() == len(rows.flat) // 5
    assert counts.accuracy < 0.6


@pytest.fixture(scope="module")
def pile(directory):
    return study_of("as-published", directory, directory / "cache", profile="pile")


class TestSecondPhase:
    def test_is_the_pile_profile_under_as_published_only(self, pile, studies, directory):
        assert pile.protocol.second_phase
        assert not any(one.protocol.second_phase for one in studies.values())
        assert not study_of("rigorous", directory, directory / "cache", profile="pile").protocol.second_phase

    @pytest.mark.parametrize("kind", ["raw", "unit"])
    def test_scales_every_entry_by_one_mean_and_one_deviation_of_its_part(self, pile, kind):
        rows = pile.rows("main")
        split = Cell(kind).split(pile, rows)
        for part, transform in zip(
            (split.training, split.tested), sgd.transforms(pile, rows, kind, split), strict=True
        ):
            x = rows.flat[part].astype(np.float64)
            if kind == "unit":
                x /= np.linalg.norm(x, axis=1, keepdims=True)
            assert transform.shift == pytest.approx(x.mean(), abs=1e-5)
            assert transform.scale == pytest.approx(1 / x.std(), rel=1e-4)
            assert (transform.before is None) == (kind == "raw")
            assert transform.after is None

    def test_has_state_0_and_numbers_of_its_own(self, pile, study):
        assert pile.counts(RAW).total.shape[1] == study.store("main").n_blocks + 1
        assert pile.counts(UNIT).accuracy != study.counts(UNIT).accuracy
        assert pile.counts(RAW).accuracy != study.counts(RAW).accuracy


class TestRows:
    def test_that_were_never_run_say_so_and_the_others_have_a_rule(self, study):
        claims = registry.post_claims()
        for claim, entry in claims.items():
            rule = entry.declaration
            if claim in NEVER:
                with pytest.raises(NotTestedError, match=r"^Never published"):
                    study.judge(claim)
                with pytest.raises(NotTestedError, match=r"^Never published"):
                    rule.under("as-published")
            else:
                assert rule.under("as-published").conditions
                assert rule.under("rigorous") is rule
        assert len(claims) - len(NEVER) == 22

    @pytest.mark.parametrize("series", [TREE, SHUFFLED, NORM])
    def test_series_that_were_never_run_say_so(self, study, series):
        with pytest.raises(NotTestedError, match=r"^Never published: the authors ran no "):
            study.counts(series)

    def test_are_decided_by_a_probe_that_did_not_converge(self, study):
        judged = 0
        for claim in registry.post_claims().keys() - NEVER:
            with contextlib.suppress(NotTestedError):  # one model, which is small
                found = study.judge(claim)
                assert "converge" not in found.reason
                certificate = found.evidence.certificate
                assert certificate is None or not certificate.converged
                judged += 1
        assert judged > 10
        assert study.judge("layers-linearly-separable").verdict is not Verdict.INCONCLUSIVE

    def test_of_sweeps_are_the_authors_numbers_of_texts_and_tokens(self, study):
        assert list(texts(study.protocol)) == [10, 50, N_TEXTS]
        for series, documents, positions in ((of_texts(50), 50, CONTEXT), (at_context(10), N_TEXTS, 10)):
            counts = study.counts(series)
            assert len(counts.documents) == documents
            assert counts.total.sum() == documents * positions * study.n_labels // 5

    def test_of_sweeps_are_not_tested_where_the_run_is_no_larger(self, directory):
        small = study_of("as-published", directory, directory / "cache", n_texts=50, context=10)
        for claim, option in (
            ("more-data-higher-accuracy", "--n-texts"),
            ("longer-context-higher-accuracy", "--context"),
        ):
            with pytest.raises(NotTestedError, match=option):
                small.judge(claim)


def test_a_solved_probe_of_features_as_they_come_is_penalised_as_they_come():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(3), 100)
    X = (rng.normal(size=(300, 6)) + rng.normal(size=(3, 6))[y]) * np.geomspace(0.1, 10, 6)
    X, l2 = X.astype(np.float32), 1e-2
    probe = LayerProbe(l2=l2, tolerance=1e-9, max_iterations=2000, standardise=False).fit(X, y)
    model = LogisticRegression(C=1 / (l2 * len(y)), tol=1e-10, max_iter=10_000).fit(X.astype(float), y)
    np.testing.assert_allclose(probe.weights / probe.sd[:, None], model.coef_.T, rtol=1e-2, atol=1e-4)


@pytest.fixture(scope="module")
def both(studies):
    """The results of some claims under both protocols."""
    records, shown = [], {name: exhibits.Exhibits() for name in studies}
    for claim in (
        "layers-linearly-separable",
        "norm-is-a-feature",
        "masking-recurring-dimensions-is-negligible",
        "longer-context-higher-accuracy",
    ):
        for name, study in studies.items():
            found, known = study.judge(claim), registry.post_claims()[claim]
            rule = known.rule if name == "rigorous" else f"As published: {known.published_rule}."
            records.append(
                record.judged(found.claim, found.evidence, rule=rule, protocol=study.protocol, seconds=0.0)
            )
            bare = dataclasses.replace(found.evidence, figures=())
            shown[name].add(exhibits.exhibits(study, bare, known=shown[name]))
    options = studies["rigorous"].protocol.as_json()["options"]
    selected = SelectedRecord(claims=4, of=len(registry.post_claims()))
    return assemble.assemble(studies, records, shown, options=options, selected=selected)


class TestWalks:
    def test_stand_in_the_file_of_both_and_of_both_only(self, both, studies):
        read = results.loads(results.dumps(both).encode(), origin="results.json")
        assert [way.claim for way in read.walks] == list(dict.fromkeys(claim.id for claim in both.claims))
        study = studies["rigorous"]
        found = study.judge("layers-linearly-separable")
        mine = [claim for claim in both.claims if (claim.id, claim.protocol) == (found.claim.id, "rigorous")]
        shown = exhibits.exhibits(
            study, dataclasses.replace(found.evidence, figures=()), known=exhibits.Exhibits()
        )
        made = assemble.assemble({"rigorous": study}, mine, {"rigorous": shown}, options=[])
        assert "walks" not in results.plain(made)

    def test_begin_and_end_with_the_numbers_of_the_protocols(self, both):
        estimates = {(claim.id, claim.protocol): claim for claim in both.claims}
        for way in both.walks:
            assert way.steps[0].ingredient == "published"
            for step, protocol in ((way.steps[0], "as-published"), (way.steps[-1], "rigorous")):
                claim = estimates[way.claim, protocol]
                assert step.value == pytest.approx(claim.estimate, abs=1e-6)

    def test_change_one_ingredient_at_a_time(self, both):
        ingredients = {way.claim: [step.ingredient for step in way.steps] for way in both.walks}
        plain = ["published", "solver", "features", "split"]
        assert ingredients == {
            "layers-linearly-separable": plain,
            "norm-is-a-feature": plain,
            "masking-recurring-dimensions-is-negligible": [*plain, "mask", "contribution"],
            "longer-context-higher-accuracy": ["published", "steps", "solver", "features", "rigorous"],
        }
        for way in both.walks:
            assert [step.converged for step in way.steps] == [
                step.ingredient not in ("published", "steps") for step in way.steps
            ]

    def test_hold_the_steps_of_sgd_fixed(self, studies, both):
        """The fit on all vectors, as it stood when the smaller one was done."""
        study = studies["as-published"]
        cell = Cell(context=10)
        step = study.values(sgd_fit(cell)).facts["steps"]
        assert sgd.marks(study)[cell] == step < study.values(sgd_fit(Cell())).facts["steps"]
        rows = study.rows("main")
        probe = sgd.probe_of(study, rows, step=step)
        right = (probe.predict(rows) == rows.labels[probe.split.tested]).mean()
        (way,) = [way for way in both.walks if way.claim == "longer-context-higher-accuracy"]
        smaller = study.counts(at_context(10)).accuracy
        assert way.steps[1].value == pytest.approx(right - smaller, abs=1e-6)

    def test_are_left_out_where_a_step_cannot_be_had(self, directory):
        small = {
            name: study_of(name, directory, directory / "cache", n_texts=50)
            for name in ("rigorous", "as-published")
        }
        (way,) = [way for way in WALKS if way.claim == "more-data-higher-accuracy"]
        assert walk(way, rigorous=small["rigorous"], published=small["as-published"]) is None

    def test_that_fail_cost_no_verdict(self, both, studies, monkeypatch):
        said = []
        monkeypatch.setattr(exhibits.screen, "note", said.append)
        monkeypatch.setattr(assemble, "walk", lambda *_, **__: 1 / 0)
        assert assemble._walks(studies, both.claims)[0] == ()
        assert len(said) == 4
        assert "ZeroDivisionError" in said[0]

    def test_are_verified(self, both, tmp_path):
        path = results.write(tmp_path / "results.json", both)
        assert verify.verify_file(path).mismatches == ()


def test_a_figure_that_fails_costs_no_verdict(studies, monkeypatch):
    said = []

    @figure()
    def norms(study):
        raise ImportError("no drawing")

    monkeypatch.setattr(exhibits.screen, "note", said.append)
    study = studies["rigorous"]
    found = study.judge("layers-linearly-separable")
    evidence = dataclasses.replace(found.evidence, figures=(norms,))
    shown = exhibits.exhibits(study, evidence, known=exhibits.Exhibits())
    mine = [record.judged(found.claim, evidence, rule="", protocol=study.protocol, seconds=0.0)]
    made = assemble.assemble({"rigorous": study}, mine, {"rigorous": shown}, options=[])
    assert (made.figures, made.claims[0].figures) == ({}, ())
    assert made.claims[0].missing == {"norms": "ImportError: no drawing"}
    assert [claim.verdict for claim in made.claims] == [claim.verdict for claim in mine]
    assert said == ["layerclaims: the figure norms is left out: ImportError: no drawing"]
