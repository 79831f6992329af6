"""Plan: what the selected claims need of each study, what that costs, and whether there is room for it."""

import contextlib
import math
import shutil
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from layerclaims.activations.capture import SPARE_BYTES
from layerclaims.corpora.corpus import PLAIN, ROLES, Role
from layerclaims.errors import LayerclaimsError, NotTestedError
from layerclaims.experiments.measurement import Measurement
from layerclaims.experiments.pictures import planes
from layerclaims.experiments.study import Study
from layerclaims.protocol import Protocol
from layerclaims.runtime import progress as screen
from layerclaims.runtime.files import check_writable
from layerclaims.runtime.text import byte_size, shown
from layerclaims.verdicts.declaration import Declaration

CAPTURE_WEIGHT: Final = 1.0  # of one corpus, where the layer probe takes 1


def needed(study: Study, declarations: Iterable[Declaration | None]) -> tuple[Measurement, ...]:
    """The measurements that some claims need of a study, each before what is made of it.

    A claim whose declaration is not known (None) names none. What cannot be had is left out: the claim that asks
    for it will say so.
    """
    found: dict[str, Measurement] = {}
    for declaration in declarations:
        if declaration is None:
            continue
        with contextlib.suppress(NotTestedError):
            rule = declaration.under(study.protocol.name)
            for condition in rule.conditions:
                condition.quantity.check(study)
            figures = (need for figure in rule.figures for need in figure.needs(study.protocol))
            for need in (*rule.needs, *figures):
                with contextlib.suppress(NotTestedError):
                    study.check(need)
                    needs = need.all_needs(study.protocol.name)
                    found.update((one.name, one) for one in needs if isinstance(one, Measurement))
    return tuple(found.values())


def cost(declaration: Declaration | None, protocol: Protocol) -> tuple[tuple[int, ...], float]:
    """What a claim takes, to judge cheap ones first: corpora beside the main one, then the time of its measurements.

    Claims that read the same corpora follow each other, since one matrix of vectors is held at a time. Nothing is
    looked up or loaded. A claim whose declaration is not known (None) comes last.
    """
    if declaration is None:
        return (len(ROLES),), math.inf
    try:
        rule = declaration.under(protocol.name)
    except NotTestedError:
        return (), 0.0
    owners = (*rule.needs, *(need for figure in rule.figures for need in figure.needs(protocol)))
    needs = {need for owner in owners for need in owner.allowed(protocol.name)}
    roles = sorted(ROLES.index(need) for need in needs if isinstance(need, str) and need != "main")
    return tuple(roles), math.fsum(need.weight for need in needs if isinstance(need, Measurement))


def roles_of(study: Study, declarations: Sequence[Declaration | None]) -> tuple[Role, ...]:
    """The corpora whose states some claims read: both where a claim's needs are not known, always the main one."""
    roles: set[Role] = {"main"}
    for measurement in needed(study, declarations):
        roles.update(measurement.roles(study.protocol.name))
    if None in declarations and study.protocol.transfer_corpus is not None:
        roles.update(PLAIN)
    return tuple(role for role in ROLES if role in roles)


def make_plan(wanted: Sequence[tuple[Study, Sequence[Declaration | None], Collection[str]]]) -> "Plan":
    """The plan of some studies: of each what claims declare, and corpora that are read whatever they declare.

    The report shows the states of a model, though not of its untrained twin.
    """
    return Plan(
        studies=tuple(
            (
                study,
                tuple(role for role in ROLES if role in more or role in roles_of(study, declarations)),
                (*needed(study, declarations), *(() if study.initialise is not None else (planes,))),
            )
            for study, declarations, more in wanted
        )
    )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The work of a run: for each study the states that it reads and what is measured of them."""

    studies: tuple[tuple[Study, tuple[Role, ...], tuple[Measurement, ...]], ...]

    def check(self) -> int:
        """Say what the run takes, and refuse it where there is no room; how many steps are left of it.

        Raises LayerclaimsError. Nothing is loaded, captured or measured.
        """
        for study, roles, _ in self.studies:  # before the model's files are fetched or hashed
            for role in roles:
                if role in PLAIN:
                    with contextlib.suppress(NotTestedError):
                        study.check_enough(role)
        missing = [
            (study, role) for study, roles, _ in self.studies for role in roles if not _there(study, role)
        ]
        if missing:
            check_writable(missing[0][0].cache_dir, "--cache-dir")
        chosen = {  # one study for each collection of texts that somebody's tokenizer reads
            (study.source.tokenizer_sha256, study.corpus(role).sha256): (study, role)
            for study, role in reversed(missing)
            if role in PLAIN
        }
        self._check_room(missing)
        # of all corpora, before the states of the first one take their time
        for study, role in chosen.values():
            with screen.step(f"choosing texts of the {role} corpus"):
                study.choose(role)
        steps = self._steps(missing)
        screen.plan(steps)
        return len(steps)

    def prepare(self, *, put_off: bool = False) -> None:
        """Capture what is not there yet, once everything is known to fit. Raises LayerclaimsError.

        With `put_off`, of each study the main corpus alone: the first verdicts need no more. The others follow when
        a claim asks for one of them.
        """
        self.check()
        missing = []
        for study, roles, measurements in self.studies:
            study.wanted = measurements
            study.keep_head = any(one.reads_head for one in measurements)
            later = tuple(role for role in roles if role != "main" and put_off and not _there(study, role))
            study.put_off = later
            for role in (one for one in roles if one not in later):
                with contextlib.suppress(NotTestedError):  # the claim that asks for these states will say so
                    study.store(role)
            study.keep_head = any(one.reads_head and not _kept(study, one) for one in measurements)
            study.unload()
            missing += [(study, role) for role in later]
        self._recall(missing)
        screen.plan(self._steps(missing))

    def _recall(self, missing: Sequence[tuple[Study, Role]]) -> None:
        """Read what earlier runs measured, and say in one line that it was checked."""
        read, stores = 0, set[str]()
        for study, _, measurements in self.studies:
            for one in measurements:
                with contextlib.suppress(NotTestedError):
                    if not _lacks(study, one, missing) and study.recall(one):
                        read += 1
                        stores.update(study.sources(one))
        if read:
            what = "1 kept measurement" if read == 1 else f"{read} kept measurements"
            whose = "1 store" if len(stores) == 1 else f"{len(stores)} stores"
            screen.note(f"layerclaims: {what} of {whose} read, checksums right")

    def _steps(self, missing: Sequence[tuple[Study, Role]]) -> dict[Hashable, float]:
        """What is left to do, and about how many seconds of it there are for a usual machine."""
        steps: dict[Hashable, float] = {
            (id(study), role): CAPTURE_WEIGHT * _probe_seconds(study) for study, role in missing
        }
        for study, _, measurements in self.studies:
            for one in measurements:
                if _lacks(study, one, missing) or not _kept(study, one):
                    steps[id(study), one.name] = one.weight * _probe_seconds(study)
        return steps

    def _check_room(self, missing: Sequence[tuple[Study, Role]]) -> None:
        sizes = [study.state_bytes for study, _ in missing]
        if not missing or None in sizes:  # a model says only when it is loaded; its capture checks then
            return
        total = sum(size for size in sizes if size is not None)
        cache_dir = missing[0][0].cache_dir
        matrix = max(study.matrix_bytes or 0 for study, _ in missing)
        limit = missing[0][0].memory.limit
        on_disk = total + (matrix if matrix > limit else 0)
        free = shutil.disk_usage(_existing(cache_dir)).free
        corpora = "corpus" if len(missing) == 1 else "corpora"
        screen.note(
            f"layerclaims: the states of {len(missing)} {corpora} take {byte_size(total)} in {cache_dir} "
            f"({byte_size(free)} free); the largest matrix takes {byte_size(matrix)}, "
            f"{'in a file there' if matrix > limit else 'in memory'}"
        )
        if on_disk + SPARE_BYTES > free:
            raise LayerclaimsError(
                f"The run takes {byte_size(on_disk)} on disk, but {shown(cache_dir)} has {byte_size(free)} free; make "
                "room, lower --n-texts or --context, or choose another disk with --cache-dir."
            )


def _probe_seconds(study: Study) -> float:
    """About how long the layer probe takes: 20 s on the 430 MB of 200 texts of the embedded model."""
    return max(0.1, (study.matrix_bytes or 430e6) / 430e6 * 20)


def _there(study: Study, role: Role) -> bool:
    """Whether a corpus' states were captured by an earlier run, or cannot be had at all."""
    try:
        return study.has_states(role)
    except NotTestedError:
        return True


def _lacks(study: Study, one: Measurement, missing: Sequence[tuple[Study, Role]]) -> bool:
    """Whether a measurement reads states that are still to be captured."""
    return any((study, role) in missing for role in one.roles(study.protocol.name))


def _kept(study: Study, one: Measurement) -> bool:
    """Whether an earlier run measured it; not where its states cannot be had."""
    try:
        return study.has(one)
    except NotTestedError:
        return False


def _existing(directory: Path) -> Path:
    """The directory, or the nearest one above it that is there."""
    return next(path for path in (directory, *directory.absolute().parents) if path.exists())
