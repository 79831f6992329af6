"""pytest: options, fixtures, collection of verdicts. Thin: the work lives elsewhere."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.claim import Claim, Evidence, Measured, Part, Verdict
from harness.errors import LayerclaimsError
from harness.protocol import DTYPES, PROFILES, Protocol, report_name, resolve_options

PROTOCOLS = {
    "rigorous": ("rigorous",),
    "as-published": ("as-published",),
    "both": ("rigorous", "as-published"),
}
FORMATS = ("pdf", "html", "md")
CLAIMS = Path(__file__).resolve().parent.parent / "claims"
WORDS = {
    Verdict.REPLICATED: ("R", {"green": True}),
    Verdict.NOT_REPLICATED: ("N", {"red": True}),
    Verdict.INCONCLUSIVE: ("I", {"yellow": True}),
    Verdict.NOT_TESTED: ("-", {"yellow": True}),
    Verdict.ERROR: ("E", {"red": True, "bold": True}),
}

# option -> how argparse takes it; the same key with underscores may stand in pyproject.toml or pytest.ini
OPTIONS: Mapping[str, dict[str, Any]] = {
    "model": {
        "metavar": "NAME",
        "help": "hub id (with @REVISION), local:DIR or a path, a .gguf file, or 'embedded' (default)",
    },
    "corpus": {"metavar": "NAME", "help": "imdb, ag_news, pile, embedded:movies, embedded:news, or a file"},
    "transfer-corpus": {"metavar": "NAME", "help": "the other corpus, named likewise"},
    "profile": {"choices": tuple(PROFILES), "help": "quick: 200 texts; paper (default): 1,000; pile: 5,000"},
    "n-texts": {"type": int, "metavar": "N", "help": "texts of each corpus, in place of the profile's"},
    "context": {"type": int, "metavar": "N", "help": "tokens of each text (30)"},
    "folds": {"type": int, "metavar": "N", "help": "folds of documents (5)"},
    "seed": {"type": int, "metavar": "N", "help": "of all that is drawn at random (0)"},
    "protocol": {"choices": tuple(PROTOCOLS), "help": "rigorous (default), as-published or both"},
    "alpha": {"type": float, "metavar": "P", "help": "level of the decisions; intervals are 1 - alpha (.05)"},
    "dtype": {"choices": DTYPES, "help": "of the model and of the states on disk (float32)"},
    "device": {"metavar": "NAME", "help": "auto (default), cpu, cuda, cuda:1, mps"},
    "batch-size": {"metavar": "N", "help": "texts in a forward pass (auto)"},
    "cache-dir": {"metavar": "DIR", "help": "where states and measurements are kept (~/.cache/layerclaims)"},
    "out": {"metavar": "DIR", "help": "where the report is written (reports/<model>)"},
    "report": {"metavar": "FORMATS", "help": "any of pdf,html,md, or none (pdf,html,md)"},
    "inconclusive": {
        "choices": ("fail", "warn"),
        "help": "what an INCONCLUSIVE claim does to its test (fail)",
    },
}
PROTOCOL_FIELDS = {
    "model": "model",
    "corpus": "corpus",
    "transfer-corpus": "transfer_corpus",
    "profile": "profile",
    "n-texts": "n_texts",
    "context": "context",
    "folds": "folds",
    "seed": "seed",
    "alpha": "alpha",
    "dtype": "dtype",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options of DESIGN, each also as an ini key."""
    group = parser.getgroup("replication", "replication of claims about hidden states")
    for name, how in OPTIONS.items():
        group.addoption(f"--{name}", dest=_dest(name), default=None, **how)
        parser.addini(name.replace("-", "_"), f"the same as --{name}", default=None)
    group.addoption("--offline", action="store_true", dest="replication_offline", help="never ask the hub")
    parser.addini("offline", "the same as --offline", type="bool", default=False)
    group.addoption(
        "--verdicts-only",
        action="store_true",
        dest="replication_verdicts_only",
        help="a verdict is a result whichever way it goes: only a claim that could not be judged fails",
    )


def _dest(name: str) -> str:
    return "replication_" + name.replace("-", "_")


def pytest_configure(config: pytest.Config) -> None:
    """Check the options, before anything else happens."""
    config.addinivalue_line("markers", "claim: a claim of the post (set by the plugin)")
    try:
        run = Run(config)
    except LayerclaimsError as error:
        raise pytest.UsageError(str(error)) from None
    config.pluginmanager.register(run, "layerclaims-run")


def option(config: pytest.Config, name: str, default: Any = None) -> tuple[Any, str]:
    """The value of an option and where it came from: command line, ini file, default."""
    value = config.getoption(_dest(name))
    if value is not None:
        return value, "command line"
    value = config.getini(name.replace("-", "_"))
    if value in (None, "", []):
        return default, "default"
    how = OPTIONS[name]
    try:
        value = how.get("type", str)(value)
    except ValueError:
        raise LayerclaimsError(f"The ini key {name.replace('-', '_')} has the value {value!r}.") from None
    if "choices" in how and value not in how["choices"]:
        raise LayerclaimsError(
            f"The ini key {name.replace('-', '_')} is {value!r}; choose from {', '.join(how['choices'])}."
        )
    return value, "ini file"


def run_of(config: pytest.Config) -> "Run":
    """The session's Run."""
    run = config.pluginmanager.get_plugin("layerclaims-run")
    assert isinstance(run, Run)
    return run


class Judge:
    """The fixture `judge`: takes the parts of a claim, decides, and lets the test end accordingly."""

    def __init__(self, request: pytest.FixtureRequest, protocol: Protocol, config: pytest.Config) -> None:
        """`request` is that of the claim's test."""
        self._item, self._protocol, self._config = request.node, protocol, config
        self._start = time.perf_counter()

    def __call__(
        self,
        *parts: Part,
        controls: Sequence[Measured] = (),
        figures: Sequence[str] = (),
        facts: Mapping[str, str] | None = None,
    ) -> None:
        """All parts have to hold. NOT_REPLICATED fails the test with one sentence, INCONCLUSIVE fails or warns."""
        __tracebackhide__ = True
        from harness import record

        evidence = Evidence(
            parts=parts, controls=tuple(controls), figures=tuple(figures), extra=dict(facts or {})
        )
        rule = " ".join((self._item.function.__doc__ or "").split())
        entry = record.judged(
            claim_of(self._item),
            evidence,
            rule=rule,
            protocol=self._protocol,
            seconds=time.perf_counter() - self._start,
        )
        self._item.stash[RECORD] = entry
        verdict = Verdict(entry["verdict"])
        if self._config.getoption("replication_verdicts_only") or verdict is Verdict.REPLICATED:
            return
        lenient = option(self._config, "inconclusive", "fail")[0] == "warn"
        if verdict is Verdict.INCONCLUSIVE and lenient:
            return
        pytest.fail(f"{verdict}: {entry['reason']}", pytrace=False)


RECORD = pytest.StashKey[dict[str, Any]]()


def claim_of(item: Any) -> Claim:
    """The row that a test function declares."""
    found = item.function.claim
    assert isinstance(found, Claim)
    return found


def is_claim(item: Any) -> bool:
    """Whether a collected test is a row of the suite."""
    return isinstance(getattr(getattr(item, "function", None), "claim", None), Claim)


@pytest.fixture(scope="session")
def study(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The measurements of one model under one protocol."""
    run = run_of(request.config)
    protocol = getattr(request, "param", None) or run.protocols[0]
    found = run.study(protocol)
    yield found
    found.release()


@pytest.fixture
def judge(request: pytest.FixtureRequest, study: Any) -> Judge:
    """Ends a claim's test with its verdict."""
    return Judge(request, study.protocol, request.config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One node per claim, model and protocol; a plain name where there is one of each."""
    if "study" not in metafunc.fixturenames:
        return
    run = run_of(metafunc.config)
    if len(run.protocols) > 1:
        several = len({p.model for p in run.protocols}) > 1
        ids = [f"{report_name(p.model)}-{p.name}" if several else p.name for p in run.protocols]
        metafunc.parametrize("study", run.protocols, indirect=True, ids=ids, scope="session")


class Run:
    """What the plugin keeps for a session: protocols, studies, and the verdicts as they come in."""

    def __init__(self, config: pytest.Config) -> None:
        """Raises LayerclaimsError for options that make no sense."""
        self.config = config
        self.worker = hasattr(config, "workerinput")
        given = {
            field: found
            for name, field in PROTOCOL_FIELDS.items()
            if (found := option(config, name))[0] is not None
        }
        chosen, source = option(config, "protocol", "rigorous")
        self.protocols = [resolve_options({**given, "name": (name, source)}) for name in PROTOCOLS[chosen]]
        batch = option(config, "batch-size", "auto")[0]
        if batch != "auto" and not (str(batch).isascii() and str(batch).isdigit() and int(batch) > 0):
            raise LayerclaimsError(
                f"--batch-size {batch!r} is not possible: it has to be auto or a number above 0."
            )
        self.batch_size = None if batch == "auto" else int(batch)
        report = option(config, "report", ",".join(FORMATS))[0]
        self.formats = () if report == "none" else tuple(f.strip() for f in report.split(","))
        if unknown := [f for f in self.formats if f not in FORMATS]:
            raise LayerclaimsError(
                f"--report {unknown[0]!r} is not possible: choose from {', '.join(FORMATS)}."
            )
        self.device = option(config, "device", "auto")[0]
        self.offline = bool(config.getoption("replication_offline") or config.getini("offline"))
        out = option(config, "out")[0]
        self.out = config.invocation_params.dir / (
            out if out is not None else Path("reports") / report_name(self.protocols[0].model)
        )
        self._studies: dict[str, Any] = {}
        self.records: dict[str, dict[str, Any]] = {}  # by node id
        self.expected: list[str] = []
        self.rows: dict[str, dict[str, Any]] = {}  # node id -> what an ERROR record is made of
        self.written: list[Path] = []

    @property
    def cache_dir(self) -> Path:
        """Where states and measurements are kept."""
        from harness.cache import default_cache_dir

        chosen = option(self.config, "cache-dir")[0]
        return (
            default_cache_dir()
            if chosen is None
            else self.config.invocation_params.dir / Path(chosen).expanduser()
        )

    def study(self, protocol: Protocol) -> Any:
        """The study of one protocol, made once."""
        from harness.study import Study

        if protocol.hash not in self._studies:
            self._studies[protocol.hash] = Study(
                protocol,
                cache_dir=self.cache_dir,
                device=self.device,
                batch_size=self.batch_size,
                offline=self.offline,
            )
        return self._studies[protocol.hash]

    # --- before the tests

    @property
    def wanted(self) -> bool:
        """Whether this session runs claims at all."""
        names = [str(arg).partition("::")[0] for arg in self.config.args]
        if self.config.getoption("pyargs") and any(n == "claims" or n.startswith("claims.") for n in names):
            return True
        paths = [(self.config.invocation_params.dir / name).resolve() for name in names]
        return any(path.is_relative_to(CLAIMS) or CLAIMS.is_relative_to(path) for path in paths)

    def pytest_report_header(self) -> list[str]:
        """What is going to be studied."""
        if not self.wanted:
            return []
        p = self.protocols[0]
        names = " and ".join(protocol.name for protocol in self.protocols)
        return [
            f"layerclaims: {_safe(p.model)} on {_safe(p.corpus)}, transfer to {_safe(p.transfer_corpus)}; {names}, "
            f"{p.n_texts} texts x {p.context} tokens, {p.folds} folds, seed {p.seed}",
        ]

    def pytest_sessionstart(self) -> None:
        """Cheap checks: names, files, directories."""
        if self.worker or not self.wanted or self.config.option.collectonly:
            return
        from harness import progress
        from harness.corpora import check_corpus_name
        from harness.files import check_writable
        from harness.sources import check_model_name

        progress.attach()
        try:
            for protocol in self.protocols:
                check_model_name(protocol.model)
                check_corpus_name(protocol.corpus)
                check_corpus_name(protocol.transfer_corpus)
            check_writable(self.cache_dir, "--cache-dir")
            check_writable(self.out, "--out")
        except LayerclaimsError as error:
            raise pytest.UsageError(str(error)) from None

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Mark the claims; foreign warnings in them are no reason to fail a verdict."""
        for item in items:
            if is_claim(item):
                item.add_marker("claim")
                item.add_marker(pytest.mark.filterwarnings("default"))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Remember which claims have to come back with a verdict."""
        chosen = [item for item in session.items if is_claim(item)]
        self.expected = [item.nodeid for item in chosen]

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        """Under xdist the workers collect: what they found is what is expected."""
        del node
        root = CLAIMS.name + "/"
        self.expected = [i for i in ids if root in i.partition("::")[0] + "/"]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Capture the states before the first test, where a wrong input is still one sentence."""
        if self.worker or session.config.option.collectonly or session.testsfailed:
            return
        under_xdist = session.config.pluginmanager.hasplugin("dsession")
        if not (self.expected or (under_xdist and self.wanted)):
            return
        try:
            for protocol in self.protocols:
                self.study(protocol).prepare()
        except LayerclaimsError as error:
            raise pytest.UsageError(str(error)) from None

    # --- verdicts

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: Any) -> Any:
        """Attach the record to the report, as plain JSON: that is what crosses to xdist's controller."""
        report = yield
        if not is_claim(item):
            return report
        report.layerclaims_claim = item.stash.get(RECORD, None)
        if report.when == "call" and report.layerclaims_claim is not None:
            entry = report.layerclaims_claim
            for key in ("id", "verdict", "estimate", "reason"):
                report.user_properties.append((f"claim_{key}", entry[key]))
        elif report.skipped or report.failed:
            from harness import record

            verdict = Verdict.NOT_TESTED if report.skipped else Verdict.ERROR
            callspec = getattr(item, "callspec", None)
            protocol = callspec.params["study"] if callspec else self.protocols[0]
            report.layerclaims_claim = record.unjudged(
                claim_of(item), verdict, _reason(report, call), protocol=protocol, seconds=call.duration
            )
        return report

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Collect a record; a failure after the verdict (in teardown) takes it back."""
        entry = getattr(report, "layerclaims_claim", None)
        if self.worker or entry is None:
            return
        if report.when == "call" or report.failed or report.skipped:
            self.records[report.nodeid] = entry

    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Show verdicts, not passes and failures."""
        entry = getattr(report, "layerclaims_claim", None)
        if entry is None or not (report.when == "call" or report.failed or report.skipped):
            return None
        verdict = Verdict(entry["verdict"])
        category = report.outcome if verdict is not Verdict.ERROR else "error"
        letter, markup = WORDS[verdict]
        return category, letter, (str(verdict), markup)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write results and report; a claim that was selected and has no verdict fails the run."""
        if self.worker or session.config.option.collectonly or not self.records:
            return
        missing = [nodeid for nodeid in self.expected if nodeid not in self.records]
        if missing and exitstatus in (0, 1):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        self.missing = missing
        from harness import progress

        try:
            self._write()
        except LayerclaimsError as error:
            progress.note(f"layerclaims: {error}")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    missing: list[str] = []

    def _write(self) -> None:
        from harness import record, report, results

        studies = {p.name: self.study(p) for p in self.protocols}
        order = {nodeid: i for i, nodeid in enumerate(self.expected)}
        records = [self.records[n] for n in sorted(self.records, key=lambda n: order.get(n, len(order)))]
        assembled = record.assemble(studies, records, options=self._options())
        self.written.append(results.write(self.out / "results.json", assembled))
        self.written += report.render(assembled, self.out, self.formats)
        if "md" in self.formats:
            report.append_step_summary((self.out / "summary.md").read_text("utf-8"))

    def _options(self) -> list[dict[str, Any]]:
        found = self.protocols[0].as_json()["options"]
        found = [o for o in found if o["name"] != "name"]
        for name, default in (
            ("protocol", "rigorous"),
            ("device", "auto"),
            ("batch-size", "auto"),
            ("inconclusive", "fail"),
        ):
            value, source = option(self.config, name, default)
            found.append({"name": name.replace("-", "_"), "value": value, "source": source})
        return found

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """The table of verdicts and where the files are."""
        if self.worker or not self.records:
            return
        out = terminalreporter
        out.section("verdicts")
        width = max(len(r["id"]) for r in self.records.values())
        several = len(self.protocols) > 1
        for nodeid in self.expected or self.records:
            entry = self.records.get(nodeid)
            if entry is None:
                continue
            verdict = Verdict(entry["verdict"])
            out.write(f"{verdict:<15}", **WORDS[verdict][1])
            label = f" ({entry['protocol']})" if several else ""
            out.line(f"{entry['id']:<{width}}{label}  {_safe(entry['reason'])}")
        for nodeid in self.missing:
            out.line(f"{nodeid} was selected and has no verdict.", red=True)
        counts = {v: sum(r["verdict"] == v for r in self.records.values()) for v in Verdict}
        out.line(", ".join(f"{n} {v}" for v, n in counts.items() if n))
        for path in self.written:
            out.line(f"written: {_relative(path, self.config.invocation_params.dir)}")


def _reason(report: Any, call: Any) -> str:
    """One line of why a test could not be judged."""
    if report.skipped and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    if call.excinfo is not None:
        text = " ".join(str(call.excinfo.value).split())
        kind = call.excinfo.type.__name__
        return text[:300] if kind == "LayerclaimsError" else f"{kind}: {text}"[:300]
    return "the test failed"


def _safe(text: object) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text))[:400]


def _relative(path: Path, to: Path) -> str:
    try:
        return _safe(path.relative_to(to))
    except ValueError:
        return _safe(path)
