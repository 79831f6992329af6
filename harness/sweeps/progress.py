"""What is done of a sweep, what is left, and what that costs by the time that the finished targets took."""

import contextlib
import json
import threading
from dataclasses import dataclass
from typing import Final

from layerclaims.activations.plan import make_plan
from layerclaims.errors import LayerclaimsError
from layerclaims.models.formats import format_of
from layerclaims.models.source import resolve
from layerclaims.protocol import Protocol
from layerclaims.results.file import read_results
from layerclaims.results.records import Results
from layerclaims.runtime.dtypes import states_in
from layerclaims.runtime.files import read_file, write_whole
from layerclaims.runtime.progress import duration
from layerclaims.runtime.text import byte_size, inert
from layerclaims.sweeps.file import Sweep, Target

TIMES: Final = "sweep.json"  # seconds that each target took, by name


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a target takes."""

    tokens: int  # that the model reads
    state_bytes: int | None  # on disk; None where the model's size is not known before it is fetched


@dataclass(frozen=True, kw_only=True)
class _Size:
    """Of a model, what the size of its states depends on."""

    n_blocks: int
    hidden_size: int
    dtype: str


class State:
    """The folder of a sweep: results by target, and how long each took."""

    def __init__(self, sweep: Sweep) -> None:
        """Read what is there."""
        self.sweep = sweep
        self._lock = threading.Lock()
        self._seconds: dict[str, float] = {}
        with contextlib.suppress(OSError, ValueError, AttributeError):
            for name, seconds in json.loads(read_file(sweep.out / TIMES)).items():
                if isinstance(seconds, int | float) and seconds > 0:
                    self._seconds[str(name)] = float(seconds)
        self._sizes: dict[str, _Size | None] = {}  # by model

    def results(self, target: Target) -> Results | None:
        """What a target found, if it was run as the sweep says now."""
        try:
            found = read_results(self.sweep.out / target.name / "results.json")
        except LayerclaimsError:
            return None
        words = list(found.command)
        chosen = words[words.index("-k") + 1] if "-k" in words[:-1] else None
        if found.protocol.hash != target.protocol.hash or chosen != target.claims:
            return None
        self._sizes[target.protocol.model] = _Size(
            n_blocks=found.model.n_blocks, hidden_size=found.model.hidden_size, dtype=found.model.dtype
        )
        return found

    def took(self, target: Target, seconds: float) -> None:
        """Remember how long a target took. Raises LayerclaimsError."""
        with self._lock:
            self._seconds[target.name] = max(0.01, round(seconds, 2))
            text = json.dumps(self._seconds, indent=1, sort_keys=True)
            write_whole(self.sweep.out / TIMES, text.encode() + b"\n", parents=True)

    def cost(self, target: Target) -> Cost:
        """What a target takes, as far as that is known without asking the hub."""
        protocol = target.protocol
        corpora = 1 if protocol.transfer_corpus is None else 2
        size = self._size(protocol)
        state_bytes = None
        if size is not None:
            plan = make_plan(
                n_blocks=size.n_blocks, hidden_size=size.hidden_size, n_texts=protocol.n_texts,
                context=protocol.context, dtype=states_in(size.dtype), batch_size=None,
            )  # fmt: skip
            state_bytes = plan.document_bytes * plan.n_documents * corpora
        return Cost(tokens=protocol.n_texts * protocol.context * corpora, state_bytes=state_bytes)

    def seconds_left(self, missing: list[Target]) -> float | None:
        """How long some targets take, by the seconds a token of those that are done; None before the first is.

        Of the same model and protocol where one of these is done, else of all that are.
        """
        rates: dict[tuple[str, str], list[float]] = {}
        for target in self.sweep.targets:
            if target.name in self._seconds:
                key = (target.protocol.model, target.protocol.name)
                for one in (key, ("", "")):
                    sums = rates.setdefault(one, [0.0, 0.0])
                    sums[0] += self._seconds[target.name]
                    sums[1] += self.cost(target).tokens
        if not rates:
            return None
        total = 0.0
        for target in missing:
            seconds, tokens = rates.get((target.protocol.model, target.protocol.name), rates["", ""])
            total += seconds / tokens * self.cost(target).tokens
        return total

    def _size(self, protocol: Protocol) -> _Size | None:
        model = protocol.model
        if model not in self._sizes:
            self._sizes[model] = None
            with contextlib.suppress(LayerclaimsError):
                source = resolve(model, offline=True)
                if source.n_blocks is not None and source.hidden_size is not None:
                    self._sizes[model] = _Size(
                        n_blocks=source.n_blocks,
                        hidden_size=source.hidden_size,
                        dtype=format_of(source, protocol.dtype, device="auto"),
                    )
        return self._sizes[model]


def described(state: State, missing: list[Target]) -> str:
    """The plan in lines: how many targets there are, what is left of them, and what that takes."""
    sweep = state.sweep
    costs = [state.cost(target) for target in missing]
    known = [cost.state_bytes for cost in costs if cost.state_bytes is not None]
    unknown = len(
        {t.protocol.model for t, cost in zip(missing, costs, strict=True) if cost.state_bytes is None}
    )
    lines = [
        f"{len(sweep.targets):,} targets in {inert(sweep.out)}, {len(sweep.targets) - len(missing):,} of them done",
    ]
    if not missing:
        return lines[0]
    kept = "kept" if sweep.keep_states else "dropped after each"
    sizes = [f"{byte_size(sum(known))} of states, {kept}"] if known else []
    if unknown:
        whose = "1 model" if unknown == 1 else f"{unknown} models"
        sizes.append(f"states of {whose} whose size is known once the model is fetched")
    seconds = state.seconds_left(missing)
    time = (
        "a time that is known when the first one is done" if seconds is None else f"about {duration(seconds)}"
    )
    lines.append(
        f"left: {len(missing):,} targets, {sum(cost.tokens for cost in costs):,} tokens, "
        f"{', '.join(sizes)}, {time}"
    )
    return "\n".join(lines)
