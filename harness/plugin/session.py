"""A session of claims: what was collected, what it needs, and all that has to be right before the first test."""

import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from layerclaims.errors import LayerclaimsError
from layerclaims.plugin import collection, gate, options, selection, settings
from layerclaims.plugin.collection import Expected, claim_of
from layerclaims.plugin.engine import spread
from layerclaims.plugin.settings import Settings, Target
from layerclaims.plugin.working import Working
from layerclaims.runtime import progress, signals
from layerclaims.runtime.text import described, inert
from layerclaims.verdicts.declaration import Declaration, rule_of

if TYPE_CHECKING:
    from layerclaims.experiments.study import Study
    from layerclaims.results.records import ClaimRecord, Results
    from layerclaims.verdicts.evidence import Evidence


class Run:
    """What the plugin keeps for a session: settings, studies, and the claims that are going to be judged."""

    def __init__(self, config: pytest.Config) -> None:
        """Options that make no sense raise only when `settings` is asked for: by a session with claims."""
        self.config = config
        self._settings: Settings | LayerclaimsError
        try:
            self._settings = settings.read(config)
        except LayerclaimsError as error:
            self._settings = error
        self._input: Mapping[str, Any] = getattr(config, "workerinput", {})  # what xdist tells a worker
        self.worker = bool(self._input)
        self.working = next(
            (one for one in config.pluginmanager.get_plugins() if isinstance(one, Working)), None
        )
        self.expected: dict[str, Expected] = {}  # what has to come back with a verdict, by node id
        self._known: frozenset[str] = frozenset()  # ids of the claims among which some are selected
        self._terminable = False
        self._in_suite: list[pytest.Item] = []  # what was selected, in the order of the suite
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
        models = dict.fromkeys(
            inert(described(p.model, adapter=p.adapter, tokenizer=p.tokenizer), 300)
            for p in (target.protocol for target in self.settings.targets)
        )
        protocols = dict.fromkeys(target.protocol.name for target in self.settings.targets)
        twin = "layerclaims: every claim is also judged on the untrained twin of the model"
        transfer = "no other corpus" if p.transfer_corpus is None else inert(p.transfer_corpus, 300)
        return [
            f"layerclaims: {', '.join(models)}" + (f"; {self.chosen}" if self.chosen else ""),
            f"layerclaims: on {inert(p.corpus, 300)}, transfer to {transfer}; "
            f"{' and '.join(protocols)}, {p.n_texts:,} texts x {p.context} tokens, {p.folds} folds, seed {p.seed}",
            *([twin] if self.settings.twin else []),
        ]

    @property
    def chosen(self) -> str:
        """As in "21 of 28 claims selected"; empty where all are, or that is not known."""
        return selection.words(selection.count(self.expected, self._known))

    def counted(self, targets: Sequence[Target]) -> tuple[int, int] | None:
        """How many claims are run on one model, under any of its protocols, of how many; None: not known."""
        mine = {nodeid: one for nodeid, one in self.expected.items() if self.target(nodeid) in targets}
        return selection.count(mine, self._known)

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
                device_map=self.settings.device_map,
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

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """From the first claim on SIGTERM is as Ctrl-C; a session without claims is left alone."""
        if claim_of(item):
            self._terminate_in_order()

    def _terminate_in_order(self) -> None:
        if not self._terminable:
            self._terminable = True
            # the workers of xdist are ended by their controller
            self.config.add_cleanup(signals.interrupt_on_terminate(ignore=self.worker))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None]:
        """Count the claims before any is deselected, and mark them; foreign warnings fail no verdict.

        Of what is selected in the end, cheap claims are judged first; reports keep the order of the suite.
        """
        self._known = selection.known_ids(items, self.config)
        for item in items:
            if claim_of(item):
                item.add_marker("claim")
                item.add_marker(pytest.mark.filterwarnings("default"))
        yield
        self._in_suite = list(items)
        self._cheapest_first(items)

    def _cheapest_first(self, items: list[pytest.Item]) -> None:
        """Put claims in the order of what their measurements take, a model and protocol after the other."""
        claims = {item: one.place for item in items for one in collection.expected([item]).values()}
        if not claims or not self.usable:
            return
        from layerclaims.experiments.plan import cost

        def key(item: pytest.Item) -> tuple[Any, ...]:
            assert isinstance(item, pytest.Function)
            protocol = self.settings.targets[claims[item]].protocol
            return (claims[item], *cost(rule_of(item.function), protocol))

        ordered = iter(sorted(claims, key=key))
        items[:] = [next(ordered) if item in claims else item for item in items]

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Remember which claims have to come back with a verdict; a worker of xdist also tells its controller."""
        places = {item: place for place, item in enumerate(self._in_suite)}
        self.expected = collection.expected(
            sorted(session.items, key=lambda item: places.get(item, len(places)))
        )
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
        Path(self._input["layerclaims"]).write_text(collection.dump(self.expected, self._known), "utf-8")

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of xdist the file for the claims that it collects: node ids alone name no claim."""
        node.workerinput["layerclaims"] = str(self._collected_by(node))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any) -> None:
        """The same under xdist, where only the workers collect: all the same, so the first one speaks for them."""
        if self.expected:
            return
        self.expected, self._known = collection.load(self._collected_by(node).read_text("utf-8"))
        if self.expected:
            self._terminate_in_order()
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
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Check everything and capture the states before the first test: a wrong input is still one sentence.

        True where no test is to follow.
        """
        option = session.config.option
        broken = session.testsfailed and not option.continue_on_collection_errors
        distributed = self.config.pluginmanager.hasplugin("dsession")  # which has not collected yet
        if self.working is not None and distributed:
            raise pytest.UsageError(
                "layerclaims work shares the work out itself: leave out -n, start it twice."
            )
        if not (self.worker or option.collectonly or broken or distributed):
            self._prepare()
        return True if self.working is not None and not broken else None

    def _prepare(self) -> None:
        """Whatever stands between the collection and the first test. A session without claims is left alone."""
        with _usage_errors():
            if not self.expected:
                if ours := options.typed(self.config):
                    raise LayerclaimsError(f"No claim was collected, so {ours[0]} cannot be honoured.")
                return
            self.settings.check(written=self.working is None)
            collection.check(self.expected)
            plan = self._plan()
            if self.working is not None:
                progress.attach()
                self.working.do(plan)
                self.expected = {}  # nothing is judged, so nothing has to come back
                return
            self._check_nothing_is_lost()
            _ = self.baseline  # read now: a file that is none is a usage error
            progress.attach(before=self._end_line)
            if not self.settings.engine.here:
                spread(plan, self.config, self.settings)
            # processes that judge side by side find all states there
            plan.prepare(put_off=not self.config.pluginmanager.hasplugin("dsession"))

    def _check_nothing_is_lost(self) -> None:
        """Raise LayerclaimsError where files of more claims than the session's would be replaced by its own."""
        settings = self.settings
        if settings.replace:
            return
        for targets in settings.models.values():
            pairs = {
                (one.claim.id, self.target(nodeid).protocol.name)
                for nodeid, one in self.expected.items()
                if self.target(nodeid) in targets
            }
            if pairs:
                out = settings.called.get("out", "--out")
                selection.check_no_fuller(targets[0].out / "results.json", pairs, option=out)
                if settings.save_baseline is not None:
                    option = settings.called["save-baseline"]
                    selection.check_baseline(settings.save_baseline, pairs, option=option)

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


@contextmanager
def _usage_errors() -> Iterator[None]:
    """Make of a mistake what pytest ends with exit status 4 and one sentence."""
    try:
        yield
    except LayerclaimsError as error:
        raise pytest.UsageError(str(error)) from None
