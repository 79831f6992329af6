"""pytest: options, fixtures, and the session that collects verdicts. Thin: the work lives elsewhere."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from harness import options
from harness.claim import Claim, Evidence, Measured, Part
from harness.errors import LayerclaimsError
from harness.session import OUTCOME, RECORD, Run, claim_of

if TYPE_CHECKING:
    from harness.study import Study


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options of the group "replication", each also as an ini key."""
    options.declare(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Check the options, before anything else happens."""
    config.addinivalue_line("markers", "claim: a claim of the post (set by the plugin)")
    try:
        run = Run(config)
    except LayerclaimsError as error:
        raise pytest.UsageError(str(error)) from None
    config.pluginmanager.register(run, "layerclaims-run")


def run_of(config: pytest.Config) -> Run:
    """The session's Run."""
    run = config.pluginmanager.get_plugin("layerclaims-run")
    assert isinstance(run, Run)
    return run


class Judge:
    """The fixture `judge`: takes the parts of a claim, decides, and lets the test end accordingly."""

    def __init__(self, request: pytest.FixtureRequest, study: "Study") -> None:
        """`request` is that of the claim's test."""
        self._item, self._study, self._run = request.node, study, run_of(request.config)
        self._start = time.perf_counter()

    def __call__(
        self,
        *parts: Part,
        controls: Sequence[Measured] = (),
        figures: Sequence[str] = (),
        facts: Mapping[str, str] | None = None,
    ) -> None:
        """All parts have to hold. What is no success ends the test with one sentence."""
        __tracebackhide__ = True
        from harness import record

        claim = claim_of(self._item)
        assert claim is not None, "the fixture judge is for tests with @claim"
        evidence = Evidence(
            parts=parts, controls=tuple(controls), figures=tuple(figures), extra=dict(facts or {})
        )
        entry = record.judged(
            claim,
            evidence,
            rule=" ".join((self._item.function.__doc__ or "").split()),
            protocol=self._study.protocol,
            seconds=time.perf_counter() - self._start,
        )
        entry["control_untrained"] = self._control()
        outcome = self._run.outcome(entry, self._study)
        self._item.stash[RECORD], self._item.stash[OUTCOME] = entry, outcome
        if outcome.end == "fail":
            pytest.fail(outcome.sentence, pytrace=False)
        if outcome.end == "known":
            pytest.xfail(outcome.sentence)

    def _control(self) -> dict[str, Any] | None:
        """What the claim's test says of the untrained twin; None where no control was asked for."""
        from harness import record

        twin = self._run.twin(self._run.target(self._item.nodeid))
        if twin is None:
            return None
        self._study.release()  # the matrices of both need not lie side by side
        try:
            return record.control(self._item.function, twin)
        finally:
            twin.release()


@pytest.fixture(scope="session")
def study(request: pytest.FixtureRequest) -> Iterator["Study"]:
    """The measurements of one model under one protocol; their memory is given back before the next one's."""
    run = run_of(request.config)
    found = run.study(getattr(request, "param", run.settings.targets[0]))
    yield found
    found.release()


@pytest.fixture
def judge(request: pytest.FixtureRequest, study: "Study") -> Judge:
    """Ends a claim's test with its verdict."""
    return Judge(request, study)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One node per claim, model and protocol; a plain name where there is one of each."""
    if "study" not in metafunc.fixturenames or not isinstance(
        getattr(metafunc.function, "claim", None), Claim
    ):
        return
    settings = run_of(metafunc.config).settings
    if len(settings.targets) > 1:
        ids = [settings.target_id(target) for target in settings.targets]
        metafunc.parametrize("study", settings.targets, indirect=True, ids=ids, scope="session")
