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
from layerclaims.plugin.options import PROTOCOLS, check_keys, check_variables, key
from layerclaims.protocol import CHANGES, Protocol, report_name, resolve_options
from layerclaims.runtime.dtypes import QUANTISED
from layerclaims.runtime.files import check_writable
from layerclaims.runtime.memory import parse
from layerclaims.runtime.paths import default_cache_dir
from layerclaims.runtime.text import shown

PROTOCOL_FIELDS: Final = (
    "corpus", "transfer-corpus", "profile", "n-texts", "context", "folds", "seed", "alpha", "dtype", *CHANGES,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Target:
    """One model under one protocol, and where its report goes."""

    protocol: Protocol
    name: str  # of the model, harmless in file names and test ids, different for each model
    out: Path
    listed_in: Path | None  # the folder of reports whose index lists this one; None where it stands alone


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that the options say."""

    targets: tuple[Target, ...]  # every model under every protocol, model by model
    batch_size: int | None
    device: str
    device_map: str
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
        from layerclaims.models.placement import check_device_map

        check_device_map(self.device_map, self.device)
        for target in self.targets:
            self._check_model(target.protocol)
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

    def _check_model(self, protocol: Protocol) -> None:
        """What the model's name, format and changes ask for, as far as that is quick; raises LayerclaimsError."""
        from layerclaims.models.formats import check_format
        from layerclaims.models.source import check_model_name

        check_model_name(protocol.model, adapter=protocol.adapter, tokenizer=protocol.tokenizer)
        check_format(protocol.dtype)
        if protocol.adapter is not None and protocol.dtype in QUANTISED:
            raise LayerclaimsError(
                f"--adapter cannot be merged into a model of --dtype {protocol.dtype}; leave out one of the two."
            )
        if self.twin and (self.device_map != "none" or protocol.dtype in QUANTISED or protocol.adapter):
            raise LayerclaimsError(
                "--control untrained makes a model of fresh weights on one device, so --device-map, --adapter and "
                "--dtype int8 and int4 cannot be honoured; leave out that or --control."
            )


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
    check_keys(config)
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
    reports = here / "reports"
    changes = [str(fields[option][0]) for option in CHANGES if option in fields]
    if changes and len(names) > 1:
        raise LayerclaimsError(
            f"An adapter or a tokenizer is for one model, and there are {len(names)}; run them one by one."
        )
    if changes:
        names = {model: "-with-".join([name, *map(report_name, changes)]) for model, name in names.items()}
    for model, name in names.items():
        folder = reports / name if out is None else out / name if len(names) > 1 else out
        for protocol in PROTOCOLS[chosen]:
            stated = {**fields, "name": (protocol, protocol_source)}
            if source != "default":
                stated["model"] = (model, source)
            targets.append(
                Target(
                    protocol=resolve_options(stated),
                    name=name,
                    out=folder,
                    listed_in=folder.parent if len(names) > 1 or folder.parent == reports else None,
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
        device_map=given("device-map", "none")[0],
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
                ("device-map", "none"),
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
