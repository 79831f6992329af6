"""Work: a plan as items that any number of processes do together, in the cache that they share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from layerclaims.corpora.corpus import Role
from layerclaims.engines.pull import pull
from layerclaims.errors import LayerclaimsError
from layerclaims.experiments.measurement import Measurement, OfEveryModel
from layerclaims.experiments.plan import Plan
from layerclaims.experiments.study import Study
from layerclaims.runtime.text import inert


class UnmeasuredError(LayerclaimsError):
    """All was done but for some measurements that failed."""


def work(plan: Plan) -> None:
    """Capture and measure all of a plan that is not in the cache, together with other processes that do the same.

    Raises LayerclaimsError at once where states cannot be captured, UnmeasuredError at the end.
    """
    import torch

    plan.check()
    for study, _, measurements in plan.studies:
        study.wanted, study.beside = measurements, torch.get_num_threads()
        study.keep_head = any(one.reads_head for one in measurements)
    failed = pull(items(plan))
    if failed:
        name, why = next(iter(failed.items()))
        count = "One measurement" if len(failed) == 1 else f"{len(failed)} measurements"
        raise UnmeasuredError(f"{count} could not be made, such as {name}: {inert(why, 400)}")


def items(plan: Plan) -> "list[StatesItem | MeasurementItem]":
    """The states of each study's corpora and the measurements of them, each after what it is made of."""
    found: list[StatesItem | MeasurementItem] = []
    made: dict[tuple[int, str], MeasurementItem] = {}
    for study, roles, measurements in plan.studies:
        states = {role: StatesItem(study=study, role=role) for role in roles}
        found += states.values()
        for one in measurements:
            item = MeasurementItem(study=study, measurement=one, states=states, others=made)
            made[id(study), one.under(study.protocol.name).name] = item
            found.append(item)
    return found


@dataclass(kw_only=True, eq=False)
class StatesItem:
    """The states of one corpus: of its shards, those that no other process makes."""

    study: Study
    role: Role
    settled: bool = False

    @property
    def name(self) -> str:
        """As in "states of the main corpus of gpt2"."""
        return f"states of the {self.role} corpus of {self.study.protocol.model}"

    def done(self) -> bool:
        """Whether the store is complete."""
        self.settled = self.settled or self.study.has_states(self.role)
        return self.settled

    def ready(self) -> bool:
        """Always: they are made of nothing else."""
        return True

    def attempt(self) -> bool:
        """Make the shards that are left; whether there were any."""
        try:
            return self.study.attempt_store(self.role)
        except LayerclaimsError:
            raise
        except Exception as error:  # nothing can be measured without them
            raise LayerclaimsError(
                f"The {self.name} could not be captured: {type(error).__name__}: {inert(error, 400)}"
            ) from error

    def settle(self) -> None:
        """Take it as done."""
        self.settled = True


@dataclass(kw_only=True, eq=False)
class MeasurementItem:
    """One measurement of one study."""

    study: Study
    measurement: Measurement
    states: Mapping[Role, StatesItem]  # of the study
    others: Mapping[tuple[int, str], "MeasurementItem"]  # of all studies, by study and name
    settled: bool = False

    @property
    def name(self) -> str:
        """As in "layer-probe of gpt2"."""
        return f"{self.measurement.name} of {self.study.protocol.model}"

    def done(self) -> bool:
        """Whether it is kept, where its states are there."""
        if not self.settled and all(state.settled for state in self._states()):
            self.settled = self.study.has(self.measurement)
        return self.settled

    def ready(self) -> bool:
        """Whether its states are there, and the measurements that it asks for, of other models too."""
        return all(state.done() for state in self._states()) and all(
            item.done() for item in self._needs() if item is not self
        )

    def attempt(self) -> bool:
        """Measure it, unless another process does."""
        self.study.unload()
        return self.study.attempt(self.measurement)

    def settle(self) -> None:
        """Take it as done."""
        self.settled = True

    def _states(self) -> list[StatesItem]:
        roles = self.measurement.roles(self.study.protocol.name)
        own = [self.states[role] for role in roles if role in self.states]
        return own + [state for item in self._of_other_models() for state in item.states.values()]

    def _needs(self) -> list["MeasurementItem"]:
        needs = self.measurement.all_needs(self.study.protocol.name)
        names = [need.name for need in needs if isinstance(need, Measurement)]
        own = [self.others[key] for name in names if (key := (id(self.study), name)) in self.others]
        return own + self._of_other_models()

    def _of_other_models(self) -> list["MeasurementItem"]:
        protocol = self.study.protocol.name
        wanted = [
            need.measurement.under(protocol).name
            for need in self.measurement.all_needs(protocol)
            if isinstance(need, OfEveryModel)
        ]
        keys: Sequence[tuple[int, str]] = [
            (id(other), name) for other in self.study.family.values() for name in wanted
        ]
        return [self.others[key] for key in keys if key in self.others and self.others[key] is not self]
