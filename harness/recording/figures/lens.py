"""Figures of the logit lens: how far the states of each layer say what the model says in the end."""

from layerclaims.experiments.lens import logit_lens
from layerclaims.experiments.series import LENS
from layerclaims.experiments.study import Study
from layerclaims.recording.figure import figure
from layerclaims.recording.figures.drawing import line
from layerclaims.results.figure_records import LinesRecord, PlacesRecord, ReferenceRecord, ScaleRecord
from layerclaims.runtime.text import number

_READ = "through the model's own final norm and unembedding, at one position of each text"


@figure(LENS)
def lens_agreement(study: Study) -> LinesRecord:
    """Share of positions at which a state, unembedded, has the model's own first choice."""
    share = study.counts(LENS).recall
    return LinesRecord(
        kind="lines",
        title="The unembedding on other layers",
        caption=f"How often states 1 to L-1, read {_READ}, name the token that the model's own output names.",
        alt=f"Agreement from {number(float(share[0]))} at state 1 to {number(float(share[-1]))} at state {len(share)}.",
        x=PlacesRecord(label="state", values=tuple(range(1, len(share) + 1))),
        y=ScaleRecord(label="agreement", log=False),
        series=(line("agreement", share),),
        reference=(ReferenceRecord(label="half", value=0.5),),
    )


@figure(logit_lens)
def lens_divergence(study: Study) -> LinesRecord:
    """Divergence of the unembedded states from the model's own output."""
    kl = study.values(logit_lens).arrays["kl"].mean(0)
    return LinesRecord(
        kind="lines",
        title="How far the states are from the output",
        caption=f"Divergence KL(own output || state) in nats, of states 1 to L read {_READ}. State L is the output.",
        alt=f"Divergence from {number(float(kl[0]))} nats at state 1 to {number(float(kl[-2]))} before the last one.",
        x=PlacesRecord(label="state", values=tuple(range(1, len(kl) + 1))),
        y=ScaleRecord(label="KL in nats", log=False),
        series=(line("divergence", kl),),
        reference=(),
    )
