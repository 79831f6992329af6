"""Study: the measurements that claims share, each computed once and kept on disk."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from harness import fits, variants
from harness import progress as screen
from harness.claim import Measured, quarter, worst
from harness.corpora import PLAIN, STRIPPED, Corpus, Role, load_corpus, without_punctuation
from harness.errors import LayerclaimsError, NotTestedError
from harness.kept import Kept, Measurement
from harness.measure import accuracy, attribution, fitting, norms
from harness.measure.accuracy import Vectors
from harness.memory import Memory, automatic
from harness.models import LanguageModel, ModelFacts, ModelSource, resolve
from harness.probe import Probe
from harness.protocol import MEASUREMENTS_VERSION, Protocol
from harness.recipes import Series, compute, sample_of
from harness.statistics import Estimate
from harness.store import MANIFEST, ActivationStore

RAW_OF: Final = "raw of "  # a series of another model


class Study:
    """One model under one protocol on its two corpora.

    Nothing is read or computed before it is asked for, so that any subset of the claims runs alone; what was
    computed once is read from the cache directory ever after, also by other processes.
    """

    def __init__(
        self,
        protocol: Protocol,
        *,
        cache_dir: Path,
        device: str = "auto",
        batch_size: int | None = None,
        offline: bool = False,
        untrained: bool = False,
        memory: int | None = None,
    ) -> None:
        """Touch nothing yet.

        `untrained` studies the twin: the same architecture, its weights drawn by the seed. A matrix of vectors that
        takes more than `memory` bytes (half of the machine's by default) is kept in a file.
        """
        self.protocol, self.cache_dir = protocol, cache_dir
        self._initialise = protocol.seed if untrained else None
        self._device, self._batch_size, self._offline = device, batch_size, offline
        self.memory = Memory(
            limit=automatic() if memory is None else memory, directory=cache_dir / "matrices"
        )
        self._vectors: tuple[Role, Vectors] | None = None
        self._stores: dict[Role, ActivationStore] = {}
        self._verified: set[Role] = set()
        self._estimates: dict[str, Estimate] = {}
        self.family: Mapping[
            str, Study
        ] = {}  # the studies of all models of the run under this protocol, by name

    # --- what is studied

    @cached_property
    def source(self) -> ModelSource:
        """The files behind the model's name."""
        return resolve(self.protocol.model, offline=self._offline)

    @cached_property
    def corpora(self) -> Mapping[Role, Corpus]:
        """The texts of both corpora."""
        return {
            "main": load_corpus(self.protocol.corpus, offline=self._offline),
            "transfer": load_corpus(self.protocol.transfer_corpus, offline=self._offline),
        }

    def _corpus(self, role: Role) -> Corpus:
        if role in STRIPPED:
            return without_punctuation(self.corpora[PLAIN[STRIPPED.index(role)]])
        return self.corpora[role]

    @cached_property
    def _model(self) -> LanguageModel:
        return LanguageModel.load(
            self.source, device=self._device, dtype=self.protocol.dtype, initialise=self._initialise
        )

    def prepare(self, *, stripped: bool = False) -> None:
        """Capture the states of both corpora, or find them in the cache; raises LayerclaimsError.

        With `stripped` also those of the same texts without punctuation.
        """
        for role in PLAIN:
            self.store(role)
        if stripped:
            with contextlib.suppress(NotTestedError):  # the claim that asks for them will say so
                self.prepare_stripped()
        self.__dict__.pop("_model", None)  # its memory is for the measurements now

    def prepare_stripped(self) -> None:
        """The same for the texts without punctuation; raises NotTestedError where they cannot be had."""
        try:
            for role in STRIPPED:
                self.store(role)
        except LayerclaimsError as error:  # too few texts are left, or no room for their states
            raise NotTestedError(f"The texts without punctuation cannot be studied: {error}") from error

    def store(self, role: Role) -> ActivationStore:
        """The states of one corpus."""
        if role not in self._stores:
            from harness.capture import capture

            self._stores[role] = capture(
                self.source,
                self._corpus(role),
                cache_dir=self.cache_dir,
                n_texts=self.protocol.n_texts,
                context=self.protocol.context,
                seed=self.protocol.seed,
                fewer=self.protocol.fewer or role in STRIPPED,  # without punctuation a text may be too short
                dtype=self.protocol.dtype,
                device=self._device,
                batch_size=self._batch_size,
                initialise=self._initialise,
                load=lambda: self._model,
            )
        return self._stores[role]

    def _sound(self, role: Role) -> ActivationStore:
        """The same after reading every byte: what the disk has spoilt since is captured again."""
        store = self.store(role)
        if role not in self._verified:
            if bad := store.verify():
                screen.note(f"layerclaims: {', '.join(bad)} of {store.directory} are damaged and made again")
                (store.directory / MANIFEST).unlink(missing_ok=True)  # the shards that are sound stay
                del self._stores[role]
                store = self.store(role)
            self._verified.add(role)
        return store

    @property
    def facts(self) -> ModelFacts:
        """What is known of the model."""
        return self.store("main").facts

    @property
    def n_labels(self) -> int:
        """K = L + 1: the embedding and the state after each block."""
        return self.facts.n_blocks + 1

    @property
    def states(self) -> list[int]:
        """The state in the store of each label: under "final" the last one is that after the final norm."""
        store = self.store("main")
        last = store.final if self.protocol.setting.last == "final" else store.n_blocks
        return [*range(store.n_blocks), last]

    @property
    def chance(self) -> float:
        """1 / K."""
        return 1 / self.n_labels

    def quarter(self, share: float) -> float:
        """`share` of the way from chance to perfect."""
        return quarter(share, self.n_labels)

    # --- measurements, kept on disk

    @cached_property
    def _kept(self) -> Kept:
        key = {
            "version": MEASUREMENTS_VERSION,
            "states": [self.store(role).manifest["key"] for role in PLAIN],
            "setting": self.protocol.setting.ingredients,
            "folds": self.protocol.folds,
            "seed": self.protocol.seed,
        }
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
        return Kept(self.cache_dir / "measurements" / digest)

    def keep(self, name: str, compute: Callable[[], Measurement]) -> Measurement:
        """The measurement of that name: from the cache directory, or computed now and kept there."""
        return self._kept.get(name, compute)

    def folds(self, role: Role) -> NDArray[np.int64]:
        """The fold of each document of a corpus, [n_documents], in the store's order."""
        store = self.store(role)
        order, parts = accuracy.fold_order(store.n_documents, self.protocol.folds, self.protocol.seed)
        fold_of = np.empty(store.n_documents, dtype=np.int64)
        for fold, part in enumerate(parts):
            fold_of[order[part]] = fold
        return fold_of

    def rng(self, purpose: int) -> np.random.Generator:
        """A generator of its own for each purpose, so that no draw depends on which claims ran before."""
        return np.random.default_rng([self.protocol.seed, purpose])

    def rows(self, role: Role) -> Vectors:
        """One corpus as a matrix; the last one stays in memory, since measurements come in runs."""
        if self._vectors is None or self._vectors[0] != role:
            self._vectors = None  # first, so that two are never held
            store = self._sound(role)
            order, folds = accuracy.fold_order(store.n_documents, self.protocol.folds, self.protocol.seed)
            blocks = store.blocks(self.states)
            vectors = accuracy.gather(blocks, self.n_labels, order, folds, empty=self.memory.empty)
            if self.protocol.setting.split == "vector":
                vectors = accuracy.split_vectors(vectors, self.protocol.seed)
            self._vectors = role, vectors
        return self._vectors[1]

    def release(self) -> None:
        """Give back the memory of matrices."""
        self._vectors = None

    def _fit(self, label: str, vectors: Vectors, **how: Any) -> list[Probe]:
        probes = []
        with screen.Progress(label, len(vectors.folds), "probes") as bar:
            for probe in fitting.fit_folds(vectors, self.protocol.setting, **how):
                probes.append(probe)
                bar.advance()
        return probes

    @property
    def linear(self) -> Measurement:
        """The probe on states as they are: fits, held-out answers, and the same probe on random vectors."""

        def compute() -> Measurement:
            vectors = self.rows("main")
            probes = self._fit("layer probe", vectors)
            predicted = accuracy.held_out(vectors, probes)
            rng, guesses = self.rng(2), np.empty_like(predicted)
            for fold, probe in enumerate(probes):
                part = vectors.tested(fold)
                guesses.reshape(-1)[part] = probe.predict(accuracy.random_directions(vectors.flat[part], rng))
            counts = {"raw": predicted, "random": guesses}
            for name, dimensions, to_mean in self._masks(vectors, probes):
                blind = [probe.masked(dimensions, to_mean=to_mean) for probe in probes]
                counts[name] = accuracy.held_out(vectors, blind)
            return fits.as_measurement(
                vectors,
                counts,
                probes,
                confusion=accuracy.confusion(predicted),
                runs=accuracy.runs(vectors, predicted),
            )

        return self._kept.get("linear", compute)

    def _masks(self, vectors: Vectors, probes: Sequence[Probe]) -> list[tuple[str, list[int], bool]]:
        """Name, dimensions, and whether they read their mean and not 0, of each mask."""
        recurring = fits.recurring(probes)
        d = vectors.x.shape[-1]
        others = [i for i in range(d) if i not in recurring]
        n = min(attribution.MASKED, len(others))
        drawn = sorted(int(i) for i in self.rng(3).choice(others, n, replace=False))
        spread = np.mean([np.where(np.isfinite(p.sd), p.sd, 0) for p in probes], axis=0)
        widest = np.argsort(-spread, kind="stable")[: attribution.MASKED]
        return [
            ("masked", recurring, False),
            ("masked to mean", recurring, True),
            ("masked at random", drawn, False),
            ("masked widest", [int(i) for i in widest], False),
        ]

    @property
    def _unit(self) -> Measurement:
        def compute() -> Measurement:
            vectors = self.rows("main")
            probes = self._fit("layer probe on unit vectors", vectors, unit=True)
            return fits.as_measurement(vectors, {"unit": accuracy.held_out(vectors, probes)}, probes)

        return self._kept.get("unit", compute)

    @property
    def _norm_only(self) -> Measurement:
        def compute() -> Measurement:
            vectors = accuracy.norm_features(self.rows("main"))
            probes = self._fit("layer probe on norms", vectors)
            return fits.as_measurement(vectors, {"norm": accuracy.held_out(vectors, probes)}, probes)

        return self._kept.get("norm", compute)

    @property
    def _transfer(self) -> Measurement:
        """The main corpus' probes on the transfer corpus, where every document is unseen by all of them."""

        def compute() -> Measurement:
            probes = self.probes  # before the other corpus takes the memory
            vectors = self.rows("transfer")
            flat, shape = vectors.flat, vectors.x.shape[:3]
            answers = np.concatenate([probe.predict(flat).reshape(shape) for probe in probes], axis=2)
            return fits.as_measurement(vectors, {"transfer": answers}, probes)

        return self._kept.get("transfer", compute)

    @property
    def norms(self) -> Measurement:
        """Norms of every state, and of the final-normed one: sums by document, and their range."""

        def compute() -> Measurement:
            store = self._sound("main")
            sums, table = [], []
            for i in range(store.n_states):
                state = store.state(i)
                sums.append(norms.norm_sums(state))
                table.append(norms.norm_summary(state))
            fields = ("largest", "largest_later", "mean_later", "smallest_later")
            return Measurement(
                arrays={
                    "sums": norms.norm_columns(sums),
                    **{field: np.array([getattr(one, field) for one in table]) for field in fields},
                },
                facts={},
            )

        return self._kept.get("norms", compute)

    # --- what claims ask for

    @property
    def probes(self) -> list[Probe]:
        """The fold probes on states as they are."""
        return fits.probes(self.linear)

    def series(self, name: str) -> Series:
        """Right answers per document and label of a named series, documents by their place in the corpus.

        "raw of MODEL" is the series "raw" of another model of the run, with all labels together.
        """
        measurement = self._measurement_of(name)
        if name.startswith(RAW_OF):
            return self.family[name.removeprefix(RAW_OF)].series("raw").over_labels()
        role = variants.ROLES.get(name, "main")
        places = np.array(self.store(role).document_ids, dtype=np.int64)
        return Series(
            corpus="transfer" if role.startswith("transfer") else "main",
            documents=places[measurement.arrays["documents"]],
            correct=measurement.arrays[f"{name}/correct"],
            total=measurement.arrays[f"{name}/total"],
        )

    def _measurement_of(self, name: str) -> Measurement:
        where: dict[str, Callable[[], Measurement]] = {
            "unit": lambda: self._unit,
            "norm": lambda: self._norm_only,
            "transfer": lambda: self._transfer,
        }
        linear = ("raw", "random", "masked", "masked to mean", "masked at random", "masked widest")
        if name in linear:
            return self.linear
        if name.startswith(RAW_OF):
            return self._linear_of(self.family[name.removeprefix(RAW_OF)])
        return where[name]() if name in where else variants.measurement(self, name)

    def _linear_of(self, other: "Study") -> Measurement:
        """The same of another model; its matrix and this one's are never in memory together."""
        if other is self:
            return self.linear
        self.release()
        try:
            return other.linear
        finally:
            other.release()

    def accuracy(self, series: str, *, name: str | None = None, note: str = "") -> Measured:
        """Accuracy of a series over its documents."""
        recipe = {"statistic": "accuracy", "series": [series]}
        return self._measured(name or f"accuracy, {series}", recipe, note=note)

    def difference(
        self, first: str, second: str, *, name: str, equivalence: bool = False, note: str = ""
    ) -> Measured:
        """acc(first) - acc(second), paired by document within a corpus; for equivalence at 1 - 2 alpha."""
        recipe = {"statistic": "difference", "series": [first, second]}
        return self._measured(name, recipe, equivalence=equivalence, note=note)

    def lowest_recall(self, series: str) -> Measured:
        """The lowest of the labels' recalls."""
        lowest = int(self.series(series).recall.argmin())
        return self._measured(
            "lowest recall of a layer",
            {"statistic": "lowest recall", "series": [series]},
            note=f"state {lowest} is the least recognised",
        )

    def trend(self, series: Sequence[str], *, name: str) -> Measured:
        """How accuracy rises along some series: Page's trend over documents, positive where it does."""
        return self._measured(name, {"statistic": "page trend", "series": list(series)})

    def cut(self, full: tuple[str, str], reduced: tuple[str, str], *, name: str) -> Measured:
        """Half the drop from the first series to the second, minus the drop of the reduced ones."""
        return self._measured(name, {"statistic": "half the drop", "series": [*full, *reduced]})

    def _measured(
        self, name: str, recipe: Mapping[str, Any], *, equivalence: bool = False, note: str = ""
    ) -> Measured:
        names = [str(s) for s in recipe["series"]]
        series = {s: self.series(s) for s in names}
        alpha = self.protocol.alpha
        confidence = 1 - 2 * alpha if equivalence else 1 - alpha
        key = json.dumps([recipe, confidence])
        if key not in self._estimates:
            self._estimates[key] = compute(recipe, series, confidence=confidence, seed=self.protocol.seed)
        certificates = [c for s in names for c in fits.certificates(self._measurement_of(s))]
        n_documents, n_vectors = sample_of(list(series.values()))
        return Measured(
            name=name,
            estimate=self._estimates[key],
            n_documents=n_documents,
            n_vectors=n_vectors,
            certificate=worst(certificates),
            recipe=recipe,
            note=note,
        )

    def measured(self, name: str, estimate: Estimate, series: str, *, note: str = "") -> Measured:
        """An estimate that rests on the probes behind a series, with their certificate."""
        counts = self.series(series)
        return Measured(
            name=name,
            estimate=estimate,
            n_documents=len(counts.documents),
            n_vectors=int(counts.total.sum()),
            certificate=fits.certificate(self._measurement_of(series)),
            note=note,
        )

    @property
    def recurring_dimensions(self) -> list[int]:
        """The dimensions that are most often among the ten largest contributions of a layer."""
        return fits.recurring(self.probes)
