"""The fixture `judge`: takes what a claim's test declares, decides, and lets the test end accordingly."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest
from layerclaims.plugin import gate
from layerclaims.plugin.collection import claim_of
from layerclaims.plugin.session import Run
from layerclaims.verdicts.declaration import Declaration, Recorder
from layerclaims.verdicts.quantity import Condition

if TYPE_CHECKING:
    from layerclaims.experiments.study import Study
    from layerclaims.results.records import ClaimRecord, TwinRecord
    from layerclaims.verdicts.evidence import Evidence


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a claim's test leaves behind."""

    record: "ClaimRecord"
    outcome: gate.Outcome
    evidence: "Evidence"
    study: "Study"


JUDGED = pytest.StashKey[Judged]()
UNTRAINED: Final = "untrained twin"  # its name among what is missing


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
        evidence, missing = record.gathered(self._study, rule)
        twin = self._control(declaration, missing)
        entry = record.judged(
            claim,
            evidence,
            rule=words if rule is declaration else f"As published: {rule.words}.",
            protocol=protocol,
            seconds=time.perf_counter() - self._start,
            missing=missing,
        ).model_copy(update={"control_untrained": twin})
        outcome = self._run.outcome(entry, evidence, self._study)
        self._item.stash[JUDGED] = Judged(record=entry, outcome=outcome, evidence=evidence, study=self._study)
        if outcome.end == "fail":
            pytest.fail(outcome.sentence, pytrace=False)
        if outcome.end == "known":
            pytest.xfail(outcome.sentence)

    def _control(self, declaration: Declaration, missing: dict[str, str]) -> "TwinRecord | None":
        """What the claim's rule says of the untrained twin; None where no control was asked for, or it is `missing`."""
        from layerclaims.recording import record
        from layerclaims.recording.exhibits import left_out

        twin = self._run.twin(self._item.nodeid)
        if twin is None:
            return None
        self._study.release()  # the matrices of both need not lie side by side
        try:
            return record.control(declaration, twin)
        except Exception as error:  # whatever it is, the model's own verdict must not be lost to a control
            missing[UNTRAINED] = left_out("the verdict on the untrained twin", error)
            return None
        finally:
            twin.release()
