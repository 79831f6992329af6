"""Measurement: what is computed once of a study and kept on disk; Series: the answers of a probe that one holds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Union

from layerclaims.corpora.corpus import Role
from layerclaims.errors import LayerclaimsError, NotTestedError
from layerclaims.protocol import ProtocolName
from layerclaims.verdicts.declaration import NEVER
from numpy.typing import NDArray

if TYPE_CHECKING:
    from layerclaims.experiments.study import Study


@dataclass(frozen=True, kw_only=True)
class Values:
    """What a measurement found: named arrays and plain facts."""

    arrays: Mapping[str, NDArray[Any]]
    facts: Mapping[str, Any]  # plain JSON types


@dataclass(frozen=True, eq=False)
class Measurement:
    """A constant: the name under which values are kept, what they are made of, and how."""

    name: str
    compute: Callable[["Study"], Values]
    needs: tuple["Need", ...]
    version: int = 1  # raised when its numbers change: kept ones are then made anew
    weight: float = 1.0  # how long it takes, where the layer probe takes 1
    check: Callable[["Study"], None] | None = None  # raises NotTestedError where it cannot be had
    reads_head: bool = False  # asks for the model's unembedding

    def as_published(
        self, *needs: "Need", weight: float | None = None
    ) -> Callable[[Callable[["Study"], "Values"]], "Measurement"]:
        """Make a function what the authors' own procedure measures in its place, of other `needs`.

        A measurement without such a function is measured in one way under both protocols.
        """

        def register(compute: Callable[["Study"], Values]) -> Measurement:
            made = Measurement(
                f"published-{self.name}",
                compute,
                needs,
                self.version,
                self.weight if weight is None else weight,
                self.check,
            )
            _published[self] = _register(made)
            return made

        return register

    def under(self, protocol: ProtocolName) -> "Measurement":
        """What is measured under a protocol."""
        return _published.get(self, self) if protocol == "as-published" else self

    def all_needs(self, protocol: ProtocolName) -> tuple["Need", ...]:
        """What it is made of under a protocol, and what that is made of, each before what it is for; itself last."""
        found: dict[Need, None] = {}
        own = self.under(protocol)
        for need in own.needs:
            if isinstance(need, Measurement):
                found.update(dict.fromkeys(need.all_needs(protocol)))
            else:
                found[need] = None
        return (*found, own)

    def allowed(self, protocol: ProtocolName) -> frozenset["Need"]:
        """The corpora and measurements that it may ask a study for."""
        needs = self.all_needs(protocol)
        of_models = (one.measurement for one in needs if isinstance(one, OfEveryModel))
        return frozenset((*needs, *(need for one in of_models for need in one.all_needs(protocol))))

    def roles(self, protocol: ProtocolName) -> tuple[Role, ...]:
        """The corpora whose states it reads, of the study's own model."""
        return tuple(need for need in self.all_needs(protocol) if isinstance(need, str))

    def __repr__(self) -> str:
        """Its name."""
        return f"<measurement {self.name}>"


@dataclass(frozen=True)
class OfEveryModel:
    """A need: the measurement of every model of the run under the same protocol."""

    measurement: Measurement


Need = Union[Role, Measurement, OfEveryModel]  # noqa: UP007  a forward reference joins no "|"

_known: dict[str, Measurement] = {}
_published: dict[Measurement, Measurement] = {}  # what stands in the place of which as published


def never_published(what: str) -> Callable[["Study"], None]:
    """A check of measurements of which the authors ran nothing: `what` says of what, as in "decision tree"."""

    def check(study: "Study") -> None:
        if study.protocol.published:
            raise NotTestedError(f"{NEVER}: the authors ran no {what}.")

    return check


def at_least(*, states: int = 0, dimensions: int = 0) -> Callable[["Study"], None]:
    """A check of what is meaningless in a small model: there it would be decided by the size alone."""

    def check(study: "Study") -> None:
        for least, have, what in zip(
            (states, dimensions), study.size or (), ("states", "dimensions"), strict=False
        ):
            if have < least:
                raise NotTestedError(
                    f"The model is too small for this: it has {have} {what}, and {least} are needed."
                )

    return check


def all_of(*checks: Callable[["Study"], None]) -> Callable[["Study"], None]:
    """Several checks as one."""

    def check(study: "Study") -> None:
        for one in checks:
            one(study)

    return check


def measurement(
    *needs: Need,
    name: str | None = None,
    version: int = 1,
    weight: float = 1.0,
    check: Callable[["Study"], None] | None = None,
    reads_head: bool = False,
) -> Callable[[Callable[["Study"], Values]], Measurement]:
    """Make a function of a study a measurement, kept under its own name or under `name`.

    `needs` are the corpora whose states it reads and the measurements that it is made of; `study.values` answers
    for no others. With `reads_head` the model's unembedding stays in memory until it is asked for. Raises
    LayerclaimsError for a name that another function has: their numbers would be mixed up.
    """

    def register(compute: Callable[["Study"], Values]) -> Measurement:
        made = Measurement(
            name or compute.__name__.strip("_").replace("_", "-"),
            compute,
            needs,
            version,
            weight,
            check,
            reads_head,
        )
        return _register(made)

    return register


def _register(made: Measurement) -> Measurement:
    other = _known.setdefault(made.name, made)
    if _place(other.compute) != _place(made.compute):
        raise LayerclaimsError(
            f"There are two measurements called {made.name}, in {_place(other.compute)} and {_place(made.compute)}; "
            "give one of them another name."
        )
    return made


def _place(compute: Callable[..., Any]) -> str:
    code = getattr(compute, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(compute)


@dataclass(frozen=True)
class Series:
    """A constant: what one probe got right by document and layer, as a measurement holds it."""

    name: str
    of: Measurement
    tested_on: Role | None = "main"  # corpus whose rows its documents are; None: places in the main corpus
    takes: Callable[["Study"], None] | None = field(default=None, compare=False)  # as a measurement's check

    def corpus(self, protocol: ProtocolName) -> Literal["main", "transfer", "transfer as published"]:
        """The corpus that its documents are of under a protocol, with or without punctuation."""
        if not str(self.tested_on).startswith("transfer"):
            return "main"
        return "transfer as published" if protocol == "as-published" else "transfer"
