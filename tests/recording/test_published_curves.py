"""Curves of the authors' runs, over the places of a figure of ours."""

import pytest
from layerclaims.recording.published_curves import curves_over_context, curves_over_texts, with_published
from layerclaims.results.figure_records import CurveRecord, LinesRecord, PlacesRecord, ScaleRecord

PLACES = {str(n): n for n in (5, 10, 20, 30, 35)}
OWN = LinesRecord(
    kind="lines",
    title="t",
    caption="Ours.",
    alt="a",
    x=PlacesRecord(label="tokens", values=tuple(PLACES)),
    y=ScaleRecord(label="accuracy"),
    series=(CurveRecord(name="accuracy", values=(0.1,) * 5),),
)


def names(curves):
    return [curve.name for curve in curves]


def test_each_model_has_a_curve_with_nothing_where_it_was_not_run():
    curves = curves_over_context(PLACES, n_texts=1000)
    assert names(curves)[1] == "published gpt2-medium, 1,000 texts"
    assert len(curves) == 4
    assert curves[1].values == (None, 0.73338, 0.79016, 0.867214, None)
    assert all(curve.published and curve.low is None and curve.high is None for curve in curves)


@pytest.mark.parametrize(
    ("n_texts", "row"), [(200, "100"), (100, "100"), (5, "10"), (1999, "1,000"), (9000, "2,000")]
)
def test_a_run_is_set_beside_the_row_of_as_many_texts_or_fewer(n_texts, row):
    assert names(curves_over_context(PLACES, n_texts=n_texts))[0] == f"published gpt2, {row} texts"


@pytest.mark.parametrize(("context", "row"), [(30, 30), (8, 10), (25, 20), (28, 30), (60, 50), (900, 100)])
def test_a_run_is_set_beside_the_nearest_context(context, row):
    curves = curves_over_texts({"50": 50, "100": 100, "200": 200}, context=context)
    assert names(curves)[0] == f"published gpt2, {row} tokens"


def test_over_texts():
    curves = curves_over_texts({"50": 50, "100": 100, "200": 200, "all": 250}, context=30)
    assert curves[0].values == (0.771795, 0.835, None, 0.887692)


def test_a_model_without_a_point_has_no_curve():
    only = curves_over_texts({"2000": 2000}, context=100)
    assert names(only) == ["published gpt2, 100 tokens", "published gpt2-medium, 100 tokens"]
    assert curves_over_context({"5": 5}, n_texts=1000) == ()


def test_a_figure_takes_them_and_says_so():
    figure = with_published(OWN, curves_over_context(PLACES, n_texts=1000))
    assert figure.series[0] == OWN.series[0]
    assert len(figure.series) == 5
    assert "the post's authors on IMDB" in figure.caption
    assert LinesRecord.model_validate(figure.model_dump()) == figure
    assert with_published(OWN, ()) == OWN
