"""A small results dictionary whose numbers were really computed from counts, through the suite's own functions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harness import catalogue
from harness.claim import Certificate, Evidence, Measured, Part, quarter
from harness.protocol import resolve_options
from harness.recipes import Series, compute
from harness.record import judged, with_holm
from harness.results import plain
from harness.statistics import jackknife_groups

N_BLOCKS = 5
LABELS = N_BLOCKS + 1
CONTEXT = 10
# share of right answers by series; "transfer" is the other corpus
SHARES = {
    "raw": 0.9,
    "unit": 0.89,
    "norm": 0.4,
    "random": 0.17,
    "shuffled": 1 / LABELS,
    "masked": 0.86,
    "transfer": 0.7,
}
CERTIFICATE = Certificate(converged=True, iterations=12, gradient_norm=1e-7, relative_gap=1e-8)


def draw(
    shares: Mapping[str, float], *, n_texts: int, sample: int, spread: float = 0.03
) -> dict[str, Series]:
    """Counts [n_texts, labels] of CONTEXT answers each; documents differ by `spread` around the share."""
    rng = np.random.default_rng(sample)
    total = np.full((n_texts, LABELS), CONTEXT)
    offsets = rng.normal(0, spread, size=(n_texts, 1))
    return {
        name: Series(
            corpus="transfer" if name == "transfer" else "main",
            documents=np.arange(n_texts),
            correct=rng.binomial(total, np.clip(share + offsets, 0, 1)),
            total=total,
        )
        for name, share in shares.items()
    }


def computed(
    *,
    shares: Mapping[str, float] = SHARES,
    n_texts: int = 60,
    sample: int = 0,
    seed: int = 0,
    protocols: Sequence[str] = ("rigorous",),
    model: str = "planted",
) -> dict[str, Any]:
    """A run of five claims, some of whose parts rest on counts, as the plugin would write it."""
    claims: list[dict[str, Any]] = []
    documents: dict[str, Any] = {}
    for number, name in enumerate(protocols):
        protocol = resolve_options(
            {key: (value, "test") for key, value in {
                "model": model, "corpus": "imdb", "transfer_corpus": "ag_news", "n_texts": n_texts,
                "context": CONTEXT, "seed": seed, "name": name,
            }.items()}
        )  # fmt: skip
        series = draw(shares, n_texts=n_texts, sample=sample + 1000 * number)
        documents |= {f"{name}/{key}": counts.as_json() for key, counts in series.items()}
        claims += [
            judged(
                catalogue.entries()[id_].claim,
                evidence,
                rule=catalogue.entries()[id_].rule,
                protocol=protocol,
                seconds=1.0,
            )
            for id_, evidence in _evidence(series, seed).items()
        ]
    hash_ = resolve_options({o["name"]: (o["value"], "test") for o in protocol.as_json()["options"]} | {
        "name": (protocols[0], "test")}).hash  # fmt: skip
    stated = protocol.as_json()
    return plain({
        "schema_version": 1,
        "created": "2026-11-24T02:00:00Z",
        "harness": {"version": "0.1.0", "git_commit": None},
        "protocol": {
            **stated, "hash": hash_, "name": "both" if len(protocols) > 1 else protocols[0],
            "options": [option for option in stated["options"] if option["name"] != "name"],
        },
        "model": {
            "name": model, "revision": None, "architecture": "LlamaForCausalLM", "n_blocks": N_BLOCKS,
            "hidden_size": 16, "n_parameters": 1000, "dtype": "float32", "tied_embeddings": True,
            "weights_sha256": "3c" * 32,
        },
        "corpora": [
            {"role": "main", "name": "imdb", "revision": "1", "n_texts": n_texts, "n_available": 5249,
             "skipped": 41, "ids_sha256": f"{sample:064x}"},
            {"role": "transfer", "name": "ag_news", "revision": "1", "n_texts": n_texts, "n_available": 3771,
             "skipped": 3, "ids_sha256": f"{sample + 1:064x}"},
        ],
        "environment": {"python": "3.11.7", "platform": "Linux", "cpu": None, "threads": 1, "packages": {}},
        "claims": with_holm(claims, alpha=0.05),
        "documents": documents,
        "figures": {},
    })  # fmt: skip


def _evidence(series: Mapping[str, Series], seed: int) -> dict[str, Evidence]:
    def measured(name: str, statistic: str, *names: str, confidence: float = 0.95) -> Measured:
        recipe = {"statistic": statistic, "series": list(names)}
        chosen = {key: series[key] for key in names}
        return Measured(
            name=name,
            estimate=compute(recipe, chosen, confidence=confidence, seed=seed),
            n_documents=min(len(one.documents) for one in chosen.values()),
            n_vectors=sum(int(one.total.sum()) for one in chosen.values()),
            certificate=CERTIFICATE,
            recipe=recipe,
        )

    def evidence(*parts: Part) -> Evidence:
        return Evidence(parts=parts)

    shares = np.random.default_rng(3).normal(0.02, 0.001, size=5)
    largest = Measured(
        name="largest share of one dimension",
        estimate=jackknife_groups(shares, support=(0, 1), n_documents=len(series["raw"].documents)),
        n_documents=len(series["raw"].documents),
        n_vectors=int(series["raw"].total.sum()),
        certificate=CERTIFICATE,
    )
    border = quarter(0.25, LABELS)
    return {
        "layers-linearly-separable": evidence(
            measured("accuracy", "accuracy", "raw").above(border),
            measured("accuracy on shuffled labels", "accuracy", "shuffled").contains(1 / LABELS),
        ),
        "every-layer-recognised": evidence(
            measured("lowest recall of a layer", "lowest recall", "raw").above(quarter(0.10, LABELS))
        ),
        "norm-is-a-feature": evidence(
            measured("accuracy lost by unit-normalising", "difference", "raw", "unit").above(0.01)
        ),
        "norm-is-not-the-only-feature": evidence(
            measured("accuracy on unit vectors", "accuracy", "unit").above(border),
            measured("accuracy lost when only the norm is seen", "difference", "raw", "norm").above(0.05),
        ),
        "masking-recurring-dimensions-is-negligible": evidence(
            measured("accuracy lost by masking", "difference", "raw", "masked", confidence=0.9).inside(0.01)
        ),
        "accuracy-drops-on-another-corpus": evidence(
            measured("accuracy lost on the other corpus", "difference", "raw", "transfer").above(0.02)
        ),
        "no-dimension-dominates": evidence(largest.below(0.05)),
    }
