"""A session of claims: what was collected, what it needs, and the verdicts as they come in."""

import tempfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from layerclaims.errors import LayerclaimsError, NotTestedError
from layerclaims.plugin import collection, gate, options
from layerclaims.plugin.collection import Expected, claim_of
from layerclaims.plugin.options import Settings, Target
from layerclaims.runtime import progress
from layerclaims.runtime.text import digits, inert
from layerclaims.verdicts.declaration import Declaration, rule_of
from layerclaims.verdicts.verdict import Verdict

if TYPE_CHECKING:
    from layerclaims.experiments.study import Study
    from layerclaims.recording.exhibits import Exhibits
    from layerclaims.results.records import ClaimRecord, Results
    from layerclaims.verdicts.evidence import Evidence


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a claim's test leaves behind."""

    record: "ClaimRecord"
    outcome: gate.Outcome
    evidence: "Evidence"
    study: "Study"


JUDGED = pytest.StashKey[Judged]()
EXHIBITS = pytest.StashKey[dict[str, Any]]()


class Run:
    """What the plugin keeps for a session: settings, studies, and the verdicts as they come in."""

    def __init__(self, config: pytest.Config) -> None:
        """Options that make no sense raise only when `settings` is asked for: by a session with claims."""
        self.config = config
        self._settings: Settings | LayerclaimsError
        try:
            self._settings = options.read(config)
        except LayerclaimsError as error:
            self._settings = error
        self._input: Mapping[str, Any] = getattr(config, "workerinput", {})  # what xdist tells a worker
        self.worker = bool(self._input)
        self.expected: dict[str, Expected] = {}  # what has to come back with a verdict, by node id
        self.records: dict[str, ClaimRecord] = {}  # by node id
        self.exhibits: dict[Target, Exhibits] = {}  # the counts and figures that the records name
        self._rules: dict[str, Declaration | None] = {}  # by node id, where this process collected

    @property
    def settings(self) -> Settings:
        """What the options say; raises LayerclaimsError."""
        if isinstance(self._settings, LayerclaimsError):
            raise self._settings
        return self._settings

    @property
    def usable(self) -> bool:
        """Whether the options make sense."""
        return not isinstance(self._settings, LayerclaimsError)

    @property
    def target_ids(self) -> list[str | None]:
        """What tells the tests of each model and protocol apart; empty where the options make no sense."""
        return [self.settings.target_id(target) for target in self.settings.targets] if self.usable else []

    @property
    def header(self) -> list[str]:
        """What is going to be studied, in lines; none for a session without claims, and under -q."""
        if not self.expected or not self.usable or self.config.get_verbosity() < 0:
            return []
        p = self.settings.targets[0].protocol
        models = dict.fromkeys(inert(target.protocol.model) for target in self.settings.targets)
        protocols = dict.fromkeys(target.protocol.name for target in self.settings.targets)
        transfer = "no other corpus" if p.transfer_corpus is None else inert(p.transfer_corpus)
        return [
            f"layerclaims: {', '.join(models)}",
            f"layerclaims: on {inert(p.corpus)}, transfer to {transfer}; "
            f"{' and '.join(protocols)}, {p.n_texts:,} texts x {p.context} tokens, {p.folds} folds, seed {p.seed}",
        ]

    @property
    def screen(self) -> Any:
        """pytest's terminal writer; None under -p no:terminal."""
        reporter = self.config.pluginmanager.hasplugin("terminalreporter")
        return self.config.get_terminal_writer() if reporter else None

    # --- what is studied

    def target(self, nodeid: str) -> Target:
        """The model and protocol of a claim's test."""
        return self.settings.targets[self.expected[nodeid].place]

    def study(self, target: Target) -> "Study":
        """The study of one model under one protocol, made once."""
        return self._studies[target]

    def twin(self, nodeid: str) -> "Study | None":
        """The same for the untrained twin of a claim's model; None where no such control was asked for."""
        return self._twins[self.target(nodeid)] if self.settings.twin else None

    @cached_property
    def _studies(self) -> "dict[Target, Study]":
        return self._made(untrained=False)

    @cached_property
    def _twins(self) -> "dict[Target, Study]":
        return self._made(untrained=True)

    def _made(self, *, untrained: bool) -> "dict[Target, Study]":
        """A study of each target, which touches nothing yet; those of one protocol know each other."""
        from layerclaims.experiments.study import Study

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
            for other in studies:
                if other.name == target.name:
                    study.share_matrix(studies[other])
                    break
        return studies

    @cached_property
    def baseline(self) -> "Results | None":
        """The results to compare with; raises LayerclaimsError."""
        from layerclaims.results import file as results

        return None if self.settings.baseline is None else results.read_results(self.settings.baseline)

    # --- before the tests

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Mark the claims; foreign warnings in them are no reason to fail a verdict."""
        for item in items:
            if claim_of(item):
                item.add_marker("claim")
                item.add_marker(pytest.mark.filterwarnings("default"))

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Remember which claims have to come back with a verdict; a worker of xdist also tells its controller."""
        self.expected = collection.expected(session.items)
        if self.config.option.collectonly or not self.usable:
            return
        for item in session.items:
            if item.nodeid in self.expected and isinstance(item, pytest.Function):
                self._rules[item.nodeid] = rule_of(item.function)
        if self.worker:
            self._tell_controller()

    def _tell_controller(self) -> None:
        if self.expected:
            from layerclaims.experiments.plan import roles_of

            progress.attach(redraw=False)  # several processes cannot redraw one line
            self.expected = {
                nodeid: one.reading(roles_of(self.study(self.target(nodeid)), [self._rules.get(nodeid)]))
                for nodeid, one in self.expected.items()
            }
        Path(self._input["layerclaims"]).write_text(collection.dump(self.expected), "utf-8")

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of xdist the file for the claims that it collects: node ids alone name no claim."""
        node.workerinput["layerclaims"] = str(self._collected_by(node))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any) -> None:
        """The same under xdist, where only the workers collect: all the same, so the first one speaks for them."""
        if self.expected:
            return
        self.expected = collection.load(self._collected_by(node).read_text("utf-8"))
        if reporter := self.config.pluginmanager.getplugin("terminalreporter"):
            for line in self.header:
                reporter.ensure_newline()
                reporter.write_line(line)
        self._prepare()

    def _collected_by(self, node: Any) -> Path:
        return self._directory / f"{node.gateway.id}.json"

    @cached_property
    def _directory(self) -> Path:
        """A directory for the time of the session."""
        made = tempfile.TemporaryDirectory(prefix="layerclaims-")
        self.config.add_cleanup(made.cleanup)
        return Path(made.name)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Check everything and capture the states before the first test: a wrong input is still one sentence."""
        option = session.config.option
        broken = session.testsfailed and not option.continue_on_collection_errors
        distributed = self.config.pluginmanager.hasplugin("dsession")  # which has not collected yet
        if not (self.worker or option.collectonly or broken or distributed):
            self._prepare()

    def _prepare(self) -> None:
        """Whatever stands between the collection and the first test. A session without claims is left alone."""
        with _usage_errors():
            if not self.expected:
                if ours := options.typed(self.config):
                    raise LayerclaimsError(f"No claim was collected, so {ours[0]} cannot be honoured.")
                return
            self.settings.check()
            collection.check(self.expected)
            _ = self.baseline  # read now: a file that is none is a usage error
            progress.attach(before=self._end_line)
            self._plan().prepare()

    def _plan(self) -> Any:
        """What the claims need of every study, the twins' included."""
        from layerclaims.experiments.plan import make_plan

        wanted = []
        for place, target in enumerate(self.settings.targets):
            nodeids = [nodeid for nodeid, one in self.expected.items() if one.place == place]
            rules = [self._rules[nodeid] for nodeid in nodeids if nodeid in self._rules]
            roles = {role for nodeid in nodeids for role in self.expected[nodeid].roles}
            wanted.append((self._studies[target], rules, roles))
            if self.settings.twin:
                wanted.append((self._twins[target], rules, roles))
        return make_plan(wanted)

    def _end_line(self) -> None:
        """End pytest's line of letters, so that progress stands on its own."""
        out = self.screen
        capture = self.config.pluginmanager.getplugin("capturemanager")
        if out is not None and out.width_of_current_line and capture is not None:
            with capture.global_and_fixture_disabled():
                out.line()
                out.flush()

    # --- verdicts

    def outcome(self, record: "ClaimRecord", evidence: "Evidence", study: "Study") -> gate.Outcome:
        """How the test of a record ends."""
        if self.baseline is not None and not self.settings.verdicts_only:
            return gate.by_baseline(record, evidence, study, self.baseline)
        return gate.by_verdict(
            record, lenient=self.settings.lenient, verdicts_only=self.settings.verdicts_only
        )

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self) -> Generator[None, Any, Any]:
        """What a claim needs and does not find is no failure: the claim is not tested."""
        try:
            return (yield)
        except NotTestedError as error:
            pytest.skip(str(error))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """Collect the counts and draw the figures behind a verdict, which stands on the screen by now."""
        if (judged := item.stash.get(JUDGED, None)) is not None:
            from layerclaims.recording.exhibits import Exhibits, exhibits

            known = self.exhibits.setdefault(self.target(item.nodeid), Exhibits())
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
        if report.when == "call" and JUDGED in item.stash:
            judged = item.stash[JUDGED]
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
            item.user_properties[:] = list(kept.items())
            report.user_properties = list(kept.items())
        return report

    def _unjudged(self, nodeid: str, verdict: Verdict, reason: str, *, seconds: float = 0.0) -> "ClaimRecord":
        """The record of a claim without a number."""
        from layerclaims.recording import record

        claim, protocol = self.expected[nodeid].claim, self.target(nodeid).protocol
        return record.unjudged(claim, verdict, reason, protocol=protocol, seconds=seconds)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: Any) -> None:
        """A worker that died takes its claim's verdict with it, and nothing else."""
        if crashitem in self.expected:
            why = "The process that was judging this claim died (killed, or out of memory?)."
            report.layerclaims_record = _as_json(self._unjudged(crashitem, Verdict.ERROR, why))

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Collect a record and its exhibits; a failure after the verdict (in teardown) takes it back."""
        if self.worker:
            return
        if (found := record_of(report)) is not None:
            self.records[report.nodeid] = found
        if (exhibits := getattr(report, "layerclaims_exhibits", None)) is not None:
            from layerclaims.recording.exhibits import Exhibits

            self.exhibits.setdefault(self.target(report.nodeid), Exhibits()).add(Exhibits(**exhibits))

    def lose(self, nodeid: str) -> None:
        """A claim that was selected and never came back."""
        why = "The claim was selected and came back without a verdict."
        self.records[nodeid] = self._unjudged(nodeid, Verdict.ERROR, why)


@contextmanager
def _usage_errors() -> Iterator[None]:
    """Make of a mistake what pytest ends with exit status 4 and one sentence."""
    try:
        yield
    except LayerclaimsError as error:
        raise pytest.UsageError(str(error)) from None


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


def _reason(report: Any, call: pytest.CallInfo[None]) -> str:
    """One line of why a test could not be judged."""
    if report.skipped and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    if call.excinfo is not None:
        text = " ".join(str(call.excinfo.value).split())
        kind = call.excinfo.type.__name__
        return text[:300] if issubclass(call.excinfo.type, LayerclaimsError) else f"{kind}: {text}"[:300]
    return "the test failed"
