"""Null models: what data without structure do under each row's rule. `make nulls` or `python -m tests.claims.nulls`.

A row that structureless data pass says little about trained layers, whatever its verdict. A null model takes of the
embedded model nothing but how far its layers lie from one another and from the origin, and how far vectors lie from
their layer's mean. How many draws pass a row's rule goes to harness/verdicts/nulls.json after each null model;
docs/nulls.md is written from there.
"""

import argparse
import json
import time
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from math import isfinite
from multiprocessing import get_context

import numpy as np
from layerclaims.experiments.study import Study
from layerclaims.protocol import DISPLAYED, Protocol
from layerclaims.verdicts.declaration import declared
from layerclaims.verdicts.nulls import FILE
from layerclaims.verdicts.registry import post_claims
from layerclaims.verdicts.verdict import Verdict, decide

from tests.claims.calibrate import DOCS, quiet
from tests.claims.synthetic import InMemory

STATES = 11  # of the embedded model's 31, every third
DOCUMENTS, POSITIONS = 60, 6  # of each corpus; the first position is left out by the rules
AT_ONCE = 5  # draws between two writes of the file
TEXTS, CONTEXT = 200, 30  # from which the embedded model is measured, in texts and tokens


@dataclass(frozen=True, kw_only=True)
class Size:
    """Rows that are judged on the same draws."""

    rows: tuple[str, ...]
    dimensions: int
    draws: int  # of each null model


SIZES = (
    Size(
        rows=(
            "pca-shows-drift", "normalising-tightens-drift", "layer-zero-closes-a-ring",
            "layer-norms-grow-exponentially", "last-layer-norm-dominates", "early-norms-overlap",
            "layers-occupy-different-subspaces", "each-layer-uses-a-subspace",
        ),
        dimensions=64,
        draws=50,
    ),
    # probes are fitted
    Size(
        rows=(
            "layers-linearly-separable", "every-layer-recognised", "decision-tree-separates",
            "more-data-higher-accuracy", "longer-context-higher-accuracy", "norm-is-a-feature",
            "norm-is-not-the-only-feature", "random-vectors-fail", "accuracy-stable-across-runs",
            "layers-differ-beyond-their-means", "layer-means-suffice", "a-tenth-of-the-dimensions-suffices",
            "accuracy-drops-on-another-corpus", "transfer-beats-chance", "mixed-training-restores-accuracy",
        ),
        dimensions=64,
        draws=20,
    ),
    # among few dimensions the largest share is large by chance
    Size(
        rows=(
            "no-dimension-dominates", "contribution-is-distributed", "few-dimensions-recur",
            "attribution-sign-flips-with-depth", "masking-recurring-dimensions-is-negligible",
            "top-dimensions-recur-across-runs",
        ),
        dimensions=160,
        draws=20,
    ),
)  # fmt: skip
ROWS = {row: size for size in SIZES for row in size.rows}
NOT_DRAWN = {
    "larger-model-lower-accuracy": "It compares models.",
    "pca-orders-layers-better": "t-SNE and UMAP take too long for many draws.",
    "punctuation-explains-the-drop": "It needs texts.",
    "unseen-tokens-are-classified": "It needs words.",
    "new-tokens-explain-the-drop": "It needs words.",
    "unembedding-fits-the-last-layer-only": "It needs the model's own unembedding.",
}


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What null models have of the embedded model; position 0 is left out."""

    means: (
        np.ndarray
    )  # [STATES, STATES], turned so that as many dimensions keep all distances, from the origin too
    spreads: np.ndarray  # [STATES], root mean square distances of vectors from their layer's mean


def profile_of(states):
    """The profile of states [documents, positions, d], one a layer."""
    states = [np.asarray(x, dtype=np.float64)[:, 1:] for x in states]
    means = np.array([x.mean((0, 1)) for x in states])
    spreads = [np.sqrt(((x - mean) ** 2).sum(-1).mean()) for x, mean in zip(states, means, strict=True)]
    values, vectors = np.linalg.eigh(means @ means.T)
    return Profile(means=vectors * np.sqrt(np.maximum(values, 0)), spreads=np.array(spreads))


def measured():
    """The embedded model's profile, as the file has it."""
    store = Study(Protocol(n_texts=TEXTS, context=CONTEXT)).store("main")
    chosen = np.linspace(0, store.n_blocks, STATES).round().astype(int)
    found = profile_of(store.state(int(i)) for i in chosen)
    return {
        "model": DISPLAYED["embedded"],
        "states": chosen.tolist(),
        "means": found.means.round(4).tolist(),
        "spreads": found.spreads.round(4).tolist(),
    }


def profile(kept):
    """The profile as it is read from the file."""
    return Profile(means=np.array(kept["means"]), spreads=np.array(kept["spreads"]))


# --- the null models: vectors [STATES, documents, positions, d]


def random_walk(rng, like, d):
    """From layer to layer a step as long as the model's, in a direction of its own; each layer has its own spread."""
    lengths = np.linalg.norm(np.diff(like.means, axis=0, prepend=0), axis=1)
    return around(rng, np.cumsum(lengths[:, None] * directions(rng, d), axis=0), like.spreads)


def random_points(rng, like, d):
    """Each layer as far from the origin as the model's, in a direction of its own; each layer has its own spread."""
    return around(rng, np.linalg.norm(like.means, axis=1)[:, None] * directions(rng, d), like.spreads)


def means_only(rng, like, d):
    """The model's own means, turned at random; nothing else tells layers apart, since all have one spread."""
    turn = np.linalg.qr(rng.normal(size=(d, STATES)))[0].T
    return around(rng, like.means @ turn, np.full(STATES, np.sqrt(np.mean(like.spreads**2))))


def shuffled_labels(rng, like, d):
    """The same, but the layers of each token change places at random."""
    x = means_only(rng, like, d)
    return np.take_along_axis(x, np.argsort(rng.random(x.shape[:-1]), axis=0)[..., None], axis=0)


NULLS = {
    "random walk": random_walk,
    "random points": random_points,
    "means only": means_only,
    "shuffled labels": shuffled_labels,
}


def directions(rng, d):
    """A direction a layer, [STATES, d]."""
    x = rng.normal(size=(STATES, d))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def around(rng, centres, spreads):
    """Independent vectors around each layer's centre, alike in all directions.

    Of twice as many documents as a corpus has: the second half is the transfer corpus.
    """
    d = centres.shape[1]
    noise = rng.normal(size=(len(centres), 2 * DOCUMENTS, POSITIONS, d)) / np.sqrt(d)
    return centres[:, None, None] + spreads[:, None, None, None] * noise


# --- what they do under the rules


def drawn(null, seed, like, d):
    """A study of one draw."""
    rng = np.random.default_rng([seed, list(NULLS).index(null), 61])
    x = NULLS[null](rng, like, d)
    x = np.concatenate([x, x[-1:] / np.linalg.norm(x[-1:], axis=-1, keepdims=True)])  # after the final norm
    return InMemory(x[:, :DOCUMENTS], x[:, DOCUMENTS:], seed=seed)


def judged(study, row):
    """Verdict and first estimate of a row's rule, without what is only shown beside it."""
    rule = declared(post_claims()[row].test, study=study)
    evidence = study.evidence(replace(rule, controls=(), figures=(), facts=()))
    return decide(evidence)[0], evidence.parts[0].finding.estimate.value


def one_draw(rows, null, like, d, seed):
    """Row -> (verdict, estimate, seconds); what two rows need is paid for by the first."""
    study, found = drawn(null, seed, like, d), {}
    for row in rows:
        start = time.monotonic()
        found[row] = (*judged(study, row), time.monotonic() - start)
    return found


def counted(draws, row, before=None):
    """What is kept of a row under one null model: these draws, and those `before`."""
    verdict, estimate, _ = draws[0][row]
    verdicts = Counter(found[row][0] for found in draws)
    found = {
        "draws": len(draws),
        "replicated": verdicts[Verdict.REPLICATED],
        "not_replicated": verdicts[Verdict.NOT_REPLICATED],
    }
    if before is not None:
        return {**{name: before[name] + n for name, n in found.items()}, "first": before["first"]}
    return {**found, "first": [str(verdict), round(estimate, 6) if isfinite(estimate) else None]}


def read():
    return json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {"rows": {}}


def write(kept):
    rows = {row: kept["rows"][row] for row in ROWS if row in kept["rows"]}
    rows = {row: {null: found[null] for null in NULLS if null in found} for row, found in rows.items()}
    kept = {"profile": kept["profile"], "rows": rows}
    FILE.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    (DOCS / "nulls.md").write_text(page(kept), encoding="utf-8")


def page(kept):
    """docs/nulls.md."""
    like, first = kept["profile"], SIZES[0]
    lines = [
        "# What structureless data do under the rules",
        "",
        "Written by `make nulls`; do not edit. A row that data without structure pass says little about trained",
        "layers, whatever its verdict on a model. Each null model is drawn many times and judged by the row's own",
        "rule, under the rigorous protocol; below is the share of draws that come out REPLICATED. The same numbers",
        "stand beside each verdict in the report, with a sentence where a null model passes most of its draws.",
        "",
        f"A draw has {STATES} layers, {DOCUMENTS} documents of each corpus and {POSITIONS - 1} vectors of each that",
        f"count, all independent and alike in all directions. Of {like['model']} it has the layers' distances and",
        f"the spread of vectors around their layer's mean, at the states {', '.join(map(str, like['states']))}",
        f"({TEXTS} texts of {CONTEXT} tokens). As a transfer corpus it has more of the same.",
        f"Vectors have {first.dimensions} dimensions, those of the attribution rows {SIZES[-1].dimensions}.",
        "",
    ]
    lines += [f"- **{null}**: {inline(draw.__doc__)}" for null, draw in NULLS.items()]
    lines += [
        "",
        f"| claim | draws | {' | '.join(NULLS)} |",
        f"| --- | --- |{' --- |' * len(NULLS)}",
    ]
    for row, found in kept["rows"].items():
        shares = [f"{100 * one['replicated'] / one['draws']:.0f} %" for one in found.values()]
        draws = min(one["draws"] for one in found.values())
        lines.append(f"| {row} | {draws} | {' | '.join(shares)} |")
    lines += ["", "No null model is drawn of these rows:", ""]
    lines += [f"- {row}: {why}" for row, why in NOT_DRAWN.items()]
    return "\n".join(lines) + "\n"


def inline(text):
    return " ".join(text.split())


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="make nulls", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", choices=ROWS, metavar="ID", help="only these (default: all)")
    parser.add_argument("--missing", action="store_true", help="only what the table lacks: go on with a run")
    parser.add_argument("--measure", action="store_true", help="measure the embedded model anew")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    kept = read()
    if options.measure or "profile" not in kept:
        kept["profile"] = measured()
    like, seconds = profile(kept["profile"]), defaultdict(float)
    with ProcessPoolExecutor(options.processes, get_context("spawn"), quiet) as pool:
        for start, size, null in product(range(0, max(size.draws for size in SIZES), AT_ONCE), SIZES, NULLS):
            kept["rows"] = read()["rows"]  # anew: another run may be at work on other rows
            cells = {row: kept["rows"].setdefault(row, {}) for row in size.rows}
            done = {
                row: cell[null]["draws"] if options.missing and null in cell else 0
                for row, cell in cells.items()
            }
            rows = [
                row for row in size.rows
                if row in (options.rows or ROWS) and done[row] <= start < size.draws
            ]  # fmt: skip
            if not rows:
                continue
            seeds = range(start, min(start + AT_ONCE, size.draws))
            draws = list(pool.map(partial(one_draw, rows, null, like, size.dimensions), seeds))
            kept["rows"] = read()["rows"]
            for row in rows:
                cell = kept["rows"].setdefault(row, {})
                cell[null] = counted(draws, row, cell[null] if start else None)
                seconds[row] += sum(found[row][2] for found in draws)
            write(kept)
            print(
                f"{null}, draws {start + 1} to {start + len(draws)} of {len(rows)} rows from {rows[0]} on",
                flush=True,
            )
    for row, spent in seconds.items():
        print(f"{row}: {spent:.0f} s", flush=True)


if __name__ == "__main__":
    main()
