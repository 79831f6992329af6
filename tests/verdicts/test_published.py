"""What the authors measured, as it travels in the package, and the figure that a row of a run is shown."""

import json

import pytest
from layerclaims.protocol import Protocol
from layerclaims.recording import record
from layerclaims.results.records import ClaimRecord
from layerclaims.verdicts import published as module
from layerclaims.verdicts.claim import Claim
from layerclaims.verdicts.published import (
    GPT2,
    Cell,
    accuracy_over_context,
    accuracy_over_texts,
    published,
    published_figure,
)
from layerclaims.verdicts.registry import post_claims
from layerclaims.verdicts.verdict import Verdict

MEDIUM = {
    "model": "gpt2-medium",
    "corpus": "imdb",
    "transfer_corpus": "ag_news",
    "context": 30,
    "n_texts": 1000,
}
ROWS = (*module.OF_CELL, *module.OF_ABLATION)


def figure(row, **changes):
    return published_figure(row, **{**MEDIUM, **changes})


def value(row, **changes):
    found = figure(row, **changes)
    return None if found is None else found.value


class TestFile:
    def test_names_its_source_and_says_what_each_block_is(self):
        content = json.loads(module.FILE.read_text(encoding="utf-8"))
        assert content["source"]["repository"] == "SproutNan/LLM_layerclassifier"
        assert {"commit", "read"} < set(content["source"])
        assert all(content[name]["what"] for name in content if name != "source")

    def test_has_every_cell_of_the_grid_but_five(self):
        grid = published().imdb
        assert published().contexts == (10, 20, 30, 40, 50, 100)
        assert published().n_texts == (10, 50, 100, 250, 500, 1000, 2000)
        assert len(grid) == 163
        wanted = {
            Cell(model=model, corpus="imdb", context=context, n_texts=n_texts)
            for model in GPT2
            for context in published().contexts
            for n_texts in published().n_texts
        }
        assert {(cell.model, cell.context, cell.n_texts) for cell in wanted - set(grid)} == {
            ("gpt2-large", 100, 2000),
            ("gpt2-xl", 40, 2000),
            ("gpt2-xl", 50, 2000),
            ("gpt2-xl", 100, 1000),
            ("gpt2-xl", 100, 2000),
        }
        assert all(0 < accuracy < 1 for accuracy in grid.values())

    @pytest.mark.parametrize(
        ("model", "context", "n_texts", "accuracy"),
        [
            ("gpt2", 10, 10, 0.465385),
            ("gpt2", 30, 500, 0.72432),
            ("gpt2", 30, 1000, 0.916936),
            ("gpt2", 100, 2000, 0.952149),
            ("gpt2-medium", 30, 1000, 0.867214),
            ("gpt2-medium", 100, 250, 0.67494),
            ("gpt2-large", 50, 2000, 0.795637),
            ("gpt2-large", 100, 1000, 0.749661),
            ("gpt2-xl", 10, 10, 0.105102),
            ("gpt2-xl", 30, 2000, 0.693263),
            ("gpt2-xl", 100, 500, 0.634426),
        ],
    )
    def test_cells_of_the_grid(self, model, context, n_texts, accuracy):
        assert (
            published().imdb[Cell(model=model, corpus="imdb", context=context, n_texts=n_texts)] == accuracy
        )

    def test_runs_on_the_pile(self):
        runs = published().pile
        assert len(runs) == 34
        assert len({(run.cell, run.vectors) for run in runs}) == 34
        assert {run.vectors for run in runs} == {"as they come", "unit", "filtered to ASCII"}
        for run in runs:
            assert run.accuracy_by_epoch[990] == pytest.approx(run.accuracy, abs=5.1e-5)
            assert list(run.accuracy_by_epoch) == [0, 10, 40, 90, 240, 490, 740, 990]
        twin = {
            run.vectors: (run.accuracy, run.K)
            for run in runs
            if run.cell == Cell(model="gpt2", corpus="pile", context=10, n_texts=1000)
        }
        assert twin == {"as they come": (0.459208, 12), "unit": (0.905, 12)}

    def test_the_run_of_the_ablation_section(self):
        run = published().ablation
        assert (run.accuracy, run.masked, run.transfer) == (0.8310955, 0.8295124, 0.6627267)
        assert (run.random, run.largest_share, run.unit) == (0.053661, 0.035, 0.64)


class TestFigureOfARow:
    def test_every_row_is_one_of_the_post(self):
        assert set(ROWS) <= set(post_claims())

    @pytest.mark.parametrize(
        ("row", "expected"),
        [
            ("layers-linearly-separable", 0.8311),
            ("norm-is-a-feature", 0.19),
            ("norm-is-not-the-only-feature", 0.64),
            ("random-vectors-fail", 0.0537),
            ("no-dimension-dominates", 0.035),
            ("masking-recurring-dimensions-is-negligible", 0.0016),
            ("accuracy-drops-on-another-corpus", 0.1684),
            ("transfer-beats-chance", 0.6627),
            ("more-data-higher-accuracy", 0.2807),
            ("longer-context-higher-accuracy", 0.1338),
        ],
    )
    def test_of_the_ablation_cell(self, row, expected):
        found = figure(row)
        assert found.value == expected
        assert found.cell == "gpt2-medium, IMDB, 30 tokens, 1,000 texts"

    def test_headlines_agree_with_the_cell_that_they_come_from(self):
        # these two differ: the post's text rounds, or says less than its figure
        rounded = {"accuracy-drops-on-another-corpus": 0.005, "transfer-beats-chance": 0.005}
        for row in set(ROWS) - {"no-dimension-dominates"}:
            headline = post_claims()[row].claim.reported_value
            if headline is not None:
                assert value(row) == pytest.approx(headline, abs=rounded.get(row, 1e-9)), row

    def test_the_two_runs_of_one_cell_are_both_named(self):
        assert figure("layers-linearly-separable").text == ".8311 (.8322 in its text, .8672 in its sweep)"

    def test_of_another_cell(self):
        gpt2 = {"model": "gpt2", "context": 40, "n_texts": 500}
        assert value("layers-linearly-separable", **gpt2) == 0.9119
        assert value("more-data-higher-accuracy", **gpt2) == round(0.911898 - 0.796923, 4)
        assert value("longer-context-higher-accuracy", **gpt2) == round(0.911898 - 0.800154, 4)
        assert figure("more-data-higher-accuracy", **gpt2).text == ".7969 with 50 texts, .9119 with 500"
        for row in ("norm-is-a-feature", "norm-is-not-the-only-feature", *module.OF_ABLATION):
            assert figure(row, **gpt2) is None, row

    def test_a_loss_is_negative(self):
        assert value("longer-context-higher-accuracy", context=100) == round(0.716777 - 0.73338, 4) < 0

    def test_nothing_is_gained_from_the_start_of_a_sweep(self):
        assert figure("more-data-higher-accuracy", n_texts=50) is None
        assert figure("more-data-higher-accuracy", n_texts=10) is None
        assert figure("longer-context-higher-accuracy", context=10) is None

    def test_unit_vectors_of_the_pile_need_both_twins(self):
        later = {"model": "gpt2-medium", "corpus": "pile", "context": 25, "n_texts": 5000}
        assert value("norm-is-a-feature", **later) == round(0.833773 - 0.88827, 4) < 0
        assert value("norm-is-not-the-only-feature", **later) == 0.8883
        alone = {"model": "gpt2-xl", "corpus": "pile", "context": 10, "n_texts": 1000}  # unit vectors only
        assert figure("norm-is-a-feature", **alone) is None
        assert figure("layers-linearly-separable", **alone) is None
        assert value("norm-is-not-the-only-feature", **alone) == 0.6408

    def test_a_run_on_the_pile_says_that_it_came_later_and_how_many_labels_it_had(self):
        found = figure(
            "layers-linearly-separable",
            model="meta-llama/Llama-2-7b-hf",
            corpus="pile",
            context=10,
            n_texts=1000,
        )
        assert found.value == 0.8344
        assert found.cell == (
            "meta-llama/Llama-2-7b-hf, Pile, 10 tokens, 1,000 texts; the authors' later run, 32 labels"
        )

    def test_filtered_texts_are_not_as_they_come(self):
        assert (
            figure("layers-linearly-separable", model="gpt2-medium", corpus="pile", context=20, n_texts=5000)
            is None
        )

    @pytest.mark.parametrize(
        "model",
        [
            "openai-community/gpt2-medium",
            "gpt2-medium@main",
            "openai-community/gpt2-medium@6dcaa7a952f72f9298047fd5137cd6e4f05f41da",
        ],
    )
    def test_other_spellings_of_the_model_are_the_model(self, model):
        assert all(figure(row, model=model) == figure(row) for row in ROWS)

    @pytest.mark.parametrize(
        "model",
        [
            "./gpt2-medium",
            "local:gpt2-medium",
            "/models/gpt2-medium",
            "gpt2-medium/",
            "gpt2-medium.gguf",
            "gpt2-medium@main.gguf",
            "local:openai-community/gpt2-medium",
            "~nobody-of-this-name/gpt2-medium",
            "somebody/gpt2-medium",
            "openai-community/gpt2-medium/more",
            "gpt2-medium@",
            "gpt2-medium@../../etc/passwd",
            "gpt2-medium\n",
            "gpt2-medium\x00",
            "\ud800gpt2-medium",
            "<script>gpt2-medium</script>",
            "gpt2-medium" * 10_000,
            "",
            "embedded",
        ],
    )
    def test_no_other_name_is_the_model(self, model):
        assert all(figure(row, model=model) is None for row in ROWS)

    @pytest.mark.parametrize(
        "change",
        [
            {"corpus": "embedded:movies"},
            {"corpus": "pile"},
            {"corpus": "ag_news"},
            {"corpus": "./imdb.txt"},
            {"corpus": "imdb@../x"},
            {"context": 31},
            {"n_texts": 999},
            {"model": "gpt2-huge"},
        ],
    )
    def test_no_other_setting_will_do(self, change):
        assert all(figure(row, **change) is None for row in ROWS)

    @pytest.mark.parametrize("other", [None, "embedded:news", "imdb", "ag_news.csv"])
    def test_transfer_needs_the_very_corpus(self, other):
        assert figure("transfer-beats-chance", transfer_corpus=other) is None
        assert figure("accuracy-drops-on-another-corpus", transfer_corpus=other) is None
        assert figure("random-vectors-fail", transfer_corpus=other) is not None

    def test_a_revision_of_the_corpus_is_the_corpus(self):
        changed = {"corpus": "imdb@main", "transfer_corpus": "ag_news@main"}
        assert all(figure(row, **changed) == figure(row) for row in ROWS)

    def test_other_rows_have_none(self):
        for row in (*(set(post_claims()) - set(ROWS)), "no-such-row", ""):
            assert figure(row) is None


class TestCurves:
    def test_over_texts(self):
        curves = accuracy_over_texts(100)
        assert list(curves) == list(GPT2)
        assert curves["gpt2"][0] == (10, 0.768077)
        assert [n for n, _ in curves["gpt2-xl"]] == [10, 50, 100, 250, 500]

    def test_over_context(self):
        curves = accuracy_over_context(2000)
        assert curves["gpt2-xl"] == [(10, 0.650388), (20, 0.678952), (30, 0.693263)]
        assert [n for n, _ in curves["gpt2-large"]] == [10, 20, 30, 40, 50]

    def test_of_no_such_row_or_column_there_are_none(self):
        assert accuracy_over_texts(35) == accuracy_over_context(1) == {}


class TestRecord:
    def head(self, row, **changes) -> ClaimRecord:
        protocol = Protocol(**{**MEDIUM, **changes})
        return record.unjudged(row, Verdict.NOT_TESTED, "nothing", protocol=protocol, seconds=0)

    def test_has_the_figure_of_this_very_run(self):
        found = self.head(post_claims()["norm-is-a-feature"].claim)
        assert (found.reported, found.reported_value, found.reported_exact) == (".8311 -> .64", 0.19, True)
        assert found.reported_cell == "gpt2-medium, IMDB, 30 tokens, 1,000 texts"

    def test_else_the_headline(self):
        row = post_claims()["norm-is-a-feature"].claim
        found = self.head(row, model="./gpt2-medium")
        assert (found.reported, found.reported_value) == (row.reported, row.reported_value)
        assert (found.reported_cell, found.reported_exact) == (None, False)

    def test_of_anybody_elses_claim_keeps_what_its_source_says(self):
        own = Claim(
            id="norm-is-a-feature", section="norm", statement="x", estimand="y", source="p", reported="z"
        )
        found = self.head(own)
        assert (found.reported, found.reported_value, found.reported_exact) == ("z", None, False)
