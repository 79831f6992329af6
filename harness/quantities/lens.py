"""What is said beside the numbers of the logit lens."""

from layerclaims.experiments.series import LENS
from layerclaims.experiments.study import Study
from layerclaims.runtime.text import number
from layerclaims.verdicts.declaration import Fact


def _sample(study: Study) -> str:
    n, states = study.counts(LENS).total.shape
    return f"one position of each of {n:,} texts, drawn by the seed, never the first one; {states} states of each"


def _last_but_one(study: Study) -> str:
    share = study.counts(LENS).recall
    return f"{number(float(share[-1]))} (state {len(share)})"


sample = Fact(name="sample", needs=(LENS.of,), text=_sample)
last_but_one = Fact(name="agreement at the last state but one", needs=(LENS.of,), text=_last_but_one)
