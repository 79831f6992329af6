"""What a session of claims writes: results, report, baseline and summary, a set of files for each model."""

import gc
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from layerclaims.errors import LayerclaimsError
from layerclaims.plugin.session import Run
from layerclaims.plugin.settings import Target
from layerclaims.plugin.verdicts import Verdicts
from layerclaims.runtime import progress
from layerclaims.runtime.text import brief
from layerclaims.verdicts.verdict import Verdict

if TYPE_CHECKING:
    from layerclaims.results.records import Results

GOES_ON = "What was computed is kept: the same command goes on from there."


class Outputs:
    """The files of a session, written when its last test is over."""

    def __init__(self, run: Run, verdicts: Verdicts) -> None:
        """Write the `verdicts` on what `run` expects."""
        self._run, self._verdicts = run, verdicts
        self.notes: list[str] = []  # sentences for the end
        self.written: list[Path] = []
        self.outcome = ""  # of the comparison with the baseline: "2 regressed, 30 same"
        self.comparison = ""  # the same, claim by claim
        self._regressed = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Generator[None]:
        """Write results and report before anybody else has a say; Ctrl-C ends this too with one sentence."""
        run = self._run
        if run.worker or session.config.option.collectonly or not run.expected:
            return (yield)
        try:
            self._finish(session, exitstatus)
        except KeyboardInterrupt:
            self._interrupted(session)
        try:
            return (yield)
        except KeyboardInterrupt:  # while the summary was written
            session.exitstatus = pytest.ExitCode.INTERRUPTED
            if run.screen is not None:
                run.screen.line(f"\nStopped while the summary was written. {GOES_ON}", red=True)
            return None

    def _finish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write what there is; a claim that was selected and has no verdict fails the run."""
        run, records = self._run, self._verdicts.records
        missing = [nodeid for nodeid in run.expected if nodeid not in records]
        stopped = missing and (session.shouldstop or session.shouldfail)
        if exitstatus == pytest.ExitCode.INTERRUPTED or stopped:
            self.notes.append(
                f"Stopped with {len(records)} of {len(run.expected)} verdicts, so no report was written. {GOES_ON}"
            )
            return
        if exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            return
        for nodeid in missing:
            self._verdicts.lose(nodeid)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        runs: list[Results] = []
        for targets in run.settings.models.values():
            try:
                runs += self._write(session, targets)
            except LayerclaimsError as error:  # the other models' files are written all the same
                self._fail(session, str(error))
        if len(runs) > 1:
            self._write_board(session, runs)
        self._index()
        gc.freeze()  # the process ends soon: its last three searches for garbage would take half a second

    def _index(self) -> None:
        """List all reports that lie beside those of this run; one that cannot be listed fails nobody."""
        from layerclaims.report import index

        if "html" not in self._run.settings.formats:
            return
        for root in dict.fromkeys(filter(None, (target.listed_in for target in self._run.settings.targets))):
            try:
                listed = index.update(root)
            except Exception as error:  # whatever it is, the run's own files are written
                self.notes.append(f"{root / index.NAME} was not written: {brief(error)}.")
            else:
                self.written += [] if listed is None else [listed]

    def _interrupted(self, session: pytest.Session) -> None:
        """Say how far the files are: each is whole or as it was."""
        whole = (
            f"{len(self.written)} files are written, each of them whole"
            if self.written
            else "No file was written"
        )
        self.notes.append(f"Stopped while the report was written. {whole}. {GOES_ON}")
        session.exitstatus = pytest.ExitCode.INTERRUPTED

    def _fail(self, session: pytest.Session, sentence: str) -> None:
        """Say what could not be written, and let the run fail."""
        self.notes.append(sentence)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _write_board(self, session: pytest.Session, runs: "Sequence[Results]") -> None:
        """Claims by models, beside the folders of the models."""
        from layerclaims.report import board

        settings = self._run.settings
        try:
            self.written += board.write(board.make(runs), settings.targets[0].out.parent, settings.formats)
        except LayerclaimsError as error:
            self._fail(session, str(error))

    def _write(self, session: pytest.Session, targets: Sequence[Target]) -> "list[Results]":
        """The files of one model, whose results are returned; results.json comes first."""
        from layerclaims.report import render as report
        from layerclaims.results import file as results

        settings = self._run.settings
        assembled = self._assembled(session, targets)
        if assembled is None:
            return []
        out = targets[0].out
        self.written.append(results.write(out / "results.json", assembled))
        self._compare(session, assembled)
        self._save_baseline(assembled)
        if "pdf" in settings.formats:  # the one format that takes seconds
            progress.note(f"layerclaims: writing the report of {targets[0].name}")
        for name in report.in_order(settings.formats):  # one by one: an interruption knows what is written
            rendered = report.render_each(assembled, out, [name])
            self.written += rendered.paths
            self.notes += rendered.notes
            for sentence in rendered.failures:
                self._fail(session, sentence)
        if (summary := out / report.NAMES["md"]) in self.written:
            report.append_step_summary(summary.read_text("utf-8"))
        return [assembled]

    def _assembled(self, session: pytest.Session, targets: Sequence[Target]) -> "Results | None":
        """The results of one model; None where none of its claims was selected."""
        from layerclaims.recording.assemble import assemble
        from layerclaims.recording.exhibits import Exhibits
        from layerclaims.results.records import SelectedRecord

        run, verdicts = self._run, self._verdicts
        records = [
            verdicts.records[nodeid]
            for nodeid in run.expected
            if nodeid in verdicts.records and run.target(nodeid) in targets
        ]
        if not records:
            return None
        stated = [o for o in targets[0].protocol.as_json()["options"] if o["name"] != "name"]
        counted = run.counted(targets)
        return assemble(
            {target.protocol.name: run.study(target) for target in targets},
            records,
            {target.protocol.name: verdicts.exhibits.get(target, Exhibits()) for target in targets},
            options=[*stated, *run.settings.stated],
            command=[str(word) for word in session.config.invocation_params.args],
            selected=None if counted is None else SelectedRecord(claims=counted[0], of=counted[1]),
            baseline=run.baseline,
        )

    def _compare(self, session: pytest.Session, assembled: "Results") -> None:
        """Say how the results compare with the baseline, if there is one; what got worse fails the run."""
        from layerclaims.results import compare, comparison_text

        baseline, found = self._run.baseline, assembled.baseline
        if baseline is None or found is None:
            return
        self.outcome = found.outcome
        self.comparison = comparison_text.text(baseline, assembled, found.changes)
        if compare.exit_status(found.shown, "regression") and not self._run.settings.verdicts_only:
            self._regressed = True
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _save_baseline(self, assembled: "Results") -> None:
        """Write the results as a later baseline, unless they are none to be held against."""
        from layerclaims.results import file as results

        path = self._run.settings.save_baseline
        if path is None:
            return
        broken = [claim.id for claim in assembled.claims if claim.verdict is Verdict.ERROR]
        if broken:
            why = f"{len(broken)} of the claims could not be judged (such as {broken[0]})"
        elif self._regressed:
            why = "this run fails against its own --baseline"
        else:
            self.written.append(results.write(path, assembled))
            return
        self.notes.append(f"No baseline was saved, since {why}; what lay there before is as it was.")
