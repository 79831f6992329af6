"""pytest: options, fixtures, and the session that collects verdicts. Thin: the work lives elsewhere."""

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest
from layerclaims.errors import LayerclaimsError
from layerclaims.plugin import options
from layerclaims.plugin.collection import claim_of
from layerclaims.plugin.judge import Judge
from layerclaims.plugin.outputs import Outputs
from layerclaims.plugin.reporting import Reporting
from layerclaims.plugin.session import Run
from layerclaims.plugin.verdicts import Verdicts

if TYPE_CHECKING:
    from layerclaims.experiments.study import Study

RUN = pytest.StashKey[Run]()


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the options of the group "replication", each also as an ini key."""
    options.declare(parser, pluginmanager)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None]:
    """Understand the short names of options too, as soon as it is known which ones other plugins have."""
    early_config.known_args_namespace.file_or_dir = options.paths(early_config, parser, args)
    yield
    try:  # before pytest itself complains of the key, without a better one
        options.check_keys(early_config)
    except LayerclaimsError as error:
        raise pytest.UsageError(str(error)) from None
    options.shorten(early_config, parser, args)


def pytest_configure(config: pytest.Config) -> None:
    """Read the options; what is wrong with them concerns only a session with claims."""
    config.addinivalue_line("markers", "claim: a claim about hidden states (set by the plugin)")
    run = config.stash[RUN] = Run(config)
    verdicts = Verdicts(run)
    outputs = Outputs(run, verdicts)
    reporting = Reporting(run, verdicts, outputs)
    plugins = {"run": run, "verdicts": verdicts, "outputs": outputs, "reporting": reporting}
    for name, plugin in plugins.items():
        config.pluginmanager.register(plugin, f"layerclaims-{name}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One node per claim, model and protocol; a plain name where there is one of each."""
    if "study" in metafunc.fixturenames and claim_of(metafunc) is not None:
        ids = metafunc.config.stash[RUN].target_ids
        if len(ids) > 1:
            metafunc.parametrize("study", range(len(ids)), indirect=True, ids=ids, scope="session")


@pytest.fixture(scope="session")
def study(request: pytest.FixtureRequest) -> "Iterator[Study]":
    """The measurements of one model under one protocol; their memory is given back before the next one's."""
    run = request.config.stash[RUN]
    found = run.study(run.settings.targets[getattr(request, "param", 0)])
    yield found
    found.release()


@pytest.fixture
def judge(request: pytest.FixtureRequest, study: "Study") -> Judge:
    """Ends a claim's test with its verdict."""
    return Judge(request.node, study, request.config.stash[RUN])
