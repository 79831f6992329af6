"""Where the layers lie: 2-D PCA of all vectors, the path of the layers' centroids in it, and what the path does.

The post looks at pictures of PCA, t-SNE and UMAP in two dimensions; so do the numbers here. A path is the
layers' centroids [S, 2] in order of depth. Which states it has is the caller's to say: 0..L under the
rigorous protocol; 0..L-1 and the final-normed state L+1 where a claim speaks of the last layer as the
library returns it.
"""

import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any, Literal

import numpy as np
from layerclaims.errors import NotTestedError
from layerclaims.metrics import spectra
from layerclaims.metrics.moments import Moments
from layerclaims.metrics.norms import FIRST
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Reducer = Literal["PCA", "t-SNE", "UMAP"]
SAMPLE = 2500  # vectors that t-SNE and UMAP see, in equal parts from each fold, each reduced by itself
NEIGHBOURS = 30  # t-SNE's perplexity, scikit-learn's default
_COMPONENTS = 50  # PCA before t-SNE and UMAP, as usual (van der Maaten & Hinton 2008)


class ReducerMissingError(NotTestedError):
    """UMAP was asked for and is not installed: the claim that needs it is not tested."""


class PathMoments:
    """Moments of several paths, state by state; PCA of each, whole or with a fold left out.

    `paths`: name -> states in order of depth. States that are in the same paths share one second moment, so
    memory is folds x d^2 numbers for each such set, whatever the number of states.
    """

    def __init__(self, paths: Mapping[str, Sequence[int]], device: str = "cpu") -> None:
        """Nothing is known yet. `device` is where principal components are computed, as `spectra` takes it."""
        self._device = device
        self.paths = {name: tuple(path) for name, path in paths.items()}
        for name, path in self.paths.items():
            if not path or len(set(path)) != len(path):
                raise ValueError(f"the path {name!r} names each state once, not {path}")
        self._counts: dict[int, Floats] = {}  # state -> [folds]
        self._sums: dict[int, Floats] = {}  # state -> [folds, d]
        self._squares: dict[frozenset[str], Floats] = {}  # paths that a state is in -> [folds, d, d]

    def update(self, state: int, moments: Moments) -> None:
        """Add a state once, in any order; a state of no path is passed over."""
        member = frozenset(name for name, path in self.paths.items() if state in path)
        if not member:
            return
        if state in self._counts:
            raise ValueError(f"state {state} was added before")
        self._counts[state] = moments.counts.sum(axis=1)
        self._sums[state] = moments.sums.sum(axis=1)
        squares = moments.squares.sum(axis=1)
        if member in self._squares:
            self._squares[member] += squares
        else:
            self._squares[member] = squares

    def centroids(self, path: str, *, left_out: int | None = None) -> Floats:
        """The layers' centroids [S, 2] in the plane of the path's first two principal components.

        PCA of all vectors of the path, without the documents of fold `left_out`. The axes' signs are set so that
        the path ends at higher coordinates than it began. ValueError where a state was not added.
        """
        states = self.paths[path]
        missing = [i for i in states if i not in self._counts]
        if missing:
            raise ValueError(f"the path {path!r} has states that were not added: {missing}")
        folds = [g for g in range(len(self._counts[states[0]])) if g != left_out]
        counts = np.array([self._counts[i][folds].sum() for i in states])
        if not counts.all():
            raise ValueError(f"the path {path!r} has no vectors without fold {left_out}")
        sums = np.stack([self._sums[i][folds].sum(axis=0) for i in states])
        squares = sum(s[folds].sum(axis=0) for member, s in self._squares.items() if path in member)
        mean = sums.sum(axis=0) / counts.sum()
        matrix = squares / counts.sum() - np.outer(mean, mean)
        centroids = (sums / counts[:, None] - mean) @ _principal(matrix, self._device)
        return np.asarray(centroids * np.where(centroids[-1] < centroids[0], -1.0, 1.0))


def drift_correlation(centroids: Floats) -> float:
    """Spearman correlation of |i - j| with |c_i - c_j| over pairs of layers i < j: centroids [S, D] -> [-1, 1].

    1 where layers further apart in depth always lie further apart in space. NaN for fewer than 3 layers, or
    where all distances are equal or one is not finite.
    """
    i, j = np.triu_indices(len(centroids), 1)
    distances = np.linalg.norm(centroids[i] - centroids[j], axis=1)
    if len(centroids) < 3 or not np.isfinite(distances).all() or np.ptp(distances) == 0:
        return nan
    return float(np.corrcoef(_mid_ranks(j - i), _mid_ranks(distances))[0, 1])


def drift_resolution(n: int) -> float:
    """Least step of `drift_correlation` of n >= 3 centroids whose distances differ.

    Two neighbouring distances change places, of the pairs whose differences in depth have the nearest ranks.
    """
    i, j = np.triu_indices(n, 1)
    depth, place = _mid_ranks(j - i), np.arange(len(i))
    least = float(np.diff(np.unique(depth)).min())
    return least / (len(i) * float(np.std(depth) * np.std(place)))


def _mid_ranks(values: NDArray[Any]) -> Floats:
    """The rank of each of some numbers [n], 1 to n, ties at their mean; scipy.stats takes half a second to load."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[place])


def last_step_ratio(centroids: Floats) -> float:
    """Length of the path's last step / median length of its steps: centroids [S, D] -> [0, inf].

    NaN for fewer than 2 steps, infinite where the median step is 0 and the last is not.
    """
    steps = np.linalg.norm(np.diff(centroids, axis=0), axis=1)
    if len(steps) < 2:
        return nan
    with np.errstate(all="ignore"):
        return float(steps[-1] / np.median(steps))


def ring_ratio(centroids: Floats) -> float:
    """Distance between both ends of the path / largest distance of two centroids: centroids [S, D] -> [0, 1].

    0 for a closed ring, 1 where the ends lie furthest apart. NaN where all centroids are one point.
    """
    i, j = np.triu_indices(len(centroids), 1)
    distances = np.linalg.norm(centroids[i] - centroids[j], axis=1)
    with np.errstate(all="ignore"):
        return float(np.linalg.norm(centroids[0] - centroids[-1]) / distances.max())


def enclosed_area(centroids: Floats) -> float:
    """Area that the closed path encloses / that of the disc on its largest distance: centroids [S, 2] -> [0, inf).

    The absolute value of the shoelace formula: 0 for a path that goes there and back again, 1 for a circle of very
    many states; what is run around twice counts twice. NaN where all centroids are one point.
    """
    i, j = np.triu_indices(len(centroids), 1)
    widest = np.linalg.norm(centroids[i] - centroids[j], axis=1).max()
    x, y = centroids[:, 0], centroids[:, 1]
    area = abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
    with np.errstate(all="ignore"):
        return float(area / (np.pi * (widest / 2) ** 2))


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Tokens whose states t-SNE and UMAP see: the same ones in every state."""

    documents: Ints  # [m] rows of the store
    positions: Ints  # [m]
    folds: Ints  # [m] fold of the document

    def take(self, state: NDArray[Any], *, unit: bool) -> NDArray[np.float32]:
        """Their vectors in one state [documents, positions, d] -> [m, d], of unit length if asked."""
        x = state[self.documents, self.positions].astype(np.float64)
        if unit:
            norms = np.sqrt(np.einsum("nd,nd->n", x, x))
            x /= np.where(norms > 0, norms, 1.0)[:, None]
        return x.astype(np.float32)


def sample_tokens(
    folds: Ints,
    n_positions: int,
    n_states: int,
    *,
    size: int = SAMPLE,
    first: int = FIRST,
    rng: np.random.Generator,
) -> Tokens:
    """Tokens drawn without replacement, equally many from each fold, so that `size` vectors come of `n_states`.

    `folds` [documents]. At least one token a fold, and no more than there are.
    """
    groups = np.unique(folds)
    each = max(1, size // (n_states * len(groups)))
    chosen = []
    for g in groups:
        members = np.flatnonzero(folds == g)
        cells = len(members) * (n_positions - first)
        drawn = np.sort(rng.choice(cells, size=min(each, cells), replace=False))
        chosen.append((members[drawn // (n_positions - first)], first + drawn % (n_positions - first)))
    documents = np.concatenate([c[0] for c in chosen])
    positions = np.concatenate([c[1] for c in chosen])
    return Tokens(
        documents=documents.astype(np.int64), positions=positions.astype(np.int64), folds=folds[documents]
    )


def reduced(vectors: NDArray[Any], reducer: Reducer, *, seed: int) -> Floats:
    """A sample reduced to two dimensions: vectors [S, m, d] -> places [S, m, 2].

    All three reducers see the same vectors, so that the `drift_correlation` of the layers' means can be
    compared. t-SNE is scikit-learn's (Barnes-Hut, perplexity 30, started from PCA): at this size openTSNE is not
    faster. Both t-SNE and UMAP read the first 50 principal components. Deterministic for a given seed.

    ReducerMissingError when UMAP is not installed; ValueError for fewer than 4 vectors.
    """
    states, m, d = vectors.shape
    if states * m < 4:
        raise ValueError(f"{states * m} vectors are too few to reduce")
    from sklearn.decomposition import PCA

    x = np.asarray(vectors, dtype=np.float64).reshape(-1, d)
    kept = min(2 if reducer == "PCA" else _COMPONENTS, d, len(x))
    # of both exact solvers the one whose matrix is smaller
    x = PCA(kept, svd_solver="covariance_eigh" if d <= len(x) else "full").fit_transform(x)
    if reducer == "t-SNE":
        x = _tsne(x, seed)
    elif reducer == "UMAP":
        x = _umap(x, seed)
    return np.asarray(_two_columns(x).reshape(states, m, 2), dtype=np.float64)


def check_installed(reducer: Reducer) -> None:
    """ReducerMissingError for UMAP where it is not installed; imports nothing."""
    spec = importlib.util.find_spec("umap") if reducer == "UMAP" else None
    # a directory of that name on the path has a spec too, but no file
    if reducer == "UMAP" and (spec is None or spec.origin is None):
        raise ReducerMissingError("UMAP is not installed; python -m pip install umap-learn brings it.")


def _tsne(x: Floats, seed: int) -> Floats:
    from sklearn.manifold import TSNE

    model = TSNE(
        n_components=2,
        perplexity=min(NEIGHBOURS, (len(x) - 1) / 3),
        init=_two_columns(x) / max(float(x[:, 0].std()), np.finfo(np.float64).tiny) * 1e-4,
        learning_rate="auto",
        random_state=seed,
    )
    return np.asarray(model.fit_transform(x.astype(np.float32)), dtype=np.float64)


def _umap(x: Floats, seed: int) -> Floats:
    """Imports and compiles for seconds, once a process: so only here, and without the search for neighbours."""
    check_installed("UMAP")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports; nothing that concerns the data
        from umap import UMAP
    with warnings.catch_warnings():
        # that a seed means one thread, and that neighbours were found for it: both are meant
        warnings.simplefilter("ignore")
        model = UMAP(
            n_components=2,
            n_neighbors=min(15, len(x) - 1),
            precomputed_knn=_neighbours(x, min(15, len(x) - 1)),
            random_state=seed,
        )
        return np.asarray(model.fit_transform(x.astype(np.float32)), dtype=np.float64)


def _neighbours(x: Floats, n: int) -> tuple[NDArray[Any], NDArray[Any], None]:
    """Places and distances [m, n] of each vector's nearest ones, itself among them: UMAP would compile a search."""
    from sklearn.neighbors import NearestNeighbors

    places = NearestNeighbors(n_neighbors=n, algorithm="brute").fit(x).kneighbors(x, return_distance=False)
    # the search rounds: UMAP needs a vector's distance from itself to be nothing at all
    distances = np.linalg.norm(x[places] - x[:, None], axis=2)
    return places, distances.astype(np.float32), None


def _principal(covariance: Floats, device: str) -> Floats:
    """The two directions of largest variance of a covariance matrix, [d, 2]; the second is 0 where d is 1."""
    return _two_columns(spectra.leading(covariance, min(2, len(covariance)), device))


def _two_columns(x: Floats) -> Floats:
    return x[:, :2] if x.shape[1] > 1 else np.concatenate([x, np.zeros_like(x)], axis=1)
