"""Options become a protocol: defaults by profile and model, nonsense refused with its option's name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layerclaims.errors import LayerclaimsError
from layerclaims.protocol import Protocol, report_name, resolve_options


class TestDefaults:
    def test_are_the_embedded_model_with_its_corpora(self):
        p = resolve_options({})
        assert (p.model, p.corpus, p.transfer_corpus) == ("embedded", "embedded:movies", "embedded:news")
        assert (p.n_texts, p.context, p.folds, p.seed, p.name) == (1000, 30, 5, 0, "rigorous")
        assert (p.dtype, p.alpha) == ("auto", 0.05)

    def test_are_imdb_and_ag_news_for_any_other_model(self):
        p = resolve_options({"model": ("gpt2", "command line")})
        assert (p.corpus, p.transfer_corpus) == ("imdb", "ag_news")

    @pytest.mark.parametrize(("profile", "n_texts"), [("quick", 200), ("paper", 1000), ("pile", 5000)])
    def test_follow_the_profile(self, profile, n_texts):
        p = resolve_options({"profile": (profile, "command line")})
        assert p.n_texts == n_texts
        assert p.sources["n_texts"] == f"profile {profile}"

    def test_give_way_to_what_is_said(self):
        p = resolve_options(
            {
                "profile": ("pile", "command line"),
                "n_texts": (70, "ini file"),
                "corpus": ("a.txt", "command line"),
            }
        )
        assert (p.n_texts, p.corpus) == (70, "a.txt")
        assert p.sources["n_texts"] == "ini file"
        assert not p.fewer, "what is asked for is meant"

    def test_let_the_pile_profile_go_as_far_as_the_texts_do(self):
        for profile, fewer in (("quick", False), ("paper", False), ("pile", True)):
            assert resolve_options({"profile": (profile, "command line")}).fewer is fewer

    def test_are_all_listed_with_their_source(self):
        listed = {
            o["name"]: o["source"]
            for o in resolve_options({"seed": (3, "command line")}).as_json()["options"]
        }
        assert listed["seed"] == "command line"
        assert listed["context"] == "default"


class TestHash:
    def test_changes_with_each_field(self):
        base = Protocol()
        others = [
            Protocol(model="gpt2"), Protocol(corpus="a.txt"), Protocol(transfer_corpus="a.txt"), Protocol(n_texts=99),
            Protocol(context=9), Protocol(folds=4), Protocol(seed=1), Protocol(name="as-published"),
            Protocol(dtype="bfloat16"), Protocol(alpha=0.1),
        ]  # fmt: skip
        assert len({p.hash for p in [base, *others]}) == len(others) + 1

    def test_does_not_care_where_a_value_came_from(self):
        assert Protocol().hash == Protocol(sources={"seed": "ini file"}).hash


@pytest.mark.parametrize(
    ("field", "value", "option"),
    [("n_texts", 3, "--n-texts"), ("context", 0, "--context"), ("folds", 1, "--folds"), ("seed", -1, "--seed"),
     ("name", "sloppy", "--protocol"), ("dtype", "int7", "--dtype"), ("alpha", 0, "--alpha"),
     ("alpha", 0.3, "--alpha"), ("profile", "huge", "--profile"), ("alpha", float("nan"), "--alpha")],
)  # fmt: skip
def test_nonsense_is_refused_with_its_option_and_value(field, value, option):
    with pytest.raises(LayerclaimsError, match=option):
        Protocol(**{field: value})


class TestReportName:
    @pytest.mark.parametrize(
        ("model", "name"),
        [("embedded", "smollm2-135m-instruct"), ("gpt2-medium", "gpt2-medium"),
         ("meta-llama/Llama-2-7b-hf", "meta-llama-llama-2-7b-hf"), ("./models/tiny/", "tiny"),
         ("local:mine", "mine"), ("/x/SmolLM2.Q4_1.gguf", "smollm2.q4_1"), ("gpt2@abc", "gpt2@abc")],
    )  # fmt: skip
    def test_is_readable(self, model, name):
        assert report_name(model) == name

    @given(st.text(max_size=300))
    def test_is_one_harmless_folder_whatever_the_model(self, model):
        name = report_name(model)
        assert name
        assert len(name) <= 90
        assert name.isascii()
        assert not set(name) & set("/\\<>|:*?\"' \n\t\0")
        assert name not in (".", "..")
        assert not name.startswith((".", "-"))
