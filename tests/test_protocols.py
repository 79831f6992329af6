"""The two protocols and the walk between them: each ingredient is what it says, and changes nothing else."""

import dataclasses

import numpy as np
import pytest
from layerclaims.experiments.ablation import FOLD, ablation, steps
from layerclaims.experiments.geometry import layer_geometry
from layerclaims.experiments.probes import RAW, layer_probe
from layerclaims.experiments.study import Study
from layerclaims.probing import fit as fitting
from layerclaims.probing.library import library_probe
from layerclaims.probing.probe import LayerProbe
from layerclaims.probing.vectors import Vectors, fold_order, shuffled_labels, split_vectors
from layerclaims.protocol import SETTINGS, Protocol, Setting
from layerclaims.quantities import norm
from layerclaims.recording import record
from layerclaims.recording.figure import figure
from layerclaims.report import render as report
from layerclaims.results import file as results
from layerclaims.results import verify
from layerclaims.results.records import AblationRecord
from layerclaims.statistics.bootstrap import bootstrap_documents
from layerclaims.verdicts import registry
from layerclaims.verdicts.criterion import Criterion
from layerclaims.verdicts.evidence import Evidence, Finding, Part
from layerclaims.verdicts.verdict import Verdict, decide
from sklearn.linear_model import LogisticRegression

from tests import tiny

RIGOROUS, PUBLISHED = SETTINGS["rigorous"], SETTINGS["as-published"]
N_TEXTS, CONTEXT = 40, 8


def planted(*, documents=25, labels=3, positions=4, d=6, folds=5, scales=None, seed=0) -> Vectors:
    """Gaussian vectors around one mean a label; `scales` [d] of the features."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(documents, labels, positions, d)) + rng.normal(size=(labels, 1, d))
    if scales is not None:
        x = x * scales
    order, parts = fold_order(documents, folds, seed)
    return Vectors(x=np.ascontiguousarray(x[order], dtype=np.float32), rows=order, folds=parts)


def rows_of(part, n) -> set[int]:
    """Flat rows behind ranges, a slice or a mask."""
    if isinstance(part, list):
        return set().union(*(range(n)[r] for r in part))
    return set(np.arange(n)[part].tolist())


class TestSplits:
    def test_by_document_never_shares_one_between_training_and_test(self):
        vectors = planted()
        n, per = len(vectors.flat), 3 * 4
        for fold in range(5):
            seen, tested = (rows_of(part(fold), n) for part in (vectors.training, vectors.tested))
            assert seen | tested == set(range(n))
            assert not {row // per for row in seen} & {row // per for row in tested}

    def test_by_vector_shares_documents_and_tests_each_vector_once(self):
        vectors = split_vectors(planted(), 0)
        n, per = len(vectors.flat), 3 * 4
        times = np.zeros(n)
        for fold in range(5):
            seen, tested = (rows_of(part(fold), n) for part in (vectors.training, vectors.tested))
            assert not seen & tested
            assert len(tested) == n // 5
            assert {row // per for row in tested} <= {row // per for row in seen}
            times[list(tested)] += 1
        assert (times == 1).all()

    def test_by_vector_is_another_for_another_seed(self):
        one, other = (split_vectors(planted(), seed).fold_of for seed in (0, 1))
        assert (one != other).any()

    def test_by_vector_shuffles_labels_without_telling_a_token_s_from_its_others(self):
        vectors = split_vectors(planted(), 0)
        shuffled = shuffled_labels(vectors, np.random.default_rng(0))
        assert sorted(shuffled) == sorted(vectors.labels)
        tokens = shuffled.reshape(vectors.x.shape[:3]).transpose(0, 2, 1).reshape(-1, 3)
        assert any(len(set(token)) < 3 for token in tokens.tolist())


class TestAsPublished:
    @pytest.mark.parametrize("unit", [False, True])
    def test_is_scikit_learn_with_its_defaults_on_features_as_they_come(self, unit):
        vectors = split_vectors(planted(), 0)
        mask = vectors.training(1)
        X = vectors.flat / np.linalg.norm(vectors.flat, axis=1, keepdims=True) if unit else vectors.flat
        model = LogisticRegression().fit(X[mask], vectors.labels[mask])
        probe = fitting.fit_fold(vectors, 1, PUBLISHED, unit=unit)
        np.testing.assert_allclose(probe.weights / probe.sd[:, None], model.coef_.T, rtol=1e-3, atol=1e-4)
        assert (probe.predict(vectors.flat) == model.predict(X)).all()
        assert probe.certificate.iterations == model.n_iter_.max()
        assert probe.certificate.converged

    def test_standardised_is_the_same_on_standardised_features(self):
        vectors = split_vectors(planted(scales=np.geomspace(0.1, 10, 6)), 0)
        mask = vectors.training(0)
        mean, sd = vectors.flat[mask].mean(0), vectors.flat[mask].std(0)
        model = LogisticRegression().fit((vectors.flat[mask] - mean) / sd, vectors.labels[mask])
        setting = dataclasses.replace(PUBLISHED, features="standardised")
        probe = fitting.fit_fold(vectors, 0, setting)
        np.testing.assert_allclose(probe.weights, model.coef_.T, rtol=1e-2, atol=1e-3)
        assert (probe.predict(vectors.flat) == model.predict((vectors.flat - mean) / sd)).all()

    def test_leaves_the_vectors_as_they_are(self):
        vectors = planted()
        before = vectors.x.copy()
        for setting in (step.setting for step in steps()):
            fitting.fit(vectors.flat, vectors.labels, setting, unit=True, n_labels=3)
        assert (vectors.x == before).all()

    def test_has_the_gradient_of_its_own_solution_in_the_certificate(self):
        vectors = planted()
        X, y = vectors.flat, vectors.labels
        probe = library_probe(X, y, standardise=False, unit=False, n_labels=3)
        model = LogisticRegression().fit(X, y)
        error = model.predict_proba(X) - np.eye(3)[y]
        gradient = X.T @ error / len(y) + model.coef_.T / len(y)
        expected = np.hypot(np.linalg.norm(gradient), np.linalg.norm(error.mean(0)))
        assert probe.certificate.gradient_norm == pytest.approx(expected, rel=0.05, abs=1e-6)

    def test_tells_two_labels_apart_too(self):
        vectors = planted(labels=2)
        probe = library_probe(vectors.flat, vectors.labels, standardise=False, unit=False, n_labels=2)
        model = LogisticRegression().fit(vectors.flat, vectors.labels)
        assert probe.weights.shape == (6, 2)
        assert (probe.predict(vectors.flat) == model.predict(vectors.flat)).all()
        assert probe.certificate.gradient_norm < 1e-2

    def test_refuses_a_label_without_vectors(self):
        vectors = planted()
        with pytest.raises(ValueError, match="each of the 4 labels"):
            library_probe(vectors.flat, vectors.labels, standardise=False, unit=False, n_labels=4)


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    """Features of scales so different that 100 iterations do not do."""
    return planted(documents=40, d=12, scales=np.geomspace(1e-2, 3e3, 12))


class TestUnconverged:
    def test_scikit_learn_is_recorded_and_not_a_warning(self, vectors):
        probe = fitting.fit_fold(split_vectors(vectors, 0), 0, PUBLISHED)
        assert not probe.certificate.converged
        assert probe.certificate.iterations == 100
        assert probe.certificate.gradient_norm > 1e-3

    def test_makes_a_row_inconclusive_whatever_its_number(self, vectors):
        probe = fitting.fit_fold(split_vectors(vectors, 0), 0, PUBLISHED)
        counts = np.tile([9.0, 10.0], (40, 1)) - np.arange(40)[:, None] % 2 * [1, 0]
        estimate = bootstrap_documents(
            counts, lambda s: s[..., 0] / s[..., 1], support=(0, 1), rng=np.random.default_rng(0)
        )
        found = Finding(
            name="accuracy", estimate=estimate, n_documents=40, n_vectors=400, certificate=probe.certificate
        )
        part = Part(finding=found, criterion=Criterion(relation=">", threshold=0.2))
        verdict, reason = decide(Evidence(parts=(part,)))
        assert verdict is Verdict.INCONCLUSIVE
        assert "did not converge in 100 iterations" in reason

    def test_converges_with_the_solver_or_the_features_of_the_rigorous_protocol(self, vectors):
        for change in ({"solver": "converged"}, {"features": "standardised"}):
            assert fitting.fit_fold(
                vectors, 0, dataclasses.replace(PUBLISHED, **change)
            ).certificate.converged


class TestFeaturesAsTheyCome:
    def test_are_penalised_as_they_come(self):
        vectors = planted(scales=np.geomspace(0.1, 10, 6))
        X, y, l2 = vectors.flat, vectors.labels, 1e-2
        probe = LayerProbe(l2=l2, tolerance=1e-9, max_iterations=2000, standardise=False).fit(X, y)
        model = LogisticRegression(C=1 / (l2 * len(y)), tol=1e-10, max_iter=10_000).fit(X.astype(float), y)
        np.testing.assert_allclose(probe.weights / probe.sd[:, None], model.coef_.T, rtol=1e-2, atol=1e-4)
        np.testing.assert_allclose(probe.mean, X.mean(0), rtol=1e-4)

    def test_have_no_weight_where_they_are_constant(self):
        vectors = planted()
        vectors.x[..., 2] = 7.0
        for solver in ("converged", "defaults"):
            setting = Setting(features="as they come", solver=solver)
            probe = fitting.fit(vectors.flat, vectors.labels, setting, n_labels=3)
            assert not probe.weights[2].any()
            assert np.isfinite(probe.weights).all()
            assert np.isfinite(probe.bias).all()


class TestWalk:
    def test_changes_one_ingredient_at_a_time_from_either_end(self):
        walk = steps()
        assert len({step.setting for step in walk}) == len(walk) == 10
        for step in walk:
            own = SETTINGS[step.start]
            other = PUBLISHED if own == RIGOROUS else RIGOROUS
            assert step.setting.differing(own) == ([step.changed] if step.changed else [])
            if step.changed:
                assert step.setting.ingredients[step.changed] == other.ingredients[step.changed]

    @pytest.mark.parametrize("change", ["split", "features", "solver"])
    def test_changes_only_that_ingredient_of_a_fit(self, change):
        vectors = planted(scales=np.geomspace(0.1, 10, 6))
        setting = dataclasses.replace(RIGOROUS, **{change: PUBLISHED.ingredients[change]})
        chosen = split_vectors(vectors, 0) if setting.split == "vector" else vectors
        base, other = fitting.fit_fold(vectors, 0, RIGOROUS), fitting.fit_fold(chosen, 0, setting)
        same_rows = np.allclose(base.mean, other.mean, rtol=1e-5)
        assert same_rows == (change != "split")
        if same_rows:
            np.testing.assert_allclose(base.sd, other.sd, rtol=1e-5)
        assert not np.allclose(base.weights, other.weights)


def study_of(name, directory, cache) -> Study:
    protocol = Protocol(
        model=f"local:{directory / 'model'}", corpus=str(directory / "a.jsonl"),
        transfer_corpus=str(directory / "b.jsonl"), n_texts=N_TEXTS, context=CONTEXT, name=name,
    )  # fmt: skip
    return Study(protocol, cache_dir=cache)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("protocols")
    tiny.build("gpt2", path / "model")
    for name, seed in (("a", 0), ("b", 5)):
        tiny.write_jsonl(path / f"{name}.jsonl", tiny.texts(N_TEXTS + 5, seed=seed))
    return path


@pytest.fixture(scope="module")
def studies(directory):
    return {name: study_of(name, directory, directory / "cache") for name in ("rigorous", "as-published")}


class TestStudies:
    def test_differ_in_the_split(self, studies):
        rigorous, published = (studies[name].rows("main") for name in ("rigorous", "as-published"))
        assert rigorous.fold_of is None
        assert published.fold_of is not None
        assert np.bincount(published.fold_of).tolist() == [len(published.flat) // 5] * 5
        assert studies["rigorous"].protocol.setting == Setting()

    def test_differ_in_the_last_label_only(self, studies):
        store = studies["rigorous"].store("main")
        raw, final = (studies[name].rows("main").x for name in ("rigorous", "as-published"))
        order = studies["rigorous"].rows("main").rows
        assert (raw[:, :-1] == final[:, :-1]).all()
        assert (raw[:, -1] == store.state(store.n_blocks)[order]).all()
        assert (final[:, -1] == store.state(store.final)[order]).all()
        assert not np.allclose(raw[:, -1], final[:, -1])

    def test_differ_in_the_last_label_of_rows_without_a_probe_too(self, studies):
        store = studies["rigorous"].store("main")
        assert studies["rigorous"].states == [*range(store.n_blocks + 1)]
        assert studies["as-published"].states == [*range(store.n_blocks), store.final]
        raw, final = (studies[name].values(layer_geometry).arrays for name in ("rigorous", "as-published"))
        assert np.array_equal(final["unit/layers"], final["unit/final"])
        np.testing.assert_allclose(final["unit/layers"], raw["unit/final"], rtol=1e-6)
        assert not np.allclose(raw["unit/layers"], final["unit/layers"])
        one, other = (
            norm.growth_rate.find(studies[name])[0].estimate.value for name in ("rigorous", "as-published")
        )
        assert one != other

    def test_are_made_from_one_capture(self, studies):
        one, other = (studies[name].store("main") for name in ("rigorous", "as-published"))
        assert one.directory == other.directory

    def test_as_published_gets_right_what_scikit_learn_gets_right(self, studies):
        study = studies["as-published"]
        vectors = study.rows("main")
        right = []
        for fold in range(study.protocol.folds):
            seen, tested = vectors.training(fold), vectors.tested(fold)
            model = LogisticRegression().fit(vectors.flat[seen], vectors.labels[seen])
            right.append((model.predict(vectors.flat[tested]) == vectors.labels[tested]).sum())
        np.testing.assert_allclose(study.values(layer_probe).arrays["runs"][:, 0], right, atol=1)
        series = study.counts(RAW)
        assert len(series.documents) == N_TEXTS  # the unit of intervals under both
        assert (series.total == CONTEXT).all()
        assert series.correct.sum() == study.values(layer_probe).arrays["runs"][:, 0].sum()

    def test_rigorous_keeps_its_own_measurements(self, studies, directory):
        before = studies["rigorous"].counts(RAW).correct
        again = study_of("rigorous", directory, directory / "cache").counts(RAW).correct
        assert (before == again).all()
        assert (before != studies["as-published"].counts(RAW).correct).any()


@pytest.fixture(scope="module")
def both(studies):
    """The results of two claims under both protocols."""
    records, shown = [], {name: record.Exhibits() for name in studies}
    for claim in ("layers-linearly-separable", "norm-is-a-feature"):
        for name, study in studies.items():
            found, rule = study.judge(claim), registry.post_claims()[claim].rule
            records.append(
                record.judged(found.claim, found.evidence, rule=rule, protocol=study.protocol, seconds=0.0)
            )
            bare = dataclasses.replace(found.evidence, figures=())
            shown[name].add(record.exhibits(study, bare, known=shown[name]))
    return record.assemble(studies, records, shown, options=[])


class TestBoth:
    def test_stand_in_one_valid_file_with_the_ablation(self, both):
        read = results.loads(results.dumps(both).encode(), origin="results.json")
        assert read.protocol.name == "both"
        assert [(c.id, c.protocol) for c in read.claims] == [
            (claim, protocol)
            for claim in ("layers-linearly-separable", "norm-is-a-feature")
            for protocol in ("rigorous", "as-published")
        ]
        assert [(row.start, row.changed) for row in read.ablation] == [
            (step.start, step.changed) for step in steps()
        ]

    def test_have_an_ablation_whose_ends_are_the_protocols_themselves(self, both, studies):
        for row in both.ablation:
            if row.changed is None:
                correct, total = studies[row.start].values(layer_probe).arrays["runs"][FOLD]
                assert row.accuracy == pytest.approx(correct / total)
                low, high = row.interval
                assert low < row.accuracy < high

    def test_keep_the_ablation_on_disk(self, both, directory, monkeypatch):
        def never(*_, **__):
            raise AssertionError("was fitted again")

        monkeypatch.setattr(fitting, "fit_fold", never)
        again = ablation(study_of("rigorous", directory, directory / "cache"))
        assert [results.plain(AblationRecord.model_validate(row)) for row in again] == [
            results.plain(row) for row in both.ablation
        ]

    def test_are_verified(self, both, tmp_path):
        path = results.write(tmp_path / "results.json", both)
        outcome = verify.verify_file(path)
        assert outcome.mismatches == ()

    def test_stand_side_by_side_in_page_and_summary(self, both, tmp_path):
        for path in report.render(both, tmp_path, ("html", "md"), say=print):
            assert "Its procedure on this model" in path.read_text("utf-8")

    def test_a_figure_that_fails_costs_no_verdict(self, studies, monkeypatch):
        said = []

        @figure()
        def norms(study):
            raise ImportError("no drawing")

        monkeypatch.setattr(record.screen, "note", said.append)
        study = studies["rigorous"]
        found = study.judge("layers-linearly-separable")
        evidence = dataclasses.replace(found.evidence, figures=(norms,))
        shown = record.exhibits(study, evidence, known=record.Exhibits())
        mine = [record.judged(found.claim, evidence, rule="", protocol=study.protocol, seconds=0.0)]
        made = record.assemble({"rigorous": study}, mine, {"rigorous": shown}, options=[])
        assert (made.figures, made.claims[0].figures) == ({}, ())
        assert [claim.verdict for claim in made.claims] == [claim.verdict for claim in mine]
        assert said == ["layerclaims: the figure norms is left out: ImportError: no drawing"]

    def test_a_protocol_alone_makes_no_ablation(self, both, studies):
        study = studies["rigorous"]
        found = study.judge("layers-linearly-separable")
        mine = [claim for claim in both.claims if (claim.id, claim.protocol) == (found.claim.id, "rigorous")]
        shown = record.exhibits(study, found.evidence, known=record.Exhibits())
        made = record.assemble({"rigorous": study}, mine, {"rigorous": shown}, options=[])
        assert "ablation" not in results.plain(made)
