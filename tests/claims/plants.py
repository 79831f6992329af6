"""The plants of every row: how data with a known truth are drawn, and where the row's border lies among them.

A knob is what is turned to make a row true or false. Where answers, norms or weights are drawn the knob is the true
value itself, unless said otherwise. Where whole states are drawn and measured, probes and all, the true value follows
from the knob: it is the number that the row finds on `LARGE` documents, or, where the number speaks of a sample of
that size (runs on so many documents, halves of so many), its mean over the plants. At the border the truth lies
exactly at the pass mark. No other truth is mistaken as easily.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from layerclaims.experiments.study import Study
from layerclaims.metrics import growth as laws
from scipy import optimize

from tests.claims.synthetic import Drawn, InMemory, answers, gaussian

LABELS, TOTALS, FOLDS = 5, 10, 5
MANY = 4000  # plants at the border of rows that hold their level only nearly
LARGE = 2000  # documents from which the true value of planted states is taken


def quarter(share, labels):
    """A share of the way from chance to perfect."""
    return 1 / labels + share * (1 - 1 / labels)


@dataclass(frozen=True, kw_only=True)
class Plant:
    """How one row's data are drawn."""

    what: str  # for the page
    draw: Callable[..., Study]  # of a seed and a knob; of planted states also a number of documents
    border: float  # knob
    outside: tuple[float, float]  # knobs at which the row is false, the clear one first
    inside: tuple[float, float]  # true, the clear one last
    truth: Literal["knob", "large", "mean"] = (
        "knob"  # the knob itself, the number on `LARGE` documents, or the mean
    )
    fitted: bool = False  # whether drawing leaves probes to be fitted
    part: int = 0  # which of the row's conditions the knob turns; the others hold clearly
    plants: int = 400  # that are drawn at the border

    @property
    def knobs(self) -> tuple[float, ...]:
        """From clearly false to clearly true."""
        return (*self.outside, self.border, *self.inside)


# --- answers: beta-binomial by document, paired between the probes of a corpus


def drawn(seed, documents, means, *, totals=TOTALS, other=None):
    """A study of main-corpus series (name -> mean accuracy, the best first) and `other` ones drawn by themselves."""
    rng = np.random.default_rng([seed, 17])
    size = {"documents": documents, "labels": LABELS, "totals": totals}
    counts = {}
    for group in (means, *(other or ())):
        counts.update(zip(group, answers(rng, *group.values(), **size), strict=True))
    return Drawn(seed=seed, labels=LABELS, counts=counts, totals=totals)


def separable(seed, accuracy):
    means = {"raw": accuracy, "control task": accuracy / 2, "lda": accuracy, "nearest mean": accuracy}
    return drawn(seed, 60, means, other=[{"shuffled": 1 / LABELS}, {"all positions": accuracy}])


def every_layer(seed, recall):
    """One layer has the lowest recall."""
    rng = np.random.default_rng([seed, 18])
    size = {"documents": 60, "labels": 1, "totals": TOTALS}
    columns = answers(rng, *[0.9] * (LABELS - 1), recall, **size)
    counts = {name: np.hstack(columns) for name in ("raw", "all positions")}
    return Drawn(seed=seed, labels=LABELS, counts=counts, totals=TOTALS)


def tree(seed, accuracy):
    return drawn(seed, 60, {"raw": 0.9, "tree": accuracy})


def more_data(seed, gain):
    """Accuracy rises evenly from one training size to the next."""
    names = ["raw", "size 1/2", "size 1/4", "size 1/8", "size 1/16"]
    return drawn(seed, 80, {name: 0.85 - gain * i / 4 for i, name in enumerate(names)})


def longer_context(seed, gain):
    """At equal numbers of training vectors; with all of them, and on the first tokens, the longest gains .05 more."""
    means = {"raw": 0.9, "raw, early positions": 0.9, "own context": 0.85, "context 5": 0.85 - gain}
    return drawn(seed, 80, means)


def larger_model(seed, fall):
    """Three models, falling by `fall` from the first to the second and clearly to the third."""
    means = {"raw of a": 0.85, "raw of b": 0.85 - fall, "raw of c": 0.6}
    counts = drawn(seed, 80, means)._counts
    studies = {
        name: Drawn(seed=seed, labels=LABELS, counts={"raw": counts[f"raw of {name}"]}, parameters=i + 1)
        for i, name in enumerate("abc")
    }
    for study in studies.values():
        study.family = studies
    return studies["a"]


def norm_matters(seed, loss):
    return drawn(seed, 80, {"raw": 0.85, "unit": 0.85 - loss})


def not_only_norm(seed, loss):
    return drawn(seed, 60, {"raw": 0.9, "unit": 0.85, "norm": 0.9 - loss})


def random_vectors(seed, accuracy):
    """What the probe of the states says of random vectors; one that is trained on them is at chance."""
    return drawn(seed, 60, {"random": accuracy}, other=[{"trained on random": 1 / LABELS}])


def trained_on_random(seed, accuracy):
    """The other way round."""
    return drawn(seed, 60, {"trained on random": accuracy}, other=[{"random": 1 / LABELS}])


def masking(seed, loss):
    means = {"raw": 0.95, "masked at random": 0.94, "masked to mean": 0.94, "masked widest": 0.94}
    return drawn(seed, 200, {**means, "masked": 0.95 - loss, "masked neighbours": 0.94}, totals=30)


def corpora_differ(seed, drop):
    return drawn(seed, 100, {"raw": 0.93}, other=[{"transfer": 0.93 - drop}, {"transfer back": 0.8}])


def unseen(seed, accuracy):
    return drawn(seed, 60, {"seen tokens": 0.9, "unseen tokens": accuracy})


LENSES = 9  # states before the last one


def lens(seed, *, mean, trend):
    """First choices that meet the output's, one position of each of 120 documents: evenly rising over the states.

    Between two choices Page's trend is what the share rises by from the first state to the last, times a constant.
    """
    rng = np.random.default_rng([seed, 23])
    places = np.arange(LENSES) - (LENSES - 1) / 2
    means = mean + places * trend * (LENSES**2 - 1) / (6 * (places**2).sum())
    best, s = means.max(), 9  # correlation 1/(1 + 9) = .1
    shares = rng.beta(best * s, (1 - best) * s, size=(120, 1))
    agreed = rng.binomial(1, shares * means / best)
    return Drawn(seed=seed, labels=LENSES + 2, counts={"logit lens": agreed}, totals=1)


def lens_agrees(seed, mean):
    return lens(seed, mean=mean, trend=0.2)


def lens_rises(seed, trend):
    return lens(seed, mean=0.25, trend=trend)


def skill_of_means(seed, share):
    """How far LDA lies above chance, over how far the probe does: .9 of the answers."""
    means = {"raw": 0.9, "lda": above_chance(share, 0.9), "nearest mean": above_chance(share / 2, 0.9)}
    return drawn(seed, 60, means)


def skill_of_a_tenth(seed, share):
    return drawn(seed, 60, {"raw": 0.9, "a tenth of the dimensions": above_chance(share, 0.9)})


def above_chance(share, accuracy):
    """The accuracy that lies a share as far above chance as another one."""
    return 1 / LABELS + share * (accuracy - 1 / LABELS)


def known_tokens(seed, beyond):
    """A drop from .9 to .7; on known tokens accuracy exceeds the middle, .8, by the knob."""
    transfer = {"transfer, seen tokens": 0.8 + beyond, "transfer": 0.7}
    return drawn(seed, 100, {"raw": 0.9}, other=[transfer])


def transfer(seed, accuracy):
    return drawn(seed, 60, {"transfer": accuracy})


def mixed(seed, loss):
    """What is lost on the transfer corpus; nothing is on the main one."""
    return drawn(
        seed,
        100,
        {"raw": 0.9, "mixed on main": 0.9},
        other=[{"transfer own": 0.9, "mixed on transfer": 0.9 - loss}],
    )


def punctuation(seed, cut):
    """A drop of .2, of which `cut` is more than half of it goes away with the punctuation."""
    return drawn(
        seed,
        100,
        {"raw": 0.9, "stripped": 0.9},
        other=[{"stripped transfer": 0.8 + cut, "transfer": 0.7}],
    )


def stable(seed, deviation):
    """The standard deviation of accuracy over the folds, brought about by the number of their documents."""
    accuracy, within = 0.7, 0.1 * (LABELS * TOTALS - 1) + 1  # 1 + (m - 1) x correlation
    documents = FOLDS * round(accuracy * (1 - accuracy) * within / (LABELS * TOTALS * deviation**2))
    rng = np.random.default_rng([seed, 21])
    shares = rng.beta(9 * accuracy, 9 * (1 - accuracy), size=documents)  # correlation 1/(1 + 9) = .1
    right = rng.binomial(LABELS * TOTALS, shares)
    return Drawn(seed=seed, labels=1, counts={"raw": right[:, None]}, totals=LABELS * TOTALS)


# --- norms, weights and paths


def growth(seed, share):
    """Log mean norms of states 1..L: cubic (0) to exponential (2), which errs like the best rival at 1."""
    layers = np.arange(1, 13)
    cubic, exponential = np.log(1.0 + 0.05 * layers**3), 0.3 * layers

    def advantage(share):
        return float(laws.advantage(np.exp((1 - share) * cubic + share * exponential)))

    even = optimize.brentq(advantage, 0, 1, xtol=1e-10)
    share = even * share if share <= 1 else even + (1 - even) * (share - 1)
    mean = np.exp((1 - share) * cubic + share * exponential)
    rng = np.random.default_rng([seed, 19])
    documents = 80
    noise = np.exp(0.05 * rng.normal(size=(documents, 1)) + 0.05 * rng.normal(size=(documents, 12)))
    sums = np.hstack([np.ones((documents, 1)), mean * noise, np.ones((documents, 1))])
    return Drawn(seed=seed, labels=13, sums=sums)


def last_norm(seed, ratio):
    """Norms of a document are log-normal, those of its states as alike as half of their variance.

    They rise by a tenth from state 0 to the one before the last; after the final norm they are three times as large.
    """
    rng = np.random.default_rng([seed, 22])
    documents, spread = 60, 0.3
    noise = np.exp(
        spread * rng.normal(size=(documents, 1)) + spread * rng.normal(size=(documents, LABELS + 1))
    )
    means = 1.1 ** np.arange(LABELS + 1.0)
    means[LABELS - 1] = ratio * means[LABELS - 2]
    means[LABELS] = 3 * means[LABELS - 1]
    return Drawn(seed=seed, labels=LABELS, sums=noise * means)


def folds_of(rng, weights, error):
    """Weights [d, K] as five folds estimate them, each without its own documents' error: [5, d, K].

    `error` is the standard error of the folds' mean.
    """
    errors = error * np.sqrt(FOLDS) * rng.normal(size=(FOLDS, *weights.shape))
    return weights + (errors.sum(axis=0) - errors) / (FOLDS - 1)


def recurring(seed, frequency):
    """One dimension is among the top ten of `frequency` of 12 layers, all else in one layer only; drawn weights.

    With probes of shuffled labels it is in five of 12.
    """
    layers, own = 12, 10
    d = 1 + layers * own
    weights = np.full((d, layers), 0.5)
    for layer in range(layers):
        weights[1 + own * layer :][:own, layer] = 1 + 0.03 * np.arange(own)
    # the tenth place is at 1: in the layers one after the other the dimension passes it
    shuffled = weights.copy()
    weights[0] = 1 + 0.1 * np.clip(frequency * layers - np.arange(layers) - 0.5, -1, 1)
    shuffled[0] = 1 + 0.1 * np.clip(5 - np.arange(layers) - 0.5, -1, 1)
    counts = {"raw": np.full((60, layers), TOTALS)}
    rng = np.random.default_rng([seed, 24])
    return Drawn(
        seed=seed,
        labels=layers,
        counts=counts,
        weights=folds_of(rng, weights, 0.02),
        shuffled=np.stack([shuffled] * FOLDS),
    )


def ordered(seed, advantage):
    """Paths of five samples, each reduced by itself: one straight path, which each reducer scatters by its own share.

    PCA's and t-SNE's err alike, each by itself, so that where both scatter alike neither is better on average.
    """
    states = 10
    fixed, rng = np.random.default_rng(25), np.random.default_rng([seed, 26])
    line = np.stack([np.arange(states) - 4.5, np.zeros(states)], axis=1)
    scatter = 2 * fixed.normal(size=(states, 2))
    shares = {"PCA": 0.4, "t-SNE": 0.4 + advantage, "UMAP": 0.9}
    paths = {
        name: (1 - share) * line + share * scatter + 0.4 * rng.normal(size=(FOLDS, states, 2))
        for name, share in shares.items()
    }
    return Drawn(seed=seed, labels=states, paths=paths)


# --- states, measured as those of a model


def along(path, d, *, away=6.0):
    """Offsets [S, d] of a path [S, m] that lies `away` from the origin, so that unit vectors keep its form."""
    offsets = np.zeros((len(path), d))
    offsets[:, 0] = away
    offsets[:, 1 : 1 + path.shape[1]] = path
    return offsets


def drift(seed, order, documents=60):
    """A straight path of ten layers, scattered: 1 is straight, 0 all scatter."""
    fixed = np.random.default_rng(27)
    line = np.stack([np.arange(10) - 4.5, np.zeros(10)], axis=1) * 0.4
    scatter = 1.2 * fixed.normal(size=(10, 2))
    rng = np.random.default_rng([seed, 28])
    offsets = along(order * line + (1 - order) * scatter, 6)
    return InMemory(gaussian(rng, offsets, documents=documents, positions=5, own=0.3), seed=seed)


def tightening(seed, growth, documents=300):
    """The last state is half as long again as those that are not shortened: every other one is, by exp(-growth).

    So the more the steps before the last one differ by norm, the less does the norm make of the last one.
    """
    path = np.stack([np.arange(6) * 0.6, np.array([0, 0.5, 0, -0.5, 0, 0.5])], axis=1)
    rng = np.random.default_rng([seed, 29])
    factors = np.where(np.arange(6) % 2, np.exp(-growth), 1.0)
    factors[-1] = 1.5
    return InMemory(
        gaussian(rng, along(path, 6), documents=documents, positions=5, own=0.3, factors=factors), seed=seed
    )


def far(seed, step, documents=300):
    """The last state is three times as long as the others, and by direction too it lies `step` steps away."""
    path = 0.8 * np.cumsum([0, 1, 1, 1, 1, step])[:, None]
    factors = np.array([1, 1, 1, 1, 1, 3.0])
    rng = np.random.default_rng([seed, 39])
    offsets = along(path, 6, away=12.0)
    return InMemory(
        gaussian(rng, offsets, documents=documents, positions=5, own=0.3, factors=factors), seed=seed
    )


def ring(seed, arc, documents=60):
    """Twelve layers on an arc of so many degrees, which closes at 360."""
    angles = np.radians(np.linspace(0, arc, 12))
    path = 1.5 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    rng = np.random.default_rng([seed, 30])
    return InMemory(gaussian(rng, along(path, 6), documents=documents, positions=5, own=0.3), seed=seed)


def there_and_back(seed, width, documents=60):
    """Twelve layers on an ellipse that ends near where it began; at a `width` of 0 it goes back as it went.

    It is large, so that at the border its short axis stands out from the tokens: where it does not, the plane turns
    with every sample, and a small one makes the area smaller than it is.
    """
    angles = np.radians(np.linspace(0, 345, 12))
    path = 12.0 * np.stack([np.cos(angles), width * np.sin(angles)], axis=1)
    rng = np.random.default_rng([seed, 40])
    offsets = along(path, 6, away=48.0)
    return InMemory(gaussian(rng, offsets, documents=documents, positions=5, own=1.0), seed=seed)


def balanced(d, layers=6):
    """Signs [layers, d], as many of either in each dimension."""
    fixed = np.random.default_rng(31)
    half = np.repeat([-1.0, 1.0], layers // 2)
    return np.stack([fixed.permutation(half) for _ in range(d)], axis=1)


def dominating(seed, size, documents=300):
    """48 dimensions tell six layers apart alike, but one `size` times as much."""
    offsets = 0.4 * balanced(48)
    offsets[:, 7] *= size
    rng = np.random.default_rng([seed, 32])
    return InMemory(gaussian(rng, offsets, documents=documents, positions=6), seed=seed)


def distributed(seed, evenness, documents=600):
    """What 32 dimensions tell of six layers falls off geometrically, by exp(-1 / evenness) from one to the next."""
    sizes = np.exp(-np.arange(32) / evenness)
    offsets = 2.2 * sizes / np.sqrt((sizes**2).sum()) * balanced(32)
    rng = np.random.default_rng([seed, 33])
    return InMemory(gaussian(rng, offsets, documents=documents, positions=6), seed=seed)


def flipping(seed, surplus, documents=100):
    """Negative offsets are exp(surplus) times as large as positive ones in the first third, inversely in the last."""
    fixed = np.random.default_rng(34)
    first, middle = fixed.choice([-1.0, 1.0], size=(2, 32)) * 0, fixed.choice([-0.3, 0.3], size=32)
    for layer in first:
        chosen = fixed.permutation(32)[:24]
        layer[chosen[:12]], layer[chosen[12:]] = 0.5 * np.exp(surplus / 2), -0.5 * np.exp(-surplus / 2)
    first = -first
    offsets = np.stack([*first, middle, -middle, *-first])
    rng = np.random.default_rng([seed, 35])
    return InMemory(gaussian(rng, offsets, documents=documents, positions=6), seed=seed)


def recurring_runs(seed, unlike, documents=100):
    """Of 64 dimensions some tell layers apart more than others; 0: all alike."""
    ladder = np.linspace(-1, 1, 64)
    offsets = 0.4 * np.exp(unlike * ladder) * balanced(64)
    rng = np.random.default_rng([seed, 36])
    return InMemory(gaussian(rng, offsets, documents=documents, positions=4), seed=seed)


def turning(seed, degrees, documents=60):
    """Ten strong directions of four layers, of 22 dimensions, turn by so many degrees from layer to layer."""
    rng = np.random.default_rng([seed, 37])
    sizes = np.linspace(1.5, 0.7, 10)
    strong = sizes * (rng.normal(size=(documents, 6, 10)) + 0.5 * rng.normal(size=(documents, 1, 10)))
    states = []
    for i in range(4):
        turn = np.radians(degrees * i)
        x = 0.15 * rng.normal(size=(documents, 6, 22))
        x[..., :10] += np.cos(turn) * strong
        x[..., 10:20] += np.sin(turn) * strong
        states.append(x)
    return InMemory(np.stack([*states, states[-1]]), seed=seed)


def shapes_of_layers(seed, spread, documents=60):
    """Four layers at one place, whose eight dimensions vary by up to exp(+-spread), each layer's in its own order."""
    fixed, rng = np.random.default_rng(41), np.random.default_rng([seed, 42])
    ladder = np.linspace(-1, 1, 8)
    states = []
    for _ in range(4):
        sd = np.exp(spread * fixed.permutation(ladder))
        own = rng.normal(size=(documents, 6, 8)) + 0.3 * rng.normal(size=(documents, 1, 8))
        states.append(sd * own)
    return InMemory(np.stack([*states, states[-1]]), seed=seed)


def early_norms(seed, step, documents=60):
    """Norms of nine states, log-normal (.3), each state's larger than the last one's by exp(.3 x step)."""
    rng = np.random.default_rng([seed, 43])
    x = rng.normal(size=(10, documents, 6, 8))
    sizes = np.exp(0.2 * rng.normal(size=(1, documents, 1)) + 0.22 * rng.normal(size=(10, documents, 6)))
    sizes *= np.exp(0.3 * step * np.arange(10))[:, None, None]
    return InMemory(x / np.linalg.norm(x, axis=-1, keepdims=True) * sizes[..., None], seed=seed)


def ranks(seed, evenness, documents=60):
    """Variances of 16 dimensions fall off by exp(-1 / evenness); one of four layers is the most even."""
    rng = np.random.default_rng([seed, 38])
    states = []
    for share in (0.4, 1.0, 0.7, 0.5):
        sd = np.exp(-np.arange(16) / evenness / share / 2)
        x = rng.normal(size=(documents, 5, 16)) + 0.3 * rng.normal(size=(documents, 1, 16))
        states.append(x * sd)
    return InMemory(np.stack([*states, states[-1]]), seed=seed)


FAR, LOW = quarter(0.25, LABELS), quarter(0.10, LABELS)

PLANTS = {
    "layers-linearly-separable": Plant(
        what="Right answers of 60 documents x 5 layers x 10 vectors, beta-binomial with correlation .1 within a "
        "document; shuffled labels at chance. The knob is accuracy.",
        draw=separable, outside=(0.25, 0.36), border=FAR, inside=(0.44, 0.6),
    ),
    "every-layer-recognised": Plant(
        what="As above; four layers with a recall of .9 and one with that of the knob.",
        draw=every_layer, outside=(0.15, 0.24), border=LOW, inside=(0.33, 0.5),
    ),
    "decision-tree-separates": Plant(
        what="As above, 60 documents; a linear probe at .9 beside the tree. The knob is the tree's accuracy.",
        draw=tree, outside=(0.25, 0.36), border=FAR, inside=(0.44, 0.6),
    ),
    "more-data-higher-accuracy": Plant(
        what="As above, 80 documents; accuracy rises evenly over the five sizes to .85, paired by document. The "
        "knob is the gain from the smallest to all.",
        draw=more_data, outside=(-0.04, 0.0), border=0.01, inside=(0.05, 0.12),
    ),
    "longer-context-higher-accuracy": Plant(
        what="As above, 80 documents. The knob is the gain from 5 tokens to the run's own context, at equal numbers of "
        "training vectors.",
        draw=longer_context, outside=(-0.04, 0.0), border=0.01, inside=(0.03, 0.08),
    ),
    "larger-model-lower-accuracy": Plant(
        what="As above, 80 documents under three models; the largest falls clearly (.6), and the knob is what the "
        "second is below the first (.85).",
        draw=larger_model, outside=(-0.05, -0.02), border=0.0, inside=(0.02, 0.06),
    ),
    "norm-is-a-feature": Plant(
        what="As above, 80 documents; .85 on vectors as they are. The knob is what unit vectors lose.",
        draw=norm_matters, outside=(-0.06, -0.01), border=0.01, inside=(0.03, 0.08),
    ),
    "norm-is-not-the-only-feature": Plant(
        what="As above, 60 documents; .9 on vectors as they are, .85 on unit vectors. The knob is what the norm "
        "alone loses.",
        draw=not_only_norm, outside=(-0.01, 0.03), border=0.05, inside=(0.08, 0.2), part=1,
    ),
    "random-vectors-fail": Plant(
        what="As above, 60 documents. The knob is accuracy on random vectors; a probe that is trained on them is at "
        "chance.",
        draw=random_vectors, outside=(0.45, 0.32), border=LOW, inside=(0.24, 0.15),
    ),
    "layer-norms-grow-exponentially": Plant(
        what="Norm sums of 80 documents and twelve layers, log-normal (.05 shared by a document's layers, .05 by "
        "layer), around means whose logarithm goes from that of a cubic law (knob 0) to that of an exponential (2); "
        "at 1 the exponential errs like the best other law.",
        draw=growth, outside=(0.0, 0.9), border=1.0, inside=(1.1, 2.0), part=1, plants=1000,
    ),
    "last-layer-norm-dominates": Plant(
        what="Norm sums of 60 documents, log-normal (.3 shared by a document's states, .3 by state), that rise by a "
        "tenth a state up to the last but one; the final-normed state's are three times the last one's. The knob "
        "is the ratio of the last one's, before the final norm.",
        draw=last_norm, outside=(1.0, 1.42), border=1.5, inside=(1.6, 2.4),
    ),
    "pca-shows-drift": Plant(
        what="States of 60 documents x 5 positions x 6 dimensions: a path of ten centroids, standard normal tokens "
        "around them with a mean of the document's own (.3) that its states share and one that they do not "
        "(.3). The knob mixes a straight path (1) with random points (0).",
        draw=drift, outside=(0.3, 0.6), border=0.64, inside=(0.7, 0.9), truth="large",
    ),
    "normalising-tightens-drift": Plant(
        what="States as above, 300 documents, six layers; every other one is shorter by exp(-knob), so that norms "
        "make steps of their own before the last one, which is 1.5 times as long.",
        draw=tightening, outside=(5.0, 1.6), border=1.15, inside=(0.8, 0.2), truth="large",
    ),
    "pca-orders-layers-better": Plant(
        what="Paths of ten centroids as PCA, t-SNE and UMAP give them of five samples: each reducer mixes a straight "
        "path with the same random points, and errs by itself in each sample (.4). PCA mixes .4 of the way, UMAP .9; "
        "the knob is how much further than PCA t-SNE goes, so that at 0 both are alike.",
        draw=ordered, outside=(-0.4, -0.1), border=0.0, inside=(0.15, 0.5),
    ),
    "layer-zero-closes-a-ring": Plant(
        what="States as for the drift; twelve centroids on an arc of so many degrees as the knob says. What the path "
        "encloses is most of the disc.",
        draw=ring, outside=(250.0, 290.0), border=300.2, inside=(310.0, 340.0), truth="large",
    ),
    "no-dimension-dominates": Plant(
        what="States of 300 documents x 6 positions x 48 dimensions of six layers: standard normal tokens, with a "
        "mean of the document's own (.3), around centroids that differ by +-.4 in each dimension, three "
        "layers either way; in one dimension by so many times more as the knob says, in all layers. Probes "
        "are fitted.",
        draw=dominating, outside=(4.0, 2.5), border=2.0, inside=(1.5, 1.0), fitted=True, truth="large",
    ),
    "contribution-is-distributed": Plant(
        what="As above, 32 dimensions; what they tell falls off geometrically, by exp(-1 / knob) from one to the "
        "next, at one distance between the layers.",
        draw=distributed, outside=(2.0, 5.0), border=8.25, inside=(12.0, 30.0), fitted=True, truth="large",
    ),
    "few-dimensions-recur": Plant(
        what="Weights of five folds' probes, 121 dimensions and 12 layers, drawn: ten dimensions of its own stand "
        "out in each layer, and one passes their tenth place in one layer after the other, in so many of them "
        "as the knob says; each fold's documents err by themselves. With probes of shuffled labels it does in 5 of 12.",
        draw=recurring, outside=(0.0833, 0.25), border=0.4167, inside=(0.5833, 1.0),
    ),
    "masking-recurring-dimensions-is-negligible": Plant(
        what="Right answers of 200 documents x 5 layers x 30 vectors, as above; .95 unmasked. The knob is what the "
        "mask costs.",
        draw=masking, outside=(0.05, 0.02), border=0.01, inside=(0.005, 0.0), plants=MANY,
    ),
    "attribution-sign-flips-with-depth": Plant(
        what="As above, 100 documents, 32 dimensions; in the layers of the first third 12 dimensions lie above the "
        "mean and 12 below, those below exp(knob) times as far; in the last third the other way round. At 0 "
        "both are alike, whatever the number of documents.",
        draw=flipping, outside=(-1.0, -0.3), border=0.0, inside=(0.3, 1.0), fitted=True, truth="large",
    ),
    "accuracy-drops-on-another-corpus": Plant(
        what="Right answers of 100 documents of either corpus, .93 on the main one. The knob is the drop.",
        draw=corpora_differ, outside=(-0.05, -0.01), border=0.02, inside=(0.06, 0.15),
    ),
    "transfer-beats-chance": Plant(
        what="Right answers of 60 documents of the transfer corpus. The knob is accuracy.",
        draw=transfer, outside=(0.25, 0.36), border=FAR, inside=(0.44, 0.6),
    ),
    "mixed-training-restores-accuracy": Plant(
        what="Right answers of 100 documents of either corpus, .9 for each one's own probe and for the mixed one "
        "on the main corpus. The knob is what mixing loses on the transfer corpus.",
        draw=mixed, outside=(0.12, 0.05), border=0.03, inside=(0.015, -0.02), part=1,
    ),
    "punctuation-explains-the-drop": Plant(
        what="Right answers of 100 documents of either corpus; a drop from .9 to .7 with punctuation. The knob is "
        "how much more than half of it goes away without.",
        draw=punctuation, outside=(-0.1, -0.04), border=0.0, inside=(0.04, 0.09),
    ),
    "accuracy-stable-across-runs": Plant(
        what="Right answers in five folds, .7 of all, beta-binomial. The knob is the standard deviation of a fold's "
        "accuracy, brought about by the number of its documents: 248 at the border.",
        draw=stable, outside=(0.04, 0.014), border=0.01, inside=(0.006, 0.002), plants=MANY,
    ),
    "top-dimensions-recur-across-runs": Plant(
        what="States of 100 documents x 4 positions x 64 dimensions, of which some differ more between the six "
        "layers, by up to exp(2 x knob); a probe of each fold's 20 documents. Truth is the mean overlap of "
        "runs of that size.",
        draw=recurring_runs, outside=(0.0, 0.25), border=0.51, inside=(1.0, 4.5), fitted=True, truth="mean",
    ),
    "layers-occupy-different-subspaces": Plant(
        what="States of 60 documents x 6 positions x 22 dimensions, ten of them strong, .15 of noise on all; the "
        "strong ones turn by so many degrees from layer to layer as the knob says, into ten others.",
        draw=turning, outside=(4.0, 11.0), border=13.05, inside=(15.5, 25.0), truth="large",
    ),
    "each-layer-uses-a-subspace": Plant(
        what="States of 60 documents x 5 positions x 16 dimensions, normal with variances that fall off by exp(-1 "
        "/ knob); of four layers one is the most even.",
        draw=ranks, outside=(4.0, 2.8), border=2.555, inside=(2.3, 1.5), truth="large",
    ),
    "layers-differ-beyond-their-means": Plant(
        what="States of 60 documents x 6 positions x 8 dimensions of four layers at one place, whose dimensions vary "
        "by up to exp(+-knob), in another order in each layer. Truth is the mean accuracy of classifiers of 48 "
        "documents.",
        draw=shapes_of_layers, outside=(0.0, 0.22), border=0.3145, inside=(0.42, 0.8), truth="mean",
    ),
    "early-norms-overlap": Plant(
        what="Norms of 60 documents x 6 positions, nine states, log-normal (.2 shared by a document, .22 by vector). "
        "Each state's norms are larger than the last one's by exp(.3 x knob).",
        draw=early_norms, outside=(4.0, 2.4), border=1.957, inside=(1.6, 0.5), truth="large",
    ),
    "unembedding-fits-the-last-layer-only": Plant(
        what="Whether nine states name the output's token, at one position of each of 120 documents, beta-binomial "
        "with correlation .1; clearly rising. The knob is the mean agreement.",
        draw=lens_agrees, outside=(0.7, 0.56), border=0.5, inside=(0.44, 0.3),
    ),
    "unseen-tokens-are-classified": Plant(
        what="Right answers of 60 documents, as above; .9 on seen tokens. The knob is accuracy on unseen ones.",
        draw=unseen, outside=(0.25, 0.36), border=FAR, inside=(0.44, 0.6),
    ),
    "layer-means-suffice": Plant(
        what="Right answers of 60 documents, as above; .9 of the layer probe. The knob is how far LDA is above "
        "chance, over how far the probe is.",
        draw=skill_of_means, outside=(0.5, 0.74), border=0.8, inside=(0.86, 1.0),
    ),
    "new-tokens-explain-the-drop": Plant(
        what="Right answers of 100 documents of either corpus; a drop from .9 to .7. The knob is how much more than "
        "half of it is absent on known tokens.",
        draw=known_tokens, outside=(-0.1, -0.04), border=0.0, inside=(0.04, 0.09),
    ),
    "a-tenth-of-the-dimensions-suffices": Plant(
        what="As for the layer means; the knob is that of the probes of a tenth of the dimensions.",
        draw=skill_of_a_tenth, outside=(0.5, 0.74), border=0.8, inside=(0.86, 1.0),
    ),
}  # fmt: skip

# of rows whose second condition has been planted as well: the knob turns that one, and the first holds clearly
SECOND = {
    "unembedding-fits-the-last-layer-only": Plant(
        what="As for the first condition; agreement is .25 on average. The knob is Page's trend over the states: the "
        "mean rank correlation of agreement and state.",
        draw=lens_rises, outside=(-0.2, -0.07), border=0.0, inside=(0.07, 0.2), part=1,
    ),
    "random-vectors-fail": Plant(
        what="As for the first condition, 60 documents. The knob is accuracy of a probe that was trained on random "
        "vectors; that of the states is at chance on them.",
        draw=trained_on_random, outside=(0.6, 0.45), border=FAR, inside=(0.35, 0.25), part=1,
    ),
    "normalising-tightens-drift": Plant(
        what="States as for the first condition; the last one is three times as long as all others, so that unit "
        "vectors bring it nearer, but by its direction too it lies as many steps away as the knob says, before the "
        "unit sphere shortens them.",
        draw=far, outside=(6.0, 3.7), border=3.38, inside=(3.1, 1.5), truth="large", part=1,
    ),
    "layer-zero-closes-a-ring": Plant(
        what="States as for the drift, with a mean of the document's own of 1 that its states do not share; twelve "
        "centroids on an ellipse, whose axes are 1 and as much as the knob says, that ends near where it began. At "
        "0 the path goes there and back again.",
        draw=there_and_back, outside=(0.0, 0.19), border=0.2036, inside=(0.217, 0.5), truth="large", part=1,
    ),
}  # fmt: skip


def plant_of(row, *, second=False):
    """The plant of a row, or that of its second condition."""
    return (SECOND if second else PLANTS)[row]
