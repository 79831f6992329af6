"""The content of results files as runs write it, without a model: the numbers are plausible, not measured."""

# ruff: noqa: E501  the table of claims is easier to check with one claim a line

import math
import random
from typing import Any

from layerclaims.results.checking import checked
from layerclaims.results.compare import against
from layerclaims.results.file import plain
from layerclaims.results.records import SCHEMA_VERSION

# id, section, statement, reported, reported value, [(part, relation, threshold, estimate, half width)], rule
ROWS: list[tuple[str, str, str, str | None, float | None, list[tuple[str, str, Any, float, float]], str]] = [
    (
        "layers-linearly-separable",
        "separability",
        "a linear classifier tells a vector's layer far above guessing",
        "gpt2 .92; gpt2-medium .8322; gpt2-xl about .60 (chance about .02)",
        0.8322,
        [("accuracy", ">", 0.2742, 0.9312, 0.0061), ("shuffled labels", "contains", 0.0323, 0.0331, 0.004)],
        "accuracy > quarter(.25) = .274, and the shuffled-label control's interval contains chance",
    ),
    (
        "every-layer-recognised",
        "separability",
        "embeddings of different layers belong to different subspaces, read per layer",
        None,
        None,
        [("lowest recall", ">", 0.129, 0.8411, 0.021)],
        "the lowest per-layer recall > quarter(.10) = .129",
    ),
    (
        "decision-tree-separates",
        "separability",
        "use other interpretable models such as decision tree",
        None,
        None,
        [("tree accuracy", ">", 0.2742, 0.3412, 0.012)],
        "tree accuracy > quarter(.25) = .274",
    ),
    (
        "more-data-higher-accuracy",
        "separability",
        "the more data points used for training, the higher the accuracy",
        "Fig. 6",
        None,
        [("acc(1) − acc(1/16)", ">", 0.01, 0.114, 0.009)],
        "Page trend over 1/16 ... 1 of the training documents has p < alpha, and acc(1) - acc(1/16) > .01",
    ),
    (
        "longer-context-higher-accuracy",
        "separability",
        "as the context window increases, the accuracy also improves",
        "Fig. 7",
        None,
        [("acc(30) − acc(5)", ">", 0.01, -0.0082, 0.006)],
        "acc(longest) - acc(5 tokens) > .01",
    ),
    (
        "larger-model-lower-accuracy",
        "separability",
        "the larger the model, the worse the classifier",
        "gpt2 .92 > medium .83 > xl .60",
        None,
        [],
        "accuracy falls between each pair of neighbours in parameter count",
    ),
    (
        "norm-is-a-feature",
        "norm",
        "unit-normalising lowers accuracy",
        ".83 -> .64",
        0.19,
        [("acc(raw) − acc(unit)", ">", 0.01, 0.0012, 0.0018)],
        "acc(raw) - acc(unit) > .01",
    ),
    (
        "norm-is-not-the-only-feature",
        "norm",
        "accuracy stays far above guessing after unit-normalising",
        ".64",
        0.64,
        [("acc(unit)", ">", 0.2742, 0.93, 0.006), ("acc(raw) − acc(norm only)", ">", 0.05, 0.561, 0.012)],
        "acc(unit) > quarter(.25) = .274, and acc(raw) - acc(norm only) > .05",
    ),
    (
        "random-vectors-fail",
        "norm",
        "random vectors drawn to each layer's norm distribution are not classified",
        "Fig. 10",
        None,
        [("acc(random)", "<", 0.129, 0.059, 0.003)],
        "accuracy on random directions < quarter(.10)",
    ),
    (
        "layer-norms-grow-exponentially",
        "norm",
        "norms grow exponentially with depth",
        "Fig. 2; x1.045 a layer",
        0.044,
        [("growth rate", ">", 0.0, 0.0771, 0.0012), ("log-linear beats linear", ">", 0.95, 1.0, 0.0)],
        "growth rate > 0, and log-linear beats linear in 95 % of document resamples",
    ),
    (
        "last-layer-norm-dominates",
        "norm",
        "the last layer's norms are much larger than the others'",
        "Fig. 2",
        None,
        [("norm ratio", ">", 1.5, 0.0612, 0.0007)],
        "mean norm of the final-normed state / that of state L-1 > 1.5",
    ),
    (
        "pca-shows-drift",
        "geometry",
        "in PCA the layers drift in order",
        "Fig. 3",
        None,
        [("drift correlation", ">", 0.5, 0.611, 0.034)],
        "Spearman correlation of |i-j| with centroid distance > .5",
    ),
    (
        "normalising-tightens-drift",
        "geometry",
        "after normalisation the last layer is no longer far away",
        "Fig. 2 vs 3",
        None,
        [("last step, raw − unit", ">", 0.0, -0.42, 0.61)],
        "(last step / median step) raw > unit",
    ),
    (
        "pca-orders-layers-better",
        "geometry",
        "PCA shows the ideal, t-SNE is cluttered, UMAP inadequate",
        "text",
        None,
        [],
        "the drift correlation of PCA exceeds that of t-SNE and of UMAP",
    ),
    (
        "layer-zero-closes-a-ring",
        "geometry",
        "with layer 0 included, the path closes to a ring",
        "Fig. 4",
        None,
        [("closing distance", "<", 0.5, 0.871, 0.02)],
        "distance(0, final) / largest centroid distance < .5",
    ),
    (
        "no-dimension-dominates",
        "attribution",
        "the largest contribution of one dimension is about 1 %",
        "~.01",
        0.01,
        [("largest share", "<", 0.05, 0.0362, 0.0031)],
        "max share over dimensions and layers < .05",
    ),
    (
        "contribution-is-distributed",
        "attribution",
        "almost all dimensions take part",
        "Fig. 8",
        None,
        [("smallest n90/d", ">", 0.5, 0.59, 0.011), ("variation of n50", "<", 0.25, 0.061, 0.013)],
        "n90/d > .5 in every layer, and the coefficient of variation of n50 over layers < .25",
    ),
    (
        "few-dimensions-recur",
        "attribution",
        "dimensions 591, 690, 581, 239 are often among the top",
        "those four",
        None,
        [("most frequent", ">", 4.0, 17.0, 2.4)],
        "the most frequent dimension exceeds the 95 % quantile of chance",
    ),
    (
        "masking-recurring-dimensions-is-negligible",
        "attribution",
        "masking those four dimensions barely matters",
        ".8322 -> .8303",
        0.0019,
        [("accuracy lost", "inside", [-0.01, 0.01], 0.104, 0.006)],
        "equivalence: 90 % interval of acc - acc(masked) inside +-.01",
    ),
    (
        "attribution-sign-flips-with-depth",
        "attribution",
        "top contributions are negative in early layers, positive in late ones",
        "Fig. 8",
        None,
        [("negative, first third", ">", 0.5, 0.52, 0.06), ("negative, last third", "<", 0.5, 0.41, 0.05)],
        "first third > .5 and last third < .5",
    ),
    (
        "accuracy-drops-on-another-corpus",
        "transfer",
        "IMDB -> AG_NEWS without retraining loses accuracy",
        ".83 -> .66",
        0.17,
        [("acc(A on A) − acc(A on B)", ">", 0.02, 0.109, 0.011)],
        "acc(A on A) - acc(A on B) > .02",
    ),
    (
        "transfer-beats-chance",
        "transfer",
        "what remains is far above guessing",
        ".66",
        0.66,
        [("acc(A on B)", ">", 0.2742, 0.823, 0.009)],
        "acc(A on B) > quarter(.25) = .274",
    ),
    (
        "mixed-training-restores-accuracy",
        "transfer",
        "train on both, test on each",
        None,
        None,
        [("movies", "<", 0.03, 0.011, 0.005), ("news", "<", 0.03, 0.013, 0.006)],
        "in-domain - mixed accuracy < .03",
    ),
    (
        "punctuation-explains-the-drop",
        "transfer",
        "punctuation may cause the drop",
        None,
        None,
        [("share of the drop removed", ">", 0.5, 0.08, 0.05)],
        "removing punctuation cuts the drop by more than half",
    ),
    (
        "accuracy-stable-across-runs",
        "stability",
        "training is stable",
        "text",
        None,
        [("sd over resplits", "<", 0.01, 0.0021, 0.0017)],
        "upper 95 % bound of the standard deviation < .01",
    ),
    (
        "top-dimensions-recur-across-runs",
        "stability",
        "the same dimensions recur in repeated experiments",
        "those four",
        None,
        [("Jaccard overlap", ">", 0.3, 0.44, 0.17)],
        "mean pairwise Jaccard overlap > .3",
    ),
    (
        "layers-occupy-different-subspaces",
        "subspaces",
        "each layer has its own subspace",
        None,
        None,
        [("excess angle, degrees", ">", 5.0, -3.9, 1.2)],
        "angle(i, i+1) - angle(i, i) > 5 degrees on average",
    ),
    (
        "each-layer-uses-a-subspace",
        "subspaces",
        "each layer's representation uses only a subspace",
        None,
        None,
        [("largest effective rank / d", "<", 0.5, 0.171, 0.006)],
        "effective rank / d < .5 in every layer",
    ),
]
TEN = (
    "layers-linearly-separable", "every-layer-recognised", "norm-is-a-feature", "norm-is-not-the-only-feature",
    "random-vectors-fail", "layer-norms-grow-exponentially", "no-dimension-dominates",
    "masking-recurring-dimensions-is-negligible", "accuracy-drops-on-another-corpus", "transfer-beats-chance",
)  # fmt: skip
FIGURES_OF = {
    "layers-linearly-separable": ["accuracy-by-layer", "confusion"],
    "every-layer-recognised": ["accuracy-by-layer"],
    "layer-norms-grow-exponentially": ["norms-by-layer"],
    "pca-shows-drift": ["drift"],
    "layer-zero-closes-a-ring": ["embeddings"],
    "accuracy-drops-on-another-corpus": ["transfer"],
    "contribution-is-distributed": ["contribution"],
    "more-data-higher-accuracy": ["more-data"],
}
HOSTILE = (
    "<img src=file:///etc/passwd onerror=alert(1)>{{7*7}}{% raw %}|`$(id)`\x1b[31m\u202egpj.exe\u2066\u200b\x00\r\n"
    "# heading [link](javascript:alert(1)) </script></style>&amp; \ud800 \U000e0041 **bold** | cell"
)


def holds(relation: str, threshold: Any, low: float, high: float) -> bool | None:
    if relation == "inside":
        inside = threshold[0] < low and high < threshold[1]
        return True if inside else False if high < threshold[0] or low > threshold[1] else None
    if relation == "contains":
        return low <= threshold <= high
    if relation == ">":
        return True if low > threshold else False if high < threshold else None
    return True if high < threshold else False if low > threshold else None


def sample(
    *,
    ids: tuple[str, ...] = TEN,
    protocols: tuple[str, ...] = ("rigorous",),
    n_blocks: int = 30,
    n_texts: int = 200,
    model: str = "embedded",
    not_tested: bool = False,
) -> dict[str, Any]:
    """A run of `ids` under `protocols` on a model of `n_blocks` blocks."""
    random_ = random.Random(n_blocks)
    labels = n_blocks + 1
    documents, figures = {}, {}
    for protocol in protocols:
        shift = 0.0 if protocol == "rigorous" else -0.31
        for series, mean in (("raw", 0.931), ("unit", 0.93), ("transfer/raw", 0.823)):
            documents[f"{protocol}/{series}"] = {
                "corpus": "transfer" if "transfer" in series else "main",
                "documents": list(range(n_texts)),
                "correct": [
                    [min(30, max(0, round(random_.gauss((mean + shift) * 30, 1.5)))) for _ in range(labels)]
                    for _ in range(n_texts)
                ],
                "total": [[30] * labels for _ in range(n_texts)],
            }
        figures |= figures_of(protocol, labels, shift, random_)
    claims = [
        claim(row, protocol, n_texts, labels, not_tested, protocols)
        for row in ROWS
        if row[0] in ids
        for protocol in protocols
    ]
    used = {figure for entry in claims for figure in entry["figures"]}
    return {
        "schema_version": SCHEMA_VERSION,
        "created": "2026-11-24T02:00:00Z",
        "harness": {"version": "0.1.0", "git_commit": "5dc5c5f0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f6"},
        "protocol": {
            "name": "both" if len(protocols) == 2 else protocols[0],
            "profile": "quick", "n_texts": n_texts, "context": 30, "folds": 5, "seed": 0, "alpha": 0.05,
            "dtype": "float32", "hash": "9f3c1a7be2d40586",
            "options": [
                {"name": "model", "value": model, "source": "default"},
                {"name": "corpus", "value": "embedded:movies", "source": "default of the embedded model"},
                {"name": "transfer_corpus", "value": "embedded:news", "source": "default of the embedded model"},
                {"name": "profile", "value": "quick", "source": "command line"},
                {"name": "n_texts", "value": n_texts, "source": "profile quick"},
                {"name": "context", "value": 30, "source": "default"},
                {"name": "folds", "value": 5, "source": "default"},
                {"name": "seed", "value": 0, "source": "default"},
                {"name": "alpha", "value": 0.05, "source": "default"},
                {"name": "dtype", "value": "float32", "source": "default"},
            ],
        },
        "model": {
            "name": "SmolLM2-135M-Instruct" if model == "embedded" else model, "revision": "0.1.2", "architecture": "LlamaForCausalLM", "n_blocks": n_blocks,
            "hidden_size": 576, "n_parameters": 134515008, "dtype": "float32", "tied_embeddings": True,
            "weights_sha256": "3c" * 32,
        },
        "corpora": [
            {"role": "main", "name": "embedded:movies", "revision": "0.2.2", "n_texts": n_texts,
             "n_available": 5249, "skipped": 41, "ids_sha256": "a1" * 32},
            {"role": "transfer", "name": "embedded:news", "revision": "0.12.0", "n_texts": n_texts,
             "n_available": 3771, "skipped": 3, "ids_sha256": "b2" * 32},
        ],
        "environment": {
            "python": "3.11.7", "platform": "Linux-6.1-x86_64-with-glibc2.36", "cpu": "x86_64", "threads": 2,
            "packages": {"torch": "2.13.0+cpu", "transformers": "5.23.0", "numpy": "2.4.0", "scipy": "1.17.0"},
        },
        "claims": claims,
        "documents": documents,
        "figures": {name: figure for name, figure in figures.items() if name in used},
        "pictures": [pictures(protocol, n_blocks) for protocol in protocols],
    }  # fmt: skip


TITLES = (
    "PCA, vectors as they are", "PCA, unit vectors", "PCA, unit vectors with state 0",
    "t-SNE, unit vectors with state 0", "UMAP, unit vectors with state 0",
)  # fmt: skip


def pictures(protocol: str, n_blocks: int, *, tokens: int = 6, reduced_tokens: int = 4) -> dict[str, Any]:
    """Pictures of states along a bow, each around its own place."""
    random_, made = random.Random(n_blocks), []
    for title in TITLES:
        method = title.partition(",")[0]
        states = list(range(0 if "state 0" in title else 1, n_blocks + 1))
        n = tokens if method == "PCA" else reduced_tokens
        places = [(900 * i / n_blocks + 50, 200 + 3000 * (i / n_blocks) * (1 - i / n_blocks)) for i in states]
        x, y = (
            [[min(999, max(0, round(random_.gauss(middle, 60)))) for _ in range(n)] for middle in axis]
            for axis in zip(*places, strict=True)
        )
        axes = [
            {"share": 0.431, "low": -120.5, "step": 0.75}, {"share": 0.0821, "low": -31.25, "step": 0.125},
        ] if method == "PCA" else []  # fmt: skip
        made.append({
            "title": title, "method": method, "n_documents": n - 1, "states": states, "x": x, "y": y, "axes": axes,
        })  # fmt: skip
    first = 0 if protocol == "as-published" else 1
    return {"protocol": protocol, "first_position": first, "pictures": made, "missing": {}}


def claim(
    row: tuple[Any, ...],
    protocol: str,
    n_texts: int,
    labels: int,
    not_tested: bool,
    protocols: tuple[str, ...],
) -> dict[str, Any]:
    name, section, statement, reported, reported_value, specified, rule = row
    as_published = protocol == "as-published"
    parts = []
    for title, relation, threshold, estimate, half in () if not_tested else specified:
        if as_published and title in ("accuracy", "acc(unit)", "acc(A on B)", "lowest recall"):
            estimate -= 0.66 if title == "accuracy" else 0.31
        if as_published and name == "norm-is-a-feature":
            estimate = -0.61
        low, high = estimate - half, estimate + 0.93 * half
        parts.append({
            "name": title, "estimand": f"{title} on documents that the probe never saw", "estimate": estimate,
            "interval": [low, high], "confidence": 0.9 if relation == "inside" else 0.95, "method": "BCa",
            "relation": relation, "threshold": threshold, "p_value": 0.0004,
            "holds": holds(relation, threshold, low, high),
            "recipe": {"statistic": "accuracy", "series": ["raw"]},
        })  # fmt: skip
    verdict, reason = "NOT_TESTED", "it needs a second model, and this run has one; pass --model twice"
    if parts:
        states = [part["holds"] for part in parts]
        if False in states:
            verdict, reason = (
                "NOT_REPLICATED",
                f"{parts[states.index(False)]['name']} lies outside the success region",
            )
        elif None in states:
            part = parts[states.index(None)]
            verdict = "INCONCLUSIVE"
            reason = (
                f"the interval of {part['name']} crosses the threshold; about 900 documents would decide it"
            )
        else:
            verdict, reason = "REPLICATED", "every part lies inside its success region"
    first: dict[str, Any] = parts[0] if parts else {}
    tested = bool(parts)
    return {
        "id": name, "section": section, "statement": statement, "source": "post, section 'Machine learning method'",
        "reported": reported, "reported_value": reported_value, "protocol": protocol,
        "estimand": first.get("estimand"), "estimate": first.get("estimate"), "interval": first.get("interval"),
        "confidence": first.get("confidence", 0.95),
        "criterion": {"text": rule, "threshold": first.get("threshold")}, "parts": parts,
        "p_value": 0.0004 if tested else None, "p_holm": 0.0112 if tested else None,
        "survives_holm": (name != "decision-tree-separates") if tested else None,
        "n_documents": n_texts if tested else None, "n_vectors": n_texts * 30 * labels if tested else None,
        "controls": [
            {"name": "shuffled labels", "estimate": 0.0331, "interval": [0.029, 0.037],
             "note": f"chance is {1 / labels:.4f}"},
            {"name": "four random dimensions", "estimate": 0.927, "interval": None, "note": None},
            {"name": "dimensions named", "estimate": None, "interval": None, "note": "126, 239, 339, 581"},
        ] if tested else [],
        "probe": {"converged": not as_published, "gradient_norm": 8.3e-07 if not as_published else 0.021,
                  "iterations": 84 if not as_published else 100, "relative_gap": 2.2e-07 if not as_published else None}
        if tested and section in ("separability", "norm", "transfer") else None,
        "calibration": {
            "false_replicated": 0.03, "false_replicated_interval": [0.01, 0.06], "false_not_replicated": 0.0,
            "false_not_replicated_interval": [0.0, 0.018], "plants": 200,
        } if tested and section != "stability" else None,
        "nulls": [
            {"name": null, "passed": passed, "draws": 50}
            for null, passed in (("random walk", 0.98 if section == "attribution" else 0.02), ("means only", 0.0))
        ] if tested and not as_published and section != "transfer" else [],
        "control_untrained": untrained(name, parts) if not as_published else None,
        "verdict": verdict, "reason": reason,
        "figures": [figure_id(figure, protocol) for figure in FIGURES_OF.get(name, [])] if tested else [],
        "seconds": 12.34 if tested else 0.0,
    }  # fmt: skip


def untrained(name: str, parts: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The first row of a few sections holds for the untrained twin too, the rest does not."""
    if not parts:
        return None
    if name == "transfer-beats-chance":
        return {"verdict": "NOT_TESTED", "estimate": None, "interval": None, "reason": "no probe converged"}
    same = name in ("layers-linearly-separable", "layer-norms-grow-exponentially", "no-dimension-dominates")
    estimate = parts[0]["estimate"] * (0.97 if same else 0.1)
    return {
        "verdict": "REPLICATED" if same else "NOT_REPLICATED", "estimate": estimate,
        "interval": [estimate - 0.01, estimate + 0.01], "reason": f"{parts[0]['name']} decides",
    }  # fmt: skip


def figure_id(name: str, protocol: str) -> str:
    return name if protocol == "rigorous" else f"{name}@{protocol}"


def figures_of(protocol: str, labels: int, shift: float, random_: random.Random) -> dict[str, Any]:
    states = list(range(labels))
    accuracy = [min(1.0, 0.93 + shift + 0.06 * math.sin(i / 3) * math.exp(-i / 20)) for i in states]
    norms = [150 * 1.08**i for i in states]
    spread = max(1.0, labels / 20)
    matrix = []
    for i in states:
        weights = [math.exp(-abs(i - j) * 2.4 / spread) + 0.001 * random_.random() for j in states]
        matrix.append([weight / sum(weights) for weight in weights])
    made = {
        "accuracy-by-layer": {
            "kind": "lines", "title": "Recall of each state", "protocol": protocol,
            "caption": "Share of a state's vectors that the probe assigns to it, on documents that it never saw; "
            "the band is the 95 % interval over documents.",
            "alt": f"Line of recall by state, from {accuracy[0]:.2f} at state 0 to {accuracy[-1]:.2f} at the last.",
            "x": {"label": "state", "values": states}, "y": {"label": "recall", "log": False},
            "series": [
                {"name": "raw", "values": accuracy, "low": [a - 0.02 for a in accuracy],
                 "high": [min(1, a + 0.02) for a in accuracy]},
                {"name": "unit norm", "values": [a - 0.015 for a in accuracy], "low": None, "high": None},
            ],
            "reference": [{"label": "chance", "value": 1 / labels}],
        },
        "confusion": {
            "kind": "matrix", "title": "Where the probe puts each state", "protocol": protocol,
            "caption": "Rows are the true state, columns the predicted one; each row sums to 1.",
            "alt": "Confusion matrix with nearly all mass on and beside the diagonal.",
            "x": {"label": "predicted state", "values": states}, "y": {"label": "true state", "values": states},
            "values": matrix, "unit": "share",
        },
        "norms-by-layer": {
            "kind": "lines", "title": "Norm of the residual stream", "protocol": protocol,
            "caption": "Mean Euclidean norm by state, position 0 left out, with the fitted exponential.",
            "alt": f"Norms rise from {norms[0]:.0f} to {norms[-1]:.0f}, straight on the logarithmic axis.",
            "x": {"label": "state", "values": states}, "y": {"label": "mean norm", "log": True},
            "series": [
                {"name": "mean norm", "values": [n * (1 + 0.06 * math.sin(i)) for i, n in enumerate(norms)],
                 "low": [n * 0.9 for n in norms], "high": [n * 1.1 for n in norms]},
                {"name": "fitted", "values": norms, "low": None, "high": None},
            ],
            "reference": [],
        },
        "drift": {
            "kind": "path", "title": "Centroids of the states in two principal components", "protocol": protocol,
            "caption": "Unit vectors; one point a state, joined in order.",
            "alt": "A curved path from state 0 to the last state.",
            "x": {"label": "first component"}, "y": {"label": "second component"},
            "series": [{"name": "unit vectors", "labels": states, "points": [
                [math.cos(i / labels * 3) + 0.03 * random_.random(), math.sin(i / labels * 3)] for i in states]}],
        },
        "embeddings": {
            "kind": "path", "title": "The same centroids in three embeddings", "protocol": protocol,
            "caption": "A panel each, on axes of its own.", "alt": "Three paths: an arc, a tangle, and two pieces.",
            "x": {"label": "first axis"}, "y": {"label": "second axis"},
            "series": [
                {"name": name, "labels": states, "points": [
                    [size * math.cos(i / labels * turns), size * math.sin(i / labels * 3) + i % odd] for i in states]}
                for name, size, turns, odd in (("PCA", 1.0, 3, 1), ("t-SNE", 40.0, 9, 30), ("UMAP", 8.0, 5, 7))],
        },
        "transfer": {
            "kind": "bars", "title": "Accuracy on each corpus", "protocol": protocol,
            "caption": "Trained on one corpus, tested on either.", "alt": "Four bars; the two off-domain ones are lower.",
            "x": {"label": "tested on", "values": ["embedded:movies", "embedded:news"]},
            "y": {"label": "accuracy", "log": False},
            "series": [
                {"name": "trained on movies", "values": [0.931 + shift, 0.823 + shift],
                 "low": [0.92 + shift, 0.81 + shift], "high": [0.94 + shift, 0.835 + shift]},
                {"name": "trained on news", "values": [0.82 + shift, 0.941 + shift],
                 "low": [0.81 + shift, 0.935 + shift], "high": [0.83 + shift, 0.95 + shift]},
            ],
            "reference": [{"label": "chance", "value": 1 / labels}],
        },
        "contribution": {
            "kind": "bars", "title": "Dimensions that carry half of the contribution", "protocol": protocol,
            "caption": "n50 by state as a share of all dimensions.", "alt": "Bars of about equal height.",
            "x": {"label": "state", "values": states}, "y": {"label": "n50 / d", "log": False},
            "series": [{"name": "n50 / d", "values": [0.19 + 0.01 * math.sin(i) for i in states], "low": None,
                        "high": None}],
            "reference": [],
        },
        "more-data": {
            "kind": "lines", "title": "Accuracy by training size", "protocol": protocol,
            "caption": "The same test documents throughout.", "alt": "Accuracy rises from .82 to .93.",
            "x": {"label": "training documents", "values": [10, 20, 40, 80, 160]},
            "y": {"label": "accuracy", "log": False},
            "series": [{"name": "accuracy", "values": [0.82, 0.87, 0.9, 0.92, 0.931],
                        "low": [0.8, 0.86, 0.89, 0.915, 0.925], "high": [0.84, 0.88, 0.91, 0.926, 0.936]}],
            "reference": [],
        },
    }  # fmt: skip
    return {figure_id(name, protocol): figure for name, figure in made.items()}


def ten() -> dict[str, Any]:
    return sample()


def everything() -> dict[str, Any]:
    """All 28 claims under both protocols."""
    return sample(ids=tuple(row[0] for row in ROWS), protocols=("rigorous", "as-published"))


# as published: the first part's estimate and half width; None: the authors never ran it
PUBLISHED: dict[str, tuple[float, float] | None] = {
    "layers-linearly-separable": (0.8316, 0.006),
    "every-layer-recognised": None,
    "decision-tree-separates": None,
    "more-data-higher-accuracy": (0.271, 0.011),
    "longer-context-higher-accuracy": (0.064, 0.008),
    "norm-is-a-feature": (0.1274, 0.0061),
    "norm-is-not-the-only-feature": (0.7046, 0.007),
    "pca-shows-drift": (0.431, 0.037),
    "normalising-tightens-drift": (0.91, 0.22),
    "layer-zero-closes-a-ring": (0.31, 0.05),
    "no-dimension-dominates": (0.0281, 0.002),
    "few-dimensions-recur": (3.0, 2.4),
    "masking-recurring-dimensions-is-negligible": (-0.0011, 0.0016),
    "attribution-sign-flips-with-depth": (0.61, 0.04),
    "accuracy-stable-across-runs": (0.0093, 0.0042),
    "transfer-beats-chance": (0.6627, 0.01),
    "mixed-training-restores-accuracy": None,
    "punctuation-explains-the-drop": None,
    "layers-occupy-different-subspaces": None,
    "each-layer-uses-a-subspace": None,
}
# claim, quantity, half width, [(ingredient, choice, value, converged)], single changes
Steps = list[tuple[str, str, float, bool | None]]
WALKS: list[tuple[str, str, float, Steps, Steps]] = [
    (
        "layers-linearly-separable",
        "accuracy",
        0.006,
        [
            ("published", "the published procedure", 0.8316, False),
            ("features", "features standardised on the training part", 0.8392, False),
            ("solver", "probe solved to its tolerance", 0.9447, True),
            ("split", "split by document", 0.9318, True),
            ("rigorous", "the rigorous protocol", 0.9312, True),
        ],
        [],
    ),
    (
        "more-data-higher-accuracy",
        "accuracy gained by more data",
        0.01,
        [
            ("published", "the published procedure", 0.271, False),
            ("steps", "as many SGD steps with any number of texts", 0.0041, False),
            ("rigorous", "the rigorous protocol", 0.0038, True),
        ],
        [],
    ),
    (
        "longer-context-higher-accuracy",
        "accuracy gained by a longer context",
        0.008,
        [
            ("published", "the published procedure", 0.064, False),
            ("steps", "as many SGD steps with any context", -0.0071, False),
            ("rigorous", "the rigorous protocol", -0.0082, True),
        ],
        [],
    ),
    (
        "norm-is-a-feature",
        "accuracy lost by unit-normalising",
        0.006,
        [
            ("published", "the published procedure", 0.1274, False),
            ("split", "split by document", 0.1251, False),
            ("vectors", "divided by the norm, nothing standardised before", 0.1302, False),
            ("solver", "probe solved to its tolerance", 0.0008, True),
            ("rigorous", "the rigorous protocol", 0.0012, True),
        ],
        [
            ("solver", "probe solved to its tolerance", -0.0021, True),
            ("split", "split by document", 0.1251, False),
        ],
    ),
    (
        "masking-recurring-dimensions-is-negligible",
        "accuracy lost by masking",
        0.004,
        [
            ("published", "the published procedure", -0.0011, False),
            ("mask", "the recurring dimensions themselves", 0.3004, False),
            ("solver", "probe solved to its tolerance", 0.1062, True),
            ("rigorous", "the rigorous protocol", 0.104, True),
        ],
        [("mask", "the recurring dimensions themselves", 0.3004, False)],
    ),
]


def three_answers() -> dict[str, Any]:
    """All 28 claims under both protocols, with claims of every group and walks."""
    made = everything()
    rows = {row[0]: row for row in ROWS}
    for entry in made["claims"]:
        name = entry["id"]
        if entry["protocol"] == "rigorous":
            if name == "more-data-higher-accuracy":
                revalued(entry, 0.0038, 0.002)
            continue
        if entry["verdict"] != "NOT_TESTED" and PUBLISHED.get(name, ()) is None:
            bare = claim(rows[name], "as-published", 200, 31, True, ("rigorous", "as-published"))
            entry |= bare | {"reason": "Never published: the authors' code has no run of this"}
        elif name in PUBLISHED and entry["parts"]:
            revalued(entry, *(PUBLISHED[name] or (0.0, 0.0)))
            if entry["probe"]:
                entry["probe"] |= {"iterations": 185000, "relative_gap": 0.41}
    used = {figure for entry in made["claims"] for figure in entry["figures"]}
    made["figures"] = {name: figure for name, figure in made["figures"].items() if name in used}
    made["schema_version"] = 2
    made["walks"] = [
        walk(claim_id, quantity, half, steps, alone) for claim_id, quantity, half, steps, alone in WALKS
    ]
    return made


def revalued(entry: dict[str, Any], estimate: float, half: float) -> None:
    """Give a claim's first part another number, and the claim the verdict that follows."""
    part = entry["parts"][0]
    low, high = estimate - half, estimate + half
    part |= {"estimate": estimate, "interval": [low, high]}
    part["holds"] = holds(part["relation"], part["threshold"], low, high)
    outcomes = [one["holds"] for one in entry["parts"]]
    verdict = "NOT_REPLICATED" if False in outcomes else "INCONCLUSIVE" if None in outcomes else "REPLICATED"
    entry |= {
        "estimate": estimate,
        "interval": [low, high],
        "verdict": verdict,
        "reason": f"{part['name']} decides",
    }


def walk(
    claim_id: str, quantity: str, half: float, steps: Steps, alone: Steps | None = None
) -> dict[str, Any]:
    """A walk; without intervals where half the width is 0."""

    def step(ingredient: str, choice: str, value: float, converged: bool | None) -> dict[str, Any]:
        interval = [value - half, value + half] if half else None
        return {"ingredient": ingredient, "choice": choice, "value": value, "interval": interval,
                "converged": converged}  # fmt: skip

    return {
        "claim": claim_id, "quantity": quantity, "steps": [step(*one) for one in steps],
        "alone": [step(*one) for one in alone or []],
    }  # fmt: skip


def all_not_tested() -> dict[str, Any]:
    return sample(not_tested=True)


def single_claim() -> dict[str, Any]:
    """One claim, of a run that had neither error rates nor null models nor an untrained twin."""
    made = sample(ids=("norm-is-a-feature",))
    for entry in made["claims"]:
        del entry["calibration"], entry["control_untrained"], entry["nulls"]
    return made


def deep(n_blocks: int = 60) -> dict[str, Any]:
    return sample(ids=tuple(row[0] for row in ROWS), n_blocks=n_blocks)


def shallow() -> dict[str, Any]:
    """Four labels: a model of three blocks."""
    return sample(ids=tuple(row[0] for row in ROWS), n_blocks=3)


def hostile(name: str = HOSTILE, protocols: tuple[str, ...] = ("rigorous",)) -> dict[str, Any]:
    """Every text that a user, a hub or a corpus can name is hostile."""
    made = sample(model=name, protocols=protocols)
    if len(protocols) > 1:
        made["walks"] = [walk(one, name, 0.0, *steps) for one, _, _, *steps in WALKS]
        for step in [step for one in made["walks"] for step in one["steps"] + one["alone"]]:
            step["choice"] = name
    made["model"]["architecture"] = made["model"]["revision"] = name
    for corpus in made["corpora"]:
        corpus["name"] = corpus["revision"] = name
    for option in made["protocol"]["options"][:3]:
        option["value"] = option["source"] = name
    made["environment"]["platform"] = made["environment"]["cpu"] = name
    made["environment"]["packages"] = {name[:40]: name}
    made["harness"]["git_commit"] = name
    made["baseline"] = hostile_baseline(name, [entry["id"] for entry in made["claims"][:3]])
    for entry in made["claims"]:
        for key in ("section", "statement", "source", "reported", "estimand", "reason"):
            entry[key] = name
        entry["criterion"]["text"] = name
        if entry["control_untrained"]:
            entry["control_untrained"] |= {"estimate": None, "interval": None, "reason": name}
        for part in entry["parts"]:
            part["name"] = part["estimand"] = name
        for control in entry["controls"]:
            control["name"] = control["note"] = name
        for null in entry["nulls"]:
            null |= {"name": name, "passed": 1.0}
    for one in made["pictures"]:
        one["missing"] = {name: name}
        for picture in one["pictures"]:
            picture["title"] = name
    for figure in made["figures"].values():
        figure["title"] = figure["caption"] = figure["alt"] = figure["x"]["label"] = figure["y"]["label"] = (
            name
        )
        for series in figure.get("series", []):
            series["name"] = name
        for line in figure.get("reference", []):
            line["label"] = name
    return made


def against_a_baseline() -> dict[str, Any]:
    """A run of both protocols that was held against another one: all kinds of change are among the rows."""
    made = sample(protocols=("rigorous", "as-published"))
    earlier = sample(protocols=("rigorous", "as-published"))
    first, second, third, fourth, *_ = earlier["claims"]
    for entry, verdict, shift in ((first, "NOT_REPLICATED", -0.8), (second, "NOT_REPLICATED", -0.75),
                                  (third, "INCONCLUSIVE", 0.0)):  # fmt: skip
        part = entry["parts"][0]
        entry["verdict"] = verdict
        part["holds"] = False if verdict == "NOT_REPLICATED" else None
        part["estimate"] += shift
        part["interval"] = [end + shift for end in part["interval"]]
    earlier["claims"].remove(fourth)
    for entry in made["claims"]:
        if entry["protocol"] == "rigorous" and entry["verdict"] == "NOT_REPLICATED":
            before = next(
                one for one in earlier["claims"] if (one["id"], one["protocol"]) == (entry["id"], "rigorous")
            )
            before["verdict"], part = "REPLICATED", before["parts"][0]
            part.update(
                holds=True, estimate=part["estimate"] + 0.5, interval=[end + 0.5 for end in part["interval"]]
            )
    made["baseline"] = plain(against(checked(earlier), checked(made)))
    return made


def hostile_baseline(name: str, ids: list[str]) -> dict[str, Any]:
    """A comparison whose every text is hostile."""
    side = {"verdict": "REPLICATED", "estimate": 0.5, "interval": [0.4, 0.6]}
    return {
        "model": name, "revision": name, "created": "2026-11-20T10:00:00Z", "n_texts": 200, "context": 30, "seed": 0,
        "sha256": None, "outcome": name,
        "changes": [
            {"id": id_, "protocol": "rigorous", "status": "incomparable", "baseline": side, "new": side, "part": name,
             "separate": None, "note": name}
            for id_ in ids
        ],
    }  # fmt: skip


BUILDERS = {
    "ten": ten, "everything": everything, "all-not-tested": all_not_tested, "single-claim": single_claim,
    "against-a-baseline": against_a_baseline, "three-answers": three_answers, "deep": deep, "shallow": shallow, "hostile": hostile,
    "long-name": lambda: sample(model="organisation/" + "a-very-long-model-name-" * 8),
    "no-claims": lambda: sample(ids=()),
}  # fmt: skip
