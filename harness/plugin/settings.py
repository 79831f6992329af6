"""The settings of a session: all that its options say, put together and checked."""

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from layerclaims.errors import LayerclaimsError
from layerclaims.plugin.option_values import FORMATS, Engine, Given, batch_size, device, engine, formats
from layerclaims.plugin.options import PROTOCOLS, check_variables, key
from layerclaims.protocol import Protocol, report_name, resolve_options
from layerclaims.runtime.files import check_writable
from layerclaims.runtime.memory import parse
from layerclaims.runtime.paths import default_cache_dir
from layerclaims.runtime.text import shown

PROTOCOL_FIELDS: Final = (
    "corpus", "transfer-corpus", "profile", "n-texts", "context", "folds", "seed", "alpha", "dtype",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Target:
    """One model under one protocol, and where its report goes."""

    protocol: Protocol
    name: str  # of the model, harmless in file names and test ids, different for each model
    out: Path


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that the options say."""

    targets: tuple[Target, ...]  # every model under every protocol, model by model
    batch_size: int | None
    device: str
    engine: Engine
    offline: bool
    memory: int  # bytes of the largest matrix that is kept in memory
    cache_dir: Path
    formats: tuple[str, ...]
    twin: bool  # every claim is also judged on the untrained twin
    lenient: bool  # INCONCLUSIVE passes
    verdicts_only: bool  # every verdict passes
    replace: bool  # files of more claims than the run's own may be replaced
    baseline: Path | None
    save_baseline: Path | None
    stated: tuple[Mapping[str, Any], ...]  # options outside the protocol, as results.json lists them
    called: Mapping[str, str]  # option -> how it was given: --NAME, the variable or the ini key

    @property
    def models(self) -> dict[str, list[Target]]:
        """The targets of each model, by its name."""
        found: dict[str, list[Target]] = {}
        for target in self.targets:
            found.setdefault(target.name, []).append(target)
        return found

    def target_id(self, target: Target) -> str | None:
        """What tells the target's tests from the others'; None where there are no others."""
        parts = []
        if len(self.models) > 1:
            parts.append(target.name)
        if len({t.protocol.name for t in self.targets}) > 1:
            parts.append(target.protocol.name)
        return "-".join(parts) or None

    def check(self, *, written: bool = True) -> None:
        """Names, files and directories, as far as that is quick; raises LayerclaimsError.

        Where no results are to be `written`, their places are left alone.
        """
        from layerclaims.corpora.load import check_corpus_name
        from layerclaims.models.source import check_model_name

        for target in self.targets:
            check_model_name(target.protocol.model)
            check_corpus_name(target.protocol.corpus)
            if target.protocol.transfer_corpus is not None:
                check_corpus_name(target.protocol.transfer_corpus)
        # what is there may be all that is read: the plan knows; isdir has no error for a name that is too long
        if not os.path.isdir(self.cache_dir / "states"):  # noqa: PTH112
            check_writable(self.cache_dir, self.called.get("cache-dir", "--cache-dir"))
        if not written:
            return
        for target in self.targets:
            option = self.called.get("out", "--out")
            check_writable(target.out, option)
            _check_file(target.out / "results.json", option)
        if self.baseline is not None:
            _check_file(self.baseline, self.called["baseline"])
        if self.save_baseline is not None:
            option = self.called["save-baseline"]
            _check_file(self.save_baseline, option)
            check_writable(self.save_baseline.parent, option)


def _check_file(path: Path, option: str) -> None:
    """Raise LayerclaimsError for what can be no file of ours: a directory, a pipe, a device, too long a name."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise LayerclaimsError(
            f"{option} {shown(path)} cannot be used: {error.strerror or error}; name another file."
        ) from None
    if stat.S_ISDIR(mode):
        raise LayerclaimsError(f"{option} {shown(path)} is a directory; name a file in it.")
    if not stat.S_ISREG(mode):
        raise LayerclaimsError(f"{option} {shown(path)} is a pipe or a device; name a regular file.")


def read(config: pytest.Config) -> Settings:
    """The settings of a session; raises LayerclaimsError for options that make no sense."""
    check_variables(os.environ)
    given = Given(config)
    try:
        return _settings(config, given)
    except LayerclaimsError as error:
        raise LayerclaimsError(given.as_spelled(str(error))) from None


def _settings(config: pytest.Config, given: Given) -> Settings:
    here = config.invocation_params.dir
    fields = {key(name): found for name in PROTOCOL_FIELDS if (found := given(name))[0] is not None}
    models, source = given("model", ["embedded"])
    chosen, protocol_source = given("protocol", "rigorous")
    out = given.path("out", here)
    targets = []
    names = _names(models)
    for model, name in names.items():
        folder = here / "reports" / name if out is None else out
        for protocol in PROTOCOLS[chosen]:
            stated = {**fields, "name": (protocol, protocol_source)}
            if source != "default":
                stated["model"] = (model, source)
            targets.append(
                Target(
                    protocol=resolve_options(stated),
                    name=name,
                    out=folder / name if out is not None and len(names) > 1 else folder,
                )
            )
    cache_dir = given.path("cache-dir", here)
    baseline, save_baseline = given.path("baseline", here), given.path("save-baseline", here)
    if len(names) > 1 and (baseline or save_baseline):
        option = "--baseline" if baseline else "--save-baseline"
        raise LayerclaimsError(
            f"{option} is about one model, and there are {len(names)}; run them one by one."
        )
    return Settings(
        targets=tuple(targets),
        batch_size=batch_size(given("batch-size", "auto")[0]),
        device=device(given("device", "auto")[0]),
        engine=engine(given),
        offline=given("offline", False)[0],
        memory=parse(given("memory", "auto")[0]),
        cache_dir=default_cache_dir() if cache_dir is None else cache_dir,
        formats=formats(given("report", ",".join(FORMATS))[0]),
        twin=given("control")[0] == "untrained",
        lenient=given("inconclusive", "fail")[0] == "warn",
        verdicts_only=given("verdicts-only", False)[0],
        replace=given("replace", False)[0],
        baseline=baseline,
        save_baseline=save_baseline,
        stated=tuple(
            {"name": key(name), "value": value, "source": source}
            for name, default in (
                ("protocol", "rigorous"),
                ("device", "auto"),
                ("batch-size", "auto"),
                ("memory", "auto"),
                ("engine", "local"),
                ("workers", "auto"),
                ("control", "none"),
                ("inconclusive", "fail"),
            )
            for value, source in [given(name, default)]
        ),
        called=given.called,
    )


def _names(models: Sequence[str]) -> dict[str, str]:
    """Model -> harmless name, a different one for each; a model given twice counts once."""
    plain = {model: report_name(model) for model in models}
    spelled = list(plain.values())
    return {
        model: name
        if spelled.count(name) == 1
        else f"{name}-{hashlib.sha256(model.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
        for model, name in plain.items()
    }
