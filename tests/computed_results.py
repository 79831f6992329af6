"""The content of a small results file, its numbers computed from counts through the suite's own functions."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from layerclaims import __version__
from layerclaims.probing.certificate import Certificate
from layerclaims.protocol import ProtocolName, resolve_options
from layerclaims.recording.assemble import with_holm
from layerclaims.recording.record import judged
from layerclaims.results.checking import checked
from layerclaims.results.file import plain, sealed
from layerclaims.results.records import SCHEMA_VERSION, ClaimRecord
from layerclaims.results.run_check import NEEDED
from layerclaims.statistics.counts import AnswerCounts, compute
from layerclaims.statistics.jackknife import jackknife_groups
from layerclaims.verdicts import registry
from layerclaims.verdicts.declaration import AsPublished
from layerclaims.verdicts.evidence import Evidence, Finding, Part
from layerclaims.verdicts.quantity import Quantity, Setup

N_BLOCKS = 5
LABELS = N_BLOCKS + 1
CONTEXT = 10
WIDTH = 16
# share of right answers by series; "transfer" is the other corpus
SHARES = {
    "raw": 0.9,
    "unit": 0.89,
    "norm": 0.4,
    "random": 0.17,
    "shuffled": 1 / LABELS,
    "masked": 0.86,
    "transfer": 0.7,
    "masked neighbours": 0.898,
}
CERTIFICATE = Certificate(converged=True, iterations=12, gradient_norm=1e-7, relative_gap=1e-8)


def draw(
    shares: Mapping[str, float], *, n_texts: int, sample: int, spread: float = 0.03
) -> dict[str, AnswerCounts]:
    """Counts [n_texts, labels] of CONTEXT answers each; documents differ by `spread` around the share."""
    rng = np.random.default_rng(sample)
    total = np.full((n_texts, LABELS), CONTEXT)
    offsets = rng.normal(0, spread, size=(n_texts, 1))
    return {
        name: AnswerCounts(
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
    """A sealed run of seven claims, some of whose parts rest on counts, as the plugin would write it."""
    claims: list[ClaimRecord] = []
    documents: dict[str, Any] = {}
    for number, name in enumerate(protocols):
        protocol = resolve_options(
            {key: (value, "test") for key, value in {
                "model": model, "corpus": "imdb", "transfer_corpus": "ag_news", "n_texts": n_texts,
                "context": CONTEXT, "seed": seed, "name": name,
            }.items()}
        )  # fmt: skip
        series = draw(shares, n_texts=n_texts, sample=sample + 1000 * number)
        if protocol.published:
            series["transfer"] = dataclasses.replace(series["transfer"], corpus="transfer as published")
        documents |= {f"{name}/{key}": counts.as_json() for key, counts in series.items()}
        claims += [
            judged(
                registry.post_claims()[id_].claim,
                evidence,
                rule=_words(id_, protocol.name),
                protocol=protocol,
                seconds=1.0,
            )
            for id_, evidence in _evidence(series, seed, protocol.name).items()
        ]
    hash_ = resolve_options({o["name"]: (o["value"], "test") for o in protocol.as_json()["options"]} | {
        "name": (protocols[0], "test")}).hash  # fmt: skip
    stated = protocol.as_json()
    return plain(sealed(checked({
        "schema_version": SCHEMA_VERSION,
        "created": "2026-11-24T02:00:00Z",
        "harness": {"version": __version__, "git_commit": None},
        "protocol": {
            **stated, "hash": hash_, "name": "both" if len(protocols) > 1 else protocols[0],
            "options": [option for option in stated["options"] if option["name"] != "name"],
        },
        "model": {
            "name": model, "revision": None, "architecture": "LlamaForCausalLM", "n_blocks": N_BLOCKS,
            "hidden_size": WIDTH, "n_parameters": 1000, "dtype": "float32", "tied_embeddings": True,
            "weights_sha256": "3c" * 32,
        },
        "corpora": [
            {"role": "main", "name": "imdb", "revision": "1", "n_texts": n_texts, "n_available": 5249,
             "skipped": 41, "ids_sha256": f"{sample:064x}"},
            {"role": "transfer", "name": "ag_news", "revision": "1", "n_texts": n_texts, "n_available": 3771,
             "skipped": 3, "ids_sha256": f"{sample + 1:064x}"},
            *({"role": "transfer as published", "name": "ag_news", "revision": "1", "n_texts": n_texts,
               "n_available": 3771, "skipped": 3, "ids_sha256": f"{sample + 2:064x}"}
              for name in protocols if name == "as-published"),
        ],
        "environment": {"python": "3.11.7", "platform": "Linux", "cpu": None, "threads": 1,
                        "packages": dict.fromkeys(NEEDED, "1.0")},
        "selected": {"claims": len({claim.id for claim in claims}), "of": len(registry.post_claims())},
        "claims": [plain(claim, exact=True) for claim in with_holm(claims, alpha=0.05)],
        "documents": {
            name: counts for name, counts in documents.items()
            if name in {f"{c.protocol}/{one}" for c in claims for p in c.parts if p.recipe for one in p.recipe.series}
        },
        "figures": {},
    })))  # fmt: skip


JUDGED = (
    "layers-linearly-separable",
    "every-layer-recognised",
    "norm-is-a-feature",
    "norm-is-not-the-only-feature",
    "masking-recurring-dimensions-is-negligible",
    "accuracy-drops-on-another-corpus",
    "no-dimension-dominates",
)


def _words(claim: str, protocol: ProtocolName) -> str:
    """The rule in words, as the fixture judge has it."""
    registered = registry.post_claims()[claim]
    declaration = registered.declaration
    assert declaration is not None
    rule = declaration.under(protocol)
    return registered.rule if rule is declaration else f"As published: {rule.words}."


def _evidence(series: Mapping[str, AnswerCounts], seed: int, protocol: ProtocolName) -> dict[str, Evidence]:
    """The evidence that the claims' own rules ask for, of these counts; none for what was never published."""
    setup = Setup(n_labels=LABELS, hidden_size=WIDTH, folds=5, seed=seed, alpha=0.05)
    found = {}
    for claim in JUDGED:
        rule = registry.post_claims()[claim].declaration
        assert rule is not None
        if protocol == "as-published" and rule.as_published is AsPublished.NEVER:
            continue
        parts = (
            Part(finding=_finding(one.quantity, series, seed), criterion=one.criterion(setup))
            for one in rule.under(protocol).conditions
        )
        found[claim] = Evidence(parts=tuple(parts), needs_convergence=protocol == "rigorous")
    return found


def _finding(quantity: Quantity, series: Mapping[str, AnswerCounts], seed: int) -> Finding:
    if quantity.recipe is None:  # the largest share of one dimension
        shares = np.random.default_rng(3).normal(0.02, 0.001, size=5)
        chosen = {"raw": series["raw"]}
        estimate = jackknife_groups(shares, support=(0, 1), n_documents=len(series["raw"].documents))
    else:
        chosen = {name: series[name] for name in quantity.recipe.series}
        estimate = compute(quantity.recipe, chosen, confidence=quantity.confidence(0.05), seed=seed)
    return Finding(
        name=quantity.name,
        estimate=estimate,
        n_documents=min(len(one.documents) for one in chosen.values()),
        n_vectors=sum(int(one.total.sum()) for one in chosen.values()),
        certificate=CERTIFICATE,
        recipe=quantity.recipe,
    )
