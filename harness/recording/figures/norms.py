"""Figures of norms: by layer, and the laws by which they may grow."""

from layerclaims.experiments.norms import early_norms, norms_by_state
from layerclaims.experiments.study import Study
from layerclaims.metrics import growth
from layerclaims.recording.figure import figure
from layerclaims.recording.figures.drawing import line
from layerclaims.results.figure_records import LinesRecord, PlacesRecord, ScaleRecord
from layerclaims.runtime.text import number


@figure(norms_by_state)
def norms_by_layer(study: Study) -> LinesRecord:
    """Largest, mean and smallest norm of each state, position 0 left out."""
    table = study.values(norms_by_state).arrays
    positions = "of all positions"
    if study.first_position:
        most = number(float(table["largest"].max()))
        positions = f"without the first position of each text, where norms reach {most}"
    states = (*(str(i) for i in range(study.n_labels)), "final")
    return LinesRecord(
        kind="lines",
        title="Norms by layer",
        caption=f"Largest, mean and smallest norm of the vectors of each state, {positions}. “final” is the last "
        "state after the final norm.",
        alt=f"Mean norm from {number(float(table['mean_later'][0]))} at state 0 to "
        f"{number(float(table['mean_later'][-2]))} at state {study.n_labels - 1}.",
        x=PlacesRecord(label="state", values=states),
        y=ScaleRecord(label="norm", log=True),
        series=(
            line("largest", table["largest_later"]),
            line("mean", table["mean_later"]),
            line("smallest", table["smallest_later"]),
        ),
        reference=(),
    )


@figure(norms_by_state)
def laws_of_growth(study: Study) -> LinesRecord:
    """Mean norm by layer, and every law of growth that was fitted to it."""
    means = study.values(norms_by_state).arrays["mean_later"][1 : study.n_labels]
    errors = growth.fit_errors(means)
    return LinesRecord(
        kind="lines",
        title="Laws of growth",
        caption="Mean norm of states 1 to L and five laws of two parameters, each fitted to the logarithm of all of "
        "them. In brackets the error with which a law predicts the log norm of a state that is left out.",
        alt="; ".join(f"{law}: error {number(float(e))}" for law, e in zip(growth.LAWS, errors, strict=True)),
        x=PlacesRecord(label="state", values=tuple(range(1, study.n_labels))),
        y=ScaleRecord(label="mean norm", log=True),
        series=(
            line("measured", means),
            *(
                line(f"{law} ({number(float(error))})", curve)
                for law, error, curve in zip(growth.LAWS, errors, growth.fitted_laws(means), strict=True)
            ),
        ),
        reference=(),
    )


@figure(early_norms)
def early_norms_by_state(study: Study) -> LinesRecord:
    """Central 95 % of the norms of the states of the first third."""
    low, middle, high = study.values(early_norms).arrays["quantiles"].T
    return LinesRecord(
        kind="lines",
        title="Norms of the early states",
        caption="Median of the norms of each state of the first third, and the lowest and the highest 2.5 % cut off.",
        alt=f"Medians from {number(float(middle.min()))} to {number(float(middle.max()))}.",
        x=PlacesRecord(label="state", values=tuple(range(len(middle)))),
        y=ScaleRecord(label="norm", log=True),
        series=(line("97.5 %", high), line("median", middle), line("2.5 %", low)),
        reference=(),
    )
