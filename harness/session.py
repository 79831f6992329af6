"""A session of claims: what is expected, the verdicts as they come in, and what is written of them."""

import gc
from collections.abc import Generator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness import gate, options, progress, terminal
from harness.claim import Claim, Verdict
from harness.errors import LayerclaimsError, NotTestedError
from harness.options import Target

if TYPE_CHECKING:
    from harness.study import Study

CLAIMS = Path(__file__).resolve().parent.parent / "claims"
RECORD = pytest.StashKey[dict[str, Any]]()
OUTCOME = pytest.StashKey[gate.Outcome]()


def claim_of(item: Any) -> Claim | None:
    """The row that a collected test declares; None for a test that is no claim."""
    found = getattr(getattr(item, "function", None), "claim", None)
    return found if isinstance(found, Claim) else None


class Run:
    """What the plugin keeps for a session: settings, studies, and the verdicts as they come in."""

    def __init__(self, config: pytest.Config) -> None:
        """Raises LayerclaimsError for options that make no sense."""
        self.config = config
        self.settings = options.read(config)
        self.worker = hasattr(config, "workerinput")
        self.expected: list[str] = []  # node ids that have to come back with a verdict
        self.records: dict[str, dict[str, Any]] = {}  # by node id
        self._notes: list[str] = []  # sentences for the end
        self._written: list[Path] = []
        self._comparison = ""
        self._over = False  # the summary is being written

    def study(self, target: Target) -> "Study":
        """The study of one model under one protocol, made once."""
        return self._all_studies[target]

    def twin(self, target: Target) -> "Study | None":
        """The same for its untrained twin; None where no such control was asked for."""
        return self._all_twins[target] if self.settings.twin else None

    @cached_property
    def _all_studies(self) -> "dict[Target, Study]":
        return self._made(untrained=False)

    @cached_property
    def _all_twins(self) -> "dict[Target, Study]":
        return self._made(untrained=True)

    def _made(self, *, untrained: bool) -> "dict[Target, Study]":
        """A study of each target, which touches nothing yet; those of one protocol know each other."""
        from harness.study import Study

        studies = {
            target: Study(
                target.protocol,
                cache_dir=self.settings.cache_dir,
                device=self.settings.device,
                batch_size=self.settings.batch_size,
                offline=self.settings.offline,
                untrained=untrained,
                memory=self.settings.memory,
            )
            for target in self.settings.targets
        }
        for target, study in studies.items():
            study.family = {
                other.name: studies[other] for other in studies if other.protocol.name == target.protocol.name
            }
        return studies

    @cached_property
    def baseline(self) -> dict[str, Any] | None:
        """The results to compare with; raises LayerclaimsError."""
        from harness import results

        return None if self.settings.baseline is None else results.read(self.settings.baseline)

    def outcome(self, entry: Mapping[str, Any], study: "Study") -> gate.Outcome:
        """How the test of a record ends."""
        if self.baseline is not None and not self.settings.verdicts_only:
            return gate.by_baseline(entry, study, self.baseline)
        return gate.by_verdict(
            entry, lenient=self.settings.lenient, verdicts_only=self.settings.verdicts_only
        )

    # --- before the tests

    @property
    def wanted(self) -> bool:
        """Whether this session may run claims at all: elsewhere the plugin is silent."""
        names = [str(arg).partition("::")[0] for arg in self.config.args]
        if self.config.getoption("pyargs") and any(n == "claims" or n.startswith("claims.") for n in names):
            return True
        paths = [(self.config.invocation_params.dir / name).resolve() for name in names]
        return any(path.is_relative_to(CLAIMS) or CLAIMS.is_relative_to(path) for path in paths)

    @property
    def _live(self) -> bool:
        """Whether claims are shown as lines: neither as letters (-q) nor as pytest's own lines (-v)."""
        return not self._over and self.config.get_verbosity(pytest.Config.VERBOSITY_TEST_CASES) == 0

    @property
    def _screen(self) -> Any:
        """pytest's terminal writer; None under -p no:terminal."""
        reporter = self.config.pluginmanager.hasplugin("terminalreporter")
        return self.config.get_terminal_writer() if reporter else None

    def pytest_report_header(self) -> list[str]:
        """What is going to be studied."""
        if not self.wanted:
            return []
        p = self.settings.targets[0].protocol
        models = dict.fromkeys(terminal.inert(target.protocol.model) for target in self.settings.targets)
        protocols = dict.fromkeys(target.protocol.name for target in self.settings.targets)
        return [
            f"layerclaims: {', '.join(models)}",
            f"layerclaims: on {terminal.inert(p.corpus)}, transfer to {terminal.inert(p.transfer_corpus)}; "
            f"{' and '.join(protocols)}, {p.n_texts:,} texts x {p.context} tokens, {p.folds} folds, seed {p.seed}",
        ]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Cheap checks: names, files, directories."""
        if not self.wanted or self.config.option.collectonly:
            return
        if self.worker:  # several processes cannot redraw one line
            progress.attach(redraw=False)
            return
        progress.attach(before=self._end_line)
        try:
            self.settings.check()
            _ = self.baseline  # read now: a file that is none is a usage error
        except LayerclaimsError as error:
            raise pytest.UsageError(str(error)) from None

    def _end_line(self) -> None:
        """End pytest's line of letters, so that progress stands on its own."""
        out = self._screen
        capture = self.config.pluginmanager.getplugin("capturemanager")
        if out is not None and out.width_of_current_line and capture is not None:
            with capture.global_and_fixture_disabled():
                out.line()
                out.flush()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Mark the claims; foreign warnings in them are no reason to fail a verdict."""
        for item in items:
            if claim_of(item):
                item.add_marker("claim")
                item.add_marker(pytest.mark.filterwarnings("default"))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Remember which claims have to come back with a verdict."""
        self.expected = [item.nodeid for item in session.items if claim_of(item)]

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Under xdist the workers collect: what they found is what is expected."""
        self.expected = [nodeid for nodeid in ids if self._row(nodeid)]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Capture the states before the first test, where a wrong input is still one sentence."""
        if self.worker or session.config.option.collectonly or session.testsfailed:
            return
        distributed = self.config.pluginmanager.hasplugin("dsession")
        if not (self.expected or (distributed and self.wanted)):
            return
        try:
            # only one claim reads the texts without punctuation, whose states cost as much as those of all others
            stripped = any("punctuation" in nodeid for nodeid in self.expected)
            for target in self.settings.targets:
                self.study(target).prepare(stripped=stripped)
                if (twin := self.twin(target)) is not None:
                    twin.prepare(stripped=stripped)
        except LayerclaimsError as error:
            raise pytest.UsageError(str(error)) from None

    # --- verdicts

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self) -> Generator[None, Any, Any]:
        """What a claim needs and does not find is no failure: the claim is not tested."""
        try:
            return (yield)
        except NotTestedError as error:
            pytest.skip(str(error))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, Any]:
        """Attach the record to the report, as plain JSON: that is what crosses to xdist's controller."""
        report = yield
        claim = claim_of(item)
        if claim is None:
            return report
        report.layerclaims_record = report.layerclaims_status = None
        if report.when == "call" and RECORD in item.stash:
            outcome = item.stash[OUTCOME]
            report.layerclaims_record = item.stash[RECORD]
            report.layerclaims_status = outcome.status
            report.layerclaims_note = outcome.note
        elif report.skipped or report.failed:
            from harness import record

            report.layerclaims_record = record.unjudged(
                claim,
                Verdict.NOT_TESTED if report.skipped else Verdict.ERROR,
                _reason(report, call),
                protocol=self.target(item.nodeid).protocol,
                seconds=call.duration,
            )
        elif report.when == "call":
            from harness import record

            report.outcome, report.longrepr = "failed", "The claim's test ended without asking for a verdict."
            report.layerclaims_record = record.unjudged(
                claim,
                Verdict.ERROR,
                report.longrepr,
                protocol=self.target(item.nodeid).protocol,
                seconds=call.duration,
            )
        if report.layerclaims_record is not None:
            kept = dict(item.user_properties)
            kept.update(_properties(report.layerclaims_record))
            item.user_properties[:] = list(kept.items())
            report.user_properties = list(kept.items())
        return report

    def target(self, nodeid: str) -> Target:
        """The model and protocol of a test."""
        inside = nodeid.rpartition("[")[2].removesuffix("]")
        for target in self.settings.targets:
            if self.settings.target_id(target) == inside:
                return target
        return self.settings.targets[0]

    def _row(self, nodeid: str) -> Claim | None:
        """The claim behind a node id, for a process that has not collected it itself."""
        from harness import catalogue

        path, _, name = nodeid.partition("::")
        if (self.config.rootpath / path).resolve().parent != CLAIMS:
            return None
        try:
            entry = catalogue.entries().get(name.partition("[")[0].removeprefix("test_").replace("_", "-"))
        except (ImportError, LayerclaimsError):
            return None
        return None if entry is None else entry.claim

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: Any) -> None:
        """A worker that died takes its claim's verdict with it, and nothing else."""
        if row := self._row(crashitem):
            from harness import record

            report.layerclaims_record = record.unjudged(
                row,
                Verdict.ERROR,
                "The process that was judging this claim died (killed, or out of memory?).",
                protocol=self.target(crashitem).protocol,
                seconds=0.0,
            )

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        """Collect a record; a failure after the verdict (in teardown) takes it back."""
        entry = getattr(report, "layerclaims_record", None)
        if self.worker or entry is None:
            return
        self.records[report.nodeid] = entry
        out = self._screen
        if self._live and out is not None:
            if out.width_of_current_line:
                out.line()
            status = getattr(report, "layerclaims_status", None)
            terminal.write_live(
                out,
                entry,
                self._label(report.nodeid),
                done=len(self.records),
                of=max(len(self.expected), len(self.records)),
                width=max((self._width(nodeid) for nodeid in self.expected), default=0),
                note="" if status in (None, "same") else status,
            )
            out.flush()

    def _width(self, nodeid: str) -> int:
        """Columns that the claim's name takes."""
        test = nodeid.rpartition("::")[2].partition("[")[0].removeprefix("test_")
        return len(terminal.name({"id": test}, self._label(nodeid)))

    def _label(self, nodeid: str) -> str | None:
        return self.settings.target_id(self.target(nodeid))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Keep pytest from opening a line of letters for a claim that gets a line of its own."""
        reporter = self.config.pluginmanager.getplugin("terminalreporter")
        distributed = self.config.pluginmanager.hasplugin("dsession")
        if reporter is not None and self._live and not distributed:
            reporter.showfspath = False if nodeid in self.expected else None

    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, Any] | None:
        """Show verdicts, not passes and failures."""
        entry = getattr(report, "layerclaims_record", None)
        if entry is None:
            return None
        verdict = Verdict(entry["verdict"])
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
        return category, terminal.LETTERS[verdict], (word, terminal.COLOURS[verdict])

    # --- after the tests

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write results and report; a claim that was selected and has no verdict fails the run."""
        if self.worker or session.config.option.collectonly or not self.wanted:
            return
        missing = [nodeid for nodeid in self.expected if nodeid not in self.records]
        if missing and (
            exitstatus == pytest.ExitCode.INTERRUPTED or session.shouldstop or session.shouldfail
        ):
            self._notes.append(
                f"Stopped with {len(self.records)} of {len(self.expected)} verdicts, so no report was written. What "
                "was computed is kept: the same command goes on from there."
            )
            return
        if not self.expected or exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            return
        for nodeid in missing:
            self._lose(nodeid)
        if missing:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        try:
            for targets in self.settings.models.values():
                self._write(session, targets)
        except LayerclaimsError as error:
            self._notes.append(str(error))
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        gc.freeze()  # the process ends soon: its last three searches for garbage would take half a second

    def _lose(self, nodeid: str) -> None:
        """A claim that was selected and never came back."""
        from harness import record

        row = self._row(nodeid)
        if row is None:
            self._notes.append(f"{nodeid} was selected and has no verdict.")
        else:
            self.records[nodeid] = record.unjudged(
                row,
                Verdict.ERROR,
                "The claim was selected and came back without a verdict.",
                protocol=self.target(nodeid).protocol,
                seconds=0.0,
            )

    def _write(self, session: pytest.Session, targets: Sequence[Target]) -> None:
        """The files of one model."""
        from harness import compare, record, report, results

        records = [
            self.records[nodeid]
            for nodeid in self.expected
            if nodeid in self.records and self.target(nodeid) in targets
        ]
        if not records:
            return
        out = targets[0].out
        studies = {target.protocol.name: self.study(target) for target in targets}
        stated = [o for o in targets[0].protocol.as_json()["options"] if o["name"] != "name"]
        assembled = record.assemble(studies, records, options=[*stated, *self.settings.stated])
        if self.baseline is not None:
            changes = compare.compare(self.baseline, results.plain(assembled))
            ran = [change for change in changes if change.new is not None]
            self._comparison = compare.heading(self.baseline, assembled) + "\n\n" + compare.table(ran)
            if len(ran) < len(changes):
                self._comparison += f" {len(changes) - len(ran)} claims of the baseline were not run."
            if compare.exit_status(ran, "regression") and not self.settings.verdicts_only:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        self._written.append(results.write(out / "results.json", assembled))
        if self.settings.save_baseline is not None:
            self._written.append(results.write(self.settings.save_baseline, assembled))
        if "pdf" in self.settings.formats:  # the one format that takes seconds
            progress.note(f"layerclaims: writing the report of {targets[0].name}")
        self._written += report.render(assembled, out, self.settings.formats, say=self._notes.append)
        if "md" in self.settings.formats:
            report.append_step_summary((out / "summary.md").read_text("utf-8"))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> Generator[None]:
        """The table of verdicts and where the files are, in place of pytest's listings of the same claims."""
        if self.worker or not self.wanted:
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
        out = self.config.get_terminal_writer()
        if self.records:
            reporter.section("verdicts")
            chosen = [nodeid for nodeid in self.expected if nodeid in self.records]
            terminal.write_table(out, [(self.records[n], self._label(n)) for n in chosen])
        if self._comparison:
            reporter.section("baseline")
            out.line(self._comparison)
        terminal.write_paths(out, self._written, relative_to=self.config.invocation_params.dir)
        for note in self._notes:
            out.line(terminal.inert(note, 2000), red=True)


def _judged(report: Any) -> bool:
    """Whether the table says all that there is to say of a report: no traceback to be read."""
    entry = getattr(report, "layerclaims_record", None)
    return entry is not None and entry["verdict"] != Verdict.ERROR


def _properties(record: Mapping[str, Any]) -> dict[str, str]:
    """What JUnit gets to know of a claim."""
    low, high = record["interval"] or ("", "")
    threshold = record["criterion"]["threshold"]
    return {
        "claim_id": record["id"],
        "claim_protocol": record["protocol"],
        "claim_verdict": record["verdict"],
        "claim_estimate": "" if record["estimate"] is None else f"{record['estimate']:.10g}",
        "claim_interval_low": f"{low:.10g}" if low != "" else "",
        "claim_interval_high": f"{high:.10g}" if high != "" else "",
        "claim_threshold": "" if threshold is None else f"{threshold:.10g}",
        "claim_reason": record["reason"],
    }


def _reason(report: Any, call: pytest.CallInfo[None]) -> str:
    """One line of why a test could not be judged."""
    if report.skipped and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    if call.excinfo is not None:
        text = " ".join(str(call.excinfo.value).split())
        kind = call.excinfo.type.__name__
        return text[:300] if issubclass(call.excinfo.type, LayerclaimsError) else f"{kind}: {text}"[:300]
    return "the test failed"
