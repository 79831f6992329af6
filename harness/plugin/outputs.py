"""What a session of claims writes: results, report, baseline and summary, a set of files for each model."""

import gc
from collections.abc import Sequence
from pathlib import Path

import pytest
from layerclaims.errors import LayerclaimsError
from layerclaims.plugin.options import Target
from layerclaims.plugin.session import Run
from layerclaims.runtime import progress


class Outputs:
    """The files of a session, written when its last test is over."""

    def __init__(self, run: Run) -> None:
        """Write what `run` collects."""
        self._run = run
        self.notes: list[str] = []  # sentences for the end
        self.written: list[Path] = []
        self.comparison = ""  # with the baseline

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write results and report; a claim that was selected and has no verdict fails the run."""
        run = self._run
        if run.worker or session.config.option.collectonly or not run.expected:
            return
        missing = [nodeid for nodeid in run.expected if nodeid not in run.records]
        if missing and (
            exitstatus == pytest.ExitCode.INTERRUPTED or session.shouldstop or session.shouldfail
        ):
            self.notes.append(
                f"Stopped with {len(run.records)} of {len(run.expected)} verdicts, so no report was written. What "
                "was computed is kept: the same command goes on from there."
            )
            return
        if exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            return
        for nodeid in missing:
            run.lose(nodeid)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        for targets in run.settings.models.values():
            try:
                self._write(session, targets)
            except LayerclaimsError as error:  # the other models' files are written all the same
                self._fail(session, str(error))
        gc.freeze()  # the process ends soon: its last three searches for garbage would take half a second

    def _fail(self, session: pytest.Session, sentence: str) -> None:
        """Say what could not be written, and let the run fail."""
        self.notes.append(sentence)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _write(self, session: pytest.Session, targets: Sequence[Target]) -> None:
        """The files of one model."""
        from layerclaims.recording.assemble import assemble
        from layerclaims.recording.exhibits import Exhibits
        from layerclaims.report import render as report
        from layerclaims.results import compare
        from layerclaims.results import file as results

        run, settings = self._run, self._run.settings
        records = [
            run.records[nodeid]
            for nodeid in run.expected
            if nodeid in run.records and run.target(nodeid) in targets
        ]
        if not records:
            return
        out = targets[0].out
        stated = [o for o in targets[0].protocol.as_json()["options"] if o["name"] != "name"]
        assembled = assemble(
            {target.protocol.name: run.study(target) for target in targets},
            records,
            {target.protocol.name: run.exhibits.get(target, Exhibits()) for target in targets},
            options=[*stated, *settings.stated],
            command=[str(word) for word in session.config.invocation_params.args],
        )
        if run.baseline is not None:
            changes = compare.compare(run.baseline, assembled)
            ran = [change for change in changes if change.new is not None]
            self.comparison = compare.heading(run.baseline, assembled) + "\n\n" + compare.table(ran)
            if len(ran) < len(changes):
                self.comparison += f" {len(changes) - len(ran)} claims of the baseline were not run."
            if compare.exit_status(ran, "regression") and not settings.verdicts_only:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        self.written.append(results.write(out / "results.json", assembled))
        if settings.save_baseline is not None:
            self.written.append(results.write(settings.save_baseline, assembled))
        if "pdf" in settings.formats:  # the one format that takes seconds
            progress.note(f"layerclaims: writing the report of {targets[0].name}")
        rendered = report.render_each(assembled, out, settings.formats)
        self.written += rendered.paths
        self.notes += rendered.notes
        for sentence in rendered.failures:
            self._fail(session, sentence)
        if (summary := out / report.NAMES["md"]) in rendered.paths:
            report.append_step_summary(summary.read_text("utf-8"))
