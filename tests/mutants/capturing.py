"""Wrong captures: which states are made when, and how often it is tried."""

from typing import Final

from tests.mutants.mutant import Mutant

CAPTURING: Final = (
    Mutant(
        name="everything captured before the first verdict",
        file="experiments/plan.py",
        before='role != "main" and put_off and not',
        after='role != "main" and not put_off and not',
        tests=("experiments/test_plan.py::test_the_first_verdicts_wait_for_the_main_corpus_alone",),
        wrong="the first verdict waits for the states of all corpora",
    ),
    Mutant(
        name="what was put off is tried for ever",
        file="experiments/inputs.py",
        before="                self._failed[role] = error\n",
        after="                pass\n",
        tests=("experiments/test_plan.py::test_states_that_cannot_be_had_later_are_tried_once",),
        wrong="each claim that reads states which cannot be captured attempts it again",
    ),
)
