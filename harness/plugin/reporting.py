"""What a session of claims shows: a line for each verdict as it comes, and the table at the end."""

from collections.abc import Generator
from typing import Any

import pytest
from layerclaims.plugin import terminal
from layerclaims.plugin.outputs import Outputs
from layerclaims.plugin.session import Run
from layerclaims.plugin.verdicts import Verdicts, record_of
from layerclaims.runtime.text import inert
from layerclaims.verdicts.style import STYLES
from layerclaims.verdicts.verdict import Verdict


class Reporting:
    """pytest's terminal, where a session has claims."""

    def __init__(self, run: Run, verdicts: Verdicts, outputs: Outputs) -> None:
        """Show what is going to be judged, what came back, and what was written."""
        self._run, self._verdicts, self._outputs, self._config = run, verdicts, outputs, run.config
        self._over = False  # the summary is being written

    @property
    def _live(self) -> bool:
        """Whether claims are shown as lines: neither as letters (-q) nor as pytest's own lines (-v)."""
        return not self._over and self._config.get_verbosity(pytest.Config.VERBOSITY_TEST_CASES) == 0

    def pytest_report_collectionfinish(self) -> list[str]:
        """What is going to be studied."""
        return self._run.header

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        """A line for a claim, as soon as it is judged."""
        entry = record_of(report)
        out = self._run.screen
        if self._run.worker or entry is None or out is None or not self._live:
            return
        if out.width_of_current_line:
            out.line()
        status = getattr(report, "layerclaims_status", None)
        expected, judged = self._run.expected, self._verdicts.records
        terminal.write_live(
            out,
            entry,
            self._label(report.nodeid),
            done=len(judged),
            of=max(len(expected), len(judged)),
            width=max((self._width(nodeid) for nodeid in expected), default=0),
            note="" if status in (None, "same") else status,
        )
        out.flush()

    def _width(self, nodeid: str) -> int:
        """Columns that the claim's name takes."""
        return len(terminal.name(self._run.expected[nodeid].claim.id, self._label(nodeid)))

    def _label(self, nodeid: str) -> str | None:
        return self._run.settings.target_id(self._run.target(nodeid))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Keep pytest from opening a line of letters for a claim that gets a line of its own."""
        reporter = self._config.pluginmanager.getplugin("terminalreporter")
        distributed = self._config.pluginmanager.hasplugin("dsession")
        if reporter is not None and self._live and not distributed:
            reporter.showfspath = False if nodeid in self._run.expected else None

    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, Any] | None:
        """Show verdicts, not passes and failures."""
        entry = record_of(report)
        if entry is None:
            return None
        verdict = entry.verdict
        status = getattr(report, "layerclaims_status", None)
        if verdict is Verdict.ERROR:
            category = "error"
        elif status in ("no baseline", "incomparable"):
            category = status
        elif status == "improved" and report.passed:
            category = "xpassed"
        else:
            category = "xfailed" if hasattr(report, "wasxfail") else report.outcome
        if self._live:
            return category, "", ""
        word = str(verdict) if status in (None, "same") else f"{verdict} ({status})"
        return category, STYLES[verdict].letter, (word, dict(STYLES[verdict].markup))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> Generator[None]:
        """The table of verdicts and where the files are, in place of pytest's listings of the same claims."""
        if self._run.worker or not self._run.expected:
            return (yield)
        self._over = True
        stats = terminalreporter.stats
        hidden = {
            category: reports
            for category, reports in stats.items()
            if any(_judged(report) for report in reports)
        }
        for category, reports in hidden.items():
            stats[category] = [report for report in reports if not _judged(report)]
        try:
            result = yield
        finally:
            stats.update(hidden)  # for the counts in the last line
        self._summarise(terminalreporter)
        return result

    def _summarise(self, reporter: Any) -> None:
        out = self._config.get_terminal_writer()
        if self._outputs.comparison:
            reporter.section("baseline")
            out.line(self._outputs.comparison)
        if self._verdicts.records:
            reporter.section("verdicts")
            chosen = [nodeid for nodeid in self._run.expected if nodeid in self._verdicts.records]
            records = [(self._verdicts.records[n], self._label(n)) for n in chosen]
            terminal.write_table(out, records)
            if self._run.settings.twin:
                terminal.write_twin(out, records)
            if self._run.chosen:
                out.line(f"{self._run.chosen}.")
        if self._outputs.outcome:
            out.line(f"Against the baseline: {self._outputs.outcome}.")
        terminal.write_paths(out, self._outputs.written, relative_to=self._config.invocation_params.dir)
        for note in self._outputs.notes:
            out.line(inert(note, 2000), red=True)


def _judged(report: Any) -> bool:
    """Whether the table says all that there is to say of a report: no traceback to be read."""
    entry = record_of(report)
    return entry is not None and entry.verdict is not Verdict.ERROR
