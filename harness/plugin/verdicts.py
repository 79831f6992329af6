"""The verdicts of a session as they come in, each as a record that crosses to another process as plain JSON."""

import traceback
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest
from layerclaims.errors import LayerclaimsError, NotTestedError
from layerclaims.plugin.collection import claim_of
from layerclaims.plugin.judge import JUDGED
from layerclaims.plugin.session import Run
from layerclaims.plugin.settings import Target
from layerclaims.runtime.memory import exhausted
from layerclaims.runtime.text import digits
from layerclaims.verdicts.verdict import Verdict

if TYPE_CHECKING:
    from layerclaims.recording.exhibits import Exhibits
    from layerclaims.results.change_records import ChangeRecord
    from layerclaims.results.records import ClaimRecord

EXHIBITS = pytest.StashKey[dict[str, Any]]()


class Verdicts:
    """What came back of the claims that a session expects."""

    def __init__(self, run: Run) -> None:
        """Nothing has come back yet."""
        self._run = run
        self.records: dict[str, ClaimRecord] = {}  # by node id
        self.exhibits: dict[Target, Exhibits] = {}  # the counts and figures that the records name

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self) -> Generator[None, Any, Any]:
        """What a claim needs and does not find is no failure: the claim is not tested."""
        try:
            return (yield)
        except NotTestedError as error:
            pytest.skip(str(error))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Forget what an earlier run of the same test has left: a plugin may run it again."""
        if JUDGED in item.stash:
            del item.stash[JUDGED]
        if EXHIBITS in item.stash:
            del item.stash[EXHIBITS]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """Collect the counts and draw the figures behind a verdict, which stands on the screen by now."""
        if (judged := item.stash.get(JUDGED, None)) is not None:
            from layerclaims.recording.exhibits import Exhibits, exhibits

            known = self.exhibits.setdefault(self._run.target(item.nodeid), Exhibits())
            found = exhibits(judged.study, judged.evidence, known=known)
            known.add(found)
            item.stash[EXHIBITS] = vars(found)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, Any]:
        """Attach the record to the report, as plain JSON: that is what crosses to xdist's controller."""
        report = yield
        claim = claim_of(item)
        if claim is None:
            return report
        found, report.layerclaims_status = None, None
        report.layerclaims_exhibits = item.stash.get(EXHIBITS, None)
        judged = item.stash.get(JUDGED, None)
        broken = report.failed and judged is not None and judged.outcome.end == "pass"  # after its verdict
        if report.when == "call" and judged is not None and not broken:
            found, report.layerclaims_status = judged.record, judged.outcome.status
        elif report.skipped or report.failed:
            verdict = Verdict.NOT_TESTED if report.skipped else Verdict.ERROR
            found = self._unjudged(item.nodeid, verdict, _reason(report, call), seconds=call.duration)
        elif report.when == "call":
            report.outcome, report.longrepr = "failed", "The claim's test ended without asking for a verdict."
            found = self._unjudged(item.nodeid, Verdict.ERROR, report.longrepr, seconds=call.duration)
        report.layerclaims_record = None if found is None else _as_json(found)
        if found is not None:
            kept = dict(item.user_properties)
            kept.update(_properties(found))
            if judged is not None and judged.outcome.change is not None:
                kept.update(_against(judged.outcome.change))
            item.user_properties[:] = list(kept.items())
            report.user_properties = list(kept.items())
        return report

    def _unjudged(self, nodeid: str, verdict: Verdict, reason: str, *, seconds: float = 0.0) -> "ClaimRecord":
        """The record of a claim without a number."""
        from layerclaims.recording import record

        claim, protocol = self._run.expected[nodeid].claim, self._run.target(nodeid).protocol
        return record.unjudged(claim, verdict, reason, protocol=protocol, seconds=seconds)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: Any) -> None:
        """A worker that died takes its claim's verdict with it, and nothing else."""
        if crashitem in self._run.expected:
            why = "The process that was judging this claim died (killed, or out of memory?)."
            report.layerclaims_record = _as_json(self._unjudged(crashitem, Verdict.ERROR, why))

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Collect a record and its exhibits; a failure after the verdict (in teardown) takes it back.

        Of a test that runs again (a plugin reruns what failed) the last record counts.
        """
        if self._run.worker:
            return
        if (found := record_of(report)) is not None:
            self.records[report.nodeid] = found
        if (exhibits := getattr(report, "layerclaims_exhibits", None)) is not None:
            from layerclaims.recording.exhibits import Exhibits

            self.exhibits.setdefault(self._run.target(report.nodeid), Exhibits()).add(Exhibits(**exhibits))

    def lose(self, nodeid: str) -> None:
        """A claim that was selected and never came back."""
        why = "The claim was selected and came back without a verdict."
        self.records[nodeid] = self._unjudged(nodeid, Verdict.ERROR, why)


def record_of(report: Any) -> "ClaimRecord | None":
    """A claim's record, which comes as plain JSON: so it may have come from another process."""
    entry = getattr(report, "layerclaims_record", None)
    if entry is None:
        return None
    from layerclaims.results.records import ClaimRecord

    return ClaimRecord.model_validate(entry)


def _as_json(record: "ClaimRecord") -> dict[str, Any]:
    from layerclaims.results import file as results

    return results.plain(record, exact=True)


def _properties(record: "ClaimRecord") -> dict[str, str]:
    """What JUnit gets to know of a claim."""
    threshold = record.criterion.threshold
    numbers = {
        "estimate": record.estimate,
        "interval_low": record.interval and record.interval[0],
        "interval_high": record.interval and record.interval[1],
        "threshold": threshold[-1] if isinstance(threshold, tuple) else threshold,
    }
    return {
        "claim_id": record.id,
        "claim_protocol": record.protocol,
        "claim_verdict": str(record.verdict),
        **{f"claim_{name}": "" if value is None else digits(value) for name, value in numbers.items()},
        "claim_reason": record.reason,
    }


def _against(change: "ChangeRecord") -> dict[str, str]:
    """What JUnit gets to know of a claim in the baseline."""
    side = change.baseline
    estimate = None if side is None else side.estimate
    low, high = (None, None) if side is None or side.interval is None else side.interval
    numbers = {"estimate": estimate, "interval_low": low, "interval_high": high}
    return {
        "claim_status": change.status,
        "baseline_verdict": "" if side is None else str(side.verdict),
        **{f"baseline_{name}": "" if value is None else digits(value) for name, value in numbers.items()},
        "baseline_note": change.note,
    }


def _reason(report: Any, call: pytest.CallInfo[None]) -> str:
    """One line of why a test could not be judged."""
    if report.skipped and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    if call.excinfo is None:
        return "the test failed"
    if said := exhausted(call.excinfo.value):
        traceback.clear_frames(call.excinfo.tb)  # whose variables would keep the memory from the next claim
        return said
    text = " ".join(str(call.excinfo.value).split())
    kind = call.excinfo.type.__name__
    return text[:300] if issubclass(call.excinfo.type, LayerclaimsError) else f"{kind}: {text}"[:300]
