"""The fixture `judge`: takes what a claim's test declares, decides, and lets the test end accordingly."""

import time
from typing import TYPE_CHECKING, Any

import pytest
from layerclaims.plugin.collection import claim_of
from layerclaims.plugin.session import JUDGED, Judged, Run
from layerclaims.verdicts.declaration import Declaration, Recorder
from layerclaims.verdicts.quantity import Condition

if TYPE_CHECKING:
    from layerclaims.experiments.study import Study
    from layerclaims.results.records import TwinRecord


class Judge:
    """Called once by a claim's test; what is no success ends the test with one sentence."""

    def __init__(self, item: pytest.Function, study: "Study", run: Run) -> None:
        """`item` is the claim's test, `study` that of its model and protocol."""
        self._item, self._study, self._run = item, study, run
        self._start = time.perf_counter()

    def __call__(self, *conditions: Condition, **shown_with: Any) -> None:
        """All conditions have to hold; as `verdicts.declaration.Recorder`, whose keywords it takes."""
        __tracebackhide__ = True
        from layerclaims.recording import record

        claim = claim_of(self._item)
        assert claim is not None, "the fixture judge is for tests with @claim"
        recorder = Recorder()
        recorder(*conditions, **shown_with)
        declaration = recorder.declaration
        assert declaration is not None
        protocol = self._study.protocol
        rule = declaration.under(protocol.name)
        words = " ".join((self._item.function.__doc__ or "").split())
        evidence = self._study.evidence(declaration)
        entry = record.judged(
            claim,
            evidence,
            rule=words if rule is declaration else f"As published: {rule.words}.",
            protocol=protocol,
            seconds=time.perf_counter() - self._start,
        ).model_copy(update={"control_untrained": self._control(declaration)})
        outcome = self._run.outcome(entry, evidence, self._study)
        self._item.stash[JUDGED] = Judged(record=entry, outcome=outcome, evidence=evidence, study=self._study)
        if outcome.end == "fail":
            pytest.fail(outcome.sentence, pytrace=False)
        if outcome.end == "known":
            pytest.xfail(outcome.sentence)

    def _control(self, declaration: Declaration) -> "TwinRecord | None":
        """What the claim's rule says of the untrained twin; None where no control was asked for."""
        from layerclaims.recording import record

        twin = self._run.twin(self._item.nodeid)
        if twin is None:
            return None
        self._study.release()  # the matrices of both need not lie side by side
        try:
            return record.control(declaration, twin)
        finally:
            twin.release()
