"""Which directions a layer uses: what its neighbour's directions miss of it, angles between bases, effective rank.

Directions of one layer from half of the documents miss some of its variance on the other half, by sampling alone.
Only what a neighbour's directions from the same half miss beyond that is a difference of subspaces. Input
throughout: `Moments` of one state, of unit vectors, by fold and half.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import nan

import numpy as np
from layerclaims.metrics import spectra
from layerclaims.metrics.moments import Covariance, Moments
from numpy.typing import NDArray

Floats = NDArray[np.float64]
VARIANCE = 0.9  # share of the variance that a basis carries
LEAST, MOST = 2, 64  # components of a basis
DIRECTIONS = 10  # principal directions by which a layer is held against the next
_RANK = 1e-10  # eigenvalues below this share of the largest are rounding of float32 states, squared
_HALVES = 2


def principal_angles(a: Floats, b: Floats) -> Floats:
    """Principal angles of the subspaces spanned by orthonormal a [d, p] and b [d, q]: degrees [min(p, q)], falling.

    cos theta are the singular values of a'b. Where theta is small its cosine says little, and sin theta,
    the singular values of the part of one basis outside the other, is taken (Bjorck & Golub 1973; Knyazev &
    Argentati 2002). ValueError for bases of different spaces.
    """
    if a.ndim != 2 or b.ndim != 2 or len(a) != len(b):
        raise ValueError(f"two bases are [d, p] and [d, q], not {a.shape} and {b.shape}")
    if a.shape[1] < b.shape[1]:
        a, b = b, a
    product = a.T @ b  # [p, q], p >= q
    cosines = np.linalg.svd(product, compute_uv=False)[::-1]  # rising: angles fall
    sines = np.linalg.svd(b - a @ product, compute_uv=False)  # falling
    angles = np.where(cosines**2 >= 0.5, np.arcsin(np.clip(sines, 0, 1)), np.arccos(np.clip(cosines, 0, 1)))
    return np.asarray(np.degrees(angles), dtype=np.float64)


def mean_angle(a: Floats, b: Floats) -> float:
    """Mean of `principal_angles`, degrees."""
    return float(principal_angles(a, b).mean())


def components_needed(
    variances: Floats, *, share: float = VARIANCE, least: int = LEAST, most: int = MOST
) -> int:
    """How few principal components carry `share` of the variance, kept between `least` and `most`.

    `variances` [d] are the covariance's eigenvalues, falling. Never more than the rank: a direction without
    variance is no direction of the layer. 0 where there is no variance at all.
    """
    variances = np.maximum(variances, 0)
    rank = int(np.sum(variances > _RANK * variances[0]))
    if not rank:
        return 0
    # counts the partial sums that fall short; rounding must not ask for one component more
    needed = int(np.sum(np.cumsum(variances) < (share - 1e-12) * variances.sum())) + 1
    return min(max(needed, least), most, rank)


@dataclass(frozen=True, kw_only=True)
class _Bases:
    """Principal components of one state."""

    k: int  # components that carry the variance, on all documents; 0 for a state that does not vary
    axes: Floats  # [halves, d, m] on all documents; m >= k
    leading: Floats  # [1 + folds, halves, d, DIRECTIONS]: the first of them, and those without each fold
    moments: Moments  # that they are of


@dataclass(kw_only=True)
class Subspaces:
    """What neighbouring layers share, across two halves of the documents; a state is added at a time.

    `update` takes the states in order of depth. With C_i^A the covariance of layer i on half A, around the layer's
    own mean, and P_i^B its first `DIRECTIONS` principal directions on half B,

        missed_i = 1 - tr(P_i+1^B' C_i^A P_i+1^B) / tr(P_i^B' C_i^A P_i^B),

    numerator and denominator each summed over both ways to name the halves: the share of what a layer's own
    directions carry of it that the next layer's directions do not. Both have the same sampling noise, so that it does
    not depend on the number of documents.

    Beside it angles, for a figure. With Q_i^A the PCA basis of layer i on half A, k_i its
    components on all documents, and angle(Q, R) the mean principal angle, layers i and i+1 are

        apart_i = angle(Q_i^A[:k_i], Q_i+1^B[:k_i+1]), and layer i from itself
        self_i  = angle(Q_i^A[:k_i], Q_i^B[:k_i+1]),

    each averaged over both ways to name the halves. Both have the same numbers of components: angles grow
    with the number of directions that are compared, and the difference must not. The components stay those
    of all documents when a fold is left out. Only the bases of the state before, and of each state on all
    documents, are kept.
    """

    most: int = MOST
    device: str = "cpu"  # where principal directions are computed, as `spectra` takes it
    k: list[int] = field(default_factory=list)  # components of each state
    _missed: list[Floats] = field(default_factory=list)  # per pair of neighbours [1 + folds]
    _apart: list[float] = field(default_factory=list)
    _self: list[float] = field(default_factory=list)
    _axes: list[Floats] = field(default_factory=list)  # per state [halves, d, m], on all documents
    _last: _Bases | None = None

    def update(self, moments: Moments) -> None:
        """Add the next state. ValueError unless its moments are by two halves."""
        if moments.counts.shape[1] != _HALVES:
            raise ValueError(f"subspaces need two halves of the documents, not {moments.counts.shape[1]}")
        new, old = _bases(moments, self.most, self.device), self._last
        if old is not None:
            if old.leading.shape != new.leading.shape:
                raise ValueError("states differ in folds or in width")
            self._missed.append(_missed(old, new))
            self._apart.append(_across(old.axes, new.axes, old.k, new.k))
            self._self.append(_across(old.axes, old.axes, old.k, new.k))
        self.k.append(new.k)
        self._axes.append(new.axes)
        self._last = new

    @property
    def missed(self) -> Floats:
        """`missed_i`, [1 + folds, S - 1]: on all documents, then without each fold. NaN where a state does not vary."""
        return np.stack(self._missed, axis=1)

    @property
    def apart(self) -> Floats:
        """Angle of each layer to the next across halves, degrees [S - 1]."""
        return np.array(self._apart)

    @property
    def own(self) -> Floats:
        """Angle of each layer to itself across halves, degrees [S - 1], beside `apart`."""
        return np.array(self._self)

    def matrix(self) -> Floats:
        """Angle of every layer on one half to every layer on the other, degrees [S, S], symmetric.

        Each layer with its own number of components; the diagonal is a layer with itself.
        """
        states = len(self.k)
        angles = np.full((states, states), nan)
        for i in range(states):
            for j in range(i, states):
                angles[i, j] = angles[j, i] = _across(self._axes[i], self._axes[j], self.k[i], self.k[j])
        return angles


def effective_rank(covariance: Covariance, device: str = "cpu") -> float:
    """exp(H) / d in (0, 1], H = -sum p log p the entropy of the eigenvalues' shares p of the variance.

    1 where all d directions vary alike, 1/d where one does (Roy & Vetterli 2007). Sampling makes a spectrum
    less even: n independent vectors of d even directions give about exp(-d / 2n). NaN where nothing varies.
    """
    values = np.maximum(spectra.eigenvalues(covariance.matrix, device), 0)
    if values[-1] <= _RANK * (covariance.mean @ covariance.mean):
        return nan  # all vectors are one: what varies is rounding
    shares = values / values.sum()
    shares = shares[shares > 0]
    return float(np.exp(-(shares @ np.log(shares))) / len(values))


def effective_ranks(moments: Moments, device: str = "cpu") -> Floats:
    """`effective_rank` of one state on all documents, then without each fold: [1 + folds]."""
    folds = [None, *range(moments.n_folds)]
    return np.array([effective_rank(moments.covariance(left_out=g), device) for g in folds])


def without_bias(values: Floats) -> Floats:
    """The jackknife's correction of a positive number: values [1 + folds, ...] (whole first) -> [...].

    exp(g log v - (g - 1) mean log v_(g)): removes a bias of the logarithm that falls as one over the number
    of documents, as that of `effective_rank` does, which is too small and so speaks for the claim
    (Quenouille 1956).
    """
    groups = len(values) - 1
    logs = np.log(values)
    return np.asarray(np.exp(groups * logs[0] - (groups - 1) * logs[1:].mean(axis=0)))


def _bases(moments: Moments, most: int, device: str) -> _Bases:
    whole = moments.covariance()
    variances = spectra.eigenvalues(whole.matrix, device)[::-1]
    varies = variances[0] > _RANK * (whole.mean @ whole.mean)
    axes = directions(_halves(moments), most, device)
    n = min(DIRECTIONS, most)
    left_out = [directions(_halves(moments, g), n, device) for g in range(moments.n_folds)]
    return _Bases(
        k=components_needed(variances, most=most) if varies else 0,
        axes=axes,
        leading=np.stack([axes[..., :n], *left_out]),
        moments=moments,
    )


def _halves(moments: Moments, left_out: int | None = None) -> list[Floats]:
    """The covariance [d, d] of either half."""
    return [moments.covariance(half=half, left_out=left_out).matrix for half in range(_HALVES)]


def _missed(layer: _Bases, following: _Bases) -> Floats:
    """Share of what a layer's own directions carry of it that the next layer's do not: [1 + folds]."""
    left_out = [None, *range(layer.moments.n_folds)]
    if not (layer.k and following.k):
        return np.full(len(left_out), nan)
    bases = zip(left_out, layer.leading, following.leading, strict=True)
    return np.array([missed_share(_halves(layer.moments, g), own, others) for g, own, others in bases])


def missed_share(covariances: Sequence[Floats], own: Floats, others: Floats) -> float:
    """What the directions of another layer miss of one: its covariances [d, d] by half, and [halves, d, k] of either.

    The formula is that of `Subspaces`. NaN for a layer that does not vary.
    """
    carried = np.zeros(2)
    for half, matrix in enumerate(covariances):
        for place, axes in enumerate((own, others)):
            carried[place] += float(np.einsum("dk,dk->", axes[1 - half], matrix @ axes[1 - half]))
    with np.errstate(all="ignore"):
        return float(1 - carried[1] / carried[0])


def directions(covariances: Sequence[Floats], n: int = DIRECTIONS, device: str = "cpu") -> Floats:
    """The first `n` principal directions of covariances [d, d], at most d: [covariances, d, n]."""
    n = min(n, len(covariances[0]))
    return np.stack([spectra.leading(one, n, device) for one in covariances])


def _across(a: Floats, b: Floats, p: int, q: int) -> float:
    """Mean angle of p components of a [halves, d, m] on one half and q of b on the other, both ways: degrees."""
    if not (p and q):
        return nan
    return (mean_angle(a[0, :, :p], b[1, :, :q]) + mean_angle(a[1, :, :p], b[0, :, :q])) / 2
