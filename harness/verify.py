"""A results file held against itself: every number that its counts allow is computed again from scratch.

What is computed again, through the same `recipes.compute` by which the suite judged: estimate, interval and p-value of
each part that names a recipe. From the stated or recomputed interval follows whether a part holds, from the parts
the verdict, from the p-values Holm's adjustment. Thresholds and recipes are held against what the claim's code
declares. What cannot be computed again (numbers made of weights, norms or geometry) is said to be so.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from harness import catalogue
from harness import results as results_file
from harness.claim import MINIMUM_DOCUMENTS, Criterion, Verdict
from harness.errors import LayerclaimsError
from harness.files import shown
from harness.protocol import Protocol
from harness.recipes import Series, compute, sample_of
from harness.statistics import Estimate, holm

RELATIVE, ABSOLUTE = 1e-8, 1e-9  # files keep ten significant digits


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a verification found; lists of one-line sentences and of claims as "ID (PROTOCOL)"."""

    mismatches: tuple[str, ...]
    recomputed: tuple[str, ...]  # verdicts that rest on counts alone
    partly: tuple[str, ...]  # verdicts of which some parts rest on counts
    stated: tuple[str, ...]  # verdicts of which no number can be computed from this file
    without: tuple[str, ...]  # claims without numbers: NOT_TESTED and ERROR
    checksums: tuple[str, ...]  # checksums that the file carries and that are right

    def text(self) -> str:
        """For a terminal: the mismatches, then what was and what could not be computed again."""
        lines = [f"mismatch: {line}" for line in self.mismatches]
        for names, what in (
            (self.recomputed, "recomputed from the counts per document"),
            (self.partly, "recomputed in part; the other parts are not recomputable from this file"),
            (self.stated, "not recomputable from this file, held only against its stated intervals"),
            (self.without, "without numbers (not tested, or an error)"),
        ):
            if names:
                lines += [f"{len(names)} {what}:", *(f"  {name}" for name in names)]
        lines += [f"checksum right: {name}" for name in self.checksums]
        lines.append(
            "Controls, figures, measured error rates and the ablation between protocols are taken as stated."
        )
        if self.mismatches:
            count = len(self.mismatches)
            lines.append(f"NOT VERIFIED: {count} mismatch{'es' if count > 1 else ''}.")
        else:
            lines.append("VERIFIED: nothing contradicts the counts.")
        return "\n".join(lines)


def verify_file(path: Path | str) -> Outcome:
    """Verify a results.json, or a report PDF and the results attached to it.

    The identifier of a PDF is the hash of the results that it was made from, so an attachment that was put in
    place of another one is seen. Raises LayerclaimsError for a file that is no sound results file at all.
    """
    path = Path(path)
    results = results_file.read(path)
    mismatches, checksums = [], []
    identifier = _pdf_identifier(path)
    if identifier is not None:
        if identifier == results_file.identifier(results_file.dumps(results).encode("ascii")):
            checksums.append("the PDF's identifier")
        else:
            mismatches.append("the PDF was made from other results than those attached to it")
    return verify(results, mismatches=mismatches, checksums=checksums)


def verify(
    results: Mapping[str, Any], *, mismatches: Sequence[str] = (), checksums: Sequence[str] = ()
) -> Outcome:
    """Verify results that passed the schema; adds to what is known already. Raises nothing."""
    return _Verification(results, list(mismatches), list(checksums)).outcome()


class _Verification:
    """One pass over a file."""

    def __init__(self, results: Mapping[str, Any], mismatches: list[str], checksums: list[str]) -> None:
        self.results, self.mismatches, self.checksums = results, mismatches, checksums
        self.alpha = float(results["protocol"]["alpha"])
        self.n_labels = int(results["model"]["n_blocks"]) + 1
        self.series: dict[str, Series] = {}
        self.estimates: dict[tuple[str, str, tuple[str, ...], float], Estimate] = {}
        self.kinds: dict[str, list[str]] = {
            kind: [] for kind in ("recomputed", "partly", "stated", "without")
        }

    def outcome(self) -> Outcome:
        self.check_header()
        for name, counts in self.results["documents"].items():
            self.check_series(name, counts)
        for entry in self.results["claims"]:
            self.check_claim(entry)
        self.check_holm()
        return Outcome(
            mismatches=tuple(self.mismatches),
            checksums=tuple(self.checksums),
            **{kind: tuple(names) for kind, names in self.kinds.items()},
        )

    def wrong(self, place: str, what: str) -> None:
        self.mismatches.append(f"{shown(place, 200)[1:-1]}: {what}")

    # --- what stands outside the claims

    def check_header(self) -> None:
        protocol = self.results["protocol"]
        options = {option["name"]: option["value"] for option in protocol["options"]}
        for name in ("profile", "n_texts", "context", "folds", "seed", "alpha", "dtype"):
            if name in options and name in protocol and not _same(options[name], protocol[name]):
                self.wrong(
                    f"protocol/{name}",
                    f"is {shown(protocol[name])}, and the options say {shown(options[name])}",
                )
        known = {field.name for field in fields(Protocol) if field.compare} - {"name"}
        if known <= set(options):
            # a run of both protocols carries the hash of the first
            stated: dict[str, Any] = {option: options[option] for option in known}
            stated["name"] = "rigorous" if protocol["name"] == "both" else protocol["name"]
            try:
                right = Protocol(**stated).hash
            except (LayerclaimsError, TypeError):
                self.wrong("protocol/options", "are no possible protocol")
            else:
                self.check_checksum("protocol/hash", protocol["hash"], right)
        if "sha256" in self.results:
            self.check_checksum("sha256", self.results["sha256"], results_file.checksum(self.results))

    def check_checksum(self, name: str, stated: object, right: str) -> None:
        if stated == right:
            self.checksums.append(name)
        else:
            self.wrong(name, f"is {shown(stated)}, and the content gives {shown(right)}")

    def check_series(self, name: str, counts: Mapping[str, Any]) -> None:
        """Counts that no run can have: rows outside the corpus, more answers than tokens, or labels."""
        place = f"documents/{name}"
        try:
            series = Series.from_json(counts)
        except ValueError as error:
            return self.wrong(place, str(error))
        self.series[name] = series
        corpus = next((c for c in self.results["corpora"] if c["role"] == series.corpus), None)
        if corpus is None:
            return self.wrong(place, f"is of the {series.corpus} corpus, which the run does not have")
        if len(series.documents) and int(series.documents.max()) >= corpus["n_available"]:
            self.wrong(
                place,
                f"counts document {series.documents.max()} of a corpus of {corpus['n_available']} texts",
            )
        if len(series.documents) > corpus["n_texts"]:
            self.wrong(
                place, f"counts {len(series.documents)} documents of the {corpus['n_texts']} of the run"
            )
        # a document of the other corpus is answered by the probe of each fold
        most = int(self.results["protocol"]["context"]) * int(self.results["protocol"]["folds"])
        most *= 1 if np.ndim(counts["total"]) == 2 else self.n_labels
        if series.total.size and int(series.total.max()) > most:
            self.wrong(place, f"counts {series.total.max()} answers where a document has at most {most}")
        if series.total.shape[1] > self.n_labels:
            self.wrong(place, f"has {series.total.shape[1]} labels and the model {self.n_labels}")
        if not series.total.sum():
            self.wrong(place, "counts no answer at all")
        return None

    # --- a claim

    def check_claim(self, entry: Mapping[str, Any]) -> None:
        name = f"{entry['id']} ({entry['protocol']})"
        parts = entry["parts"]
        tested = entry["verdict"] not in (Verdict.NOT_TESTED, Verdict.ERROR)
        if not parts or not tested:
            self.kinds["without"].append(name)
            if parts:
                self.wrong(name, f"says {entry['verdict']} and has parts that decide it")
            if tested:
                self.wrong(name, f"says {entry['verdict']} and has no part that decides it")
            return
        holds, computed = [], []
        for part, criterion in zip(parts, self.check_rule(name, entry), strict=True):
            estimate, state = self.check_part(f"{name}, {part['name']}", entry["protocol"], part, criterion)
            holds.append(state)
            computed.append(estimate)
        self.check_top(name, entry)
        self.check_sample(name, entry, computed)
        verdict = self.verdict(entry, parts, holds, computed)
        if entry["verdict"] != verdict:
            self.wrong(name, f"says {entry['verdict']}, and its parts give {verdict}")
        done = sum(estimate is not None for estimate in computed)
        self.kinds["recomputed" if done == len(parts) else "partly" if done else "stated"].append(name)

    def check_rule(self, name: str, entry: Mapping[str, Any]) -> list[Criterion | None]:
        """Regions and recipes against those that the claim's code declares; the region of each part."""
        parts = entry["parts"]
        places = [f"{name}, {part['name']}" for part in parts]
        stated = [self.criterion(place, part) for place, part in zip(places, parts, strict=True)]
        rule = catalogue.declared(entry["id"], n_labels=self.n_labels)
        if rule is None or len(parts) != len(rule.conditions):
            if rule is not None and rule.complete:
                self.wrong(name, f"has {len(parts)} parts, and its rule {len(rule.conditions)}")
            return stated
        for index, (place, part, condition) in enumerate(zip(places, parts, rule.conditions, strict=True)):
            if (want := condition.criterion) is not None:
                if part["relation"] == want.relation and _same(part["threshold"], _threshold(want)):
                    stated[index] = want  # not rounded to the digits of the file
                else:
                    self.wrong(
                        place,
                        f"is held against {part['relation']} {_number(part['threshold'])}, and the rule is "
                        f"{want.relation} {_number(_threshold(want))}",
                    )
            if condition.recipe is not None and part.get("recipe") != condition.recipe:
                self.wrong(
                    place, f"rests on {shown(part.get('recipe'))}, and the rule on {shown(condition.recipe)}"
                )
        return stated

    def criterion(self, place: str, part: Mapping[str, Any]) -> Criterion | None:
        """A part's region as the file states it; None where it states none."""
        threshold = part["threshold"]
        if threshold is None:
            return None
        try:
            criterion = Criterion(
                relation=part["relation"],
                threshold=tuple(threshold) if isinstance(threshold, list) else threshold,
            )
            criterion.holds(_stated(part))
        except ValueError as error:
            self.wrong(place, str(error))
            return None
        return criterion

    def check_part(
        self, place: str, protocol: str, part: Mapping[str, Any], criterion: Criterion | None
    ) -> tuple[Estimate | None, bool | None]:
        """The estimate computed again, None where it cannot be; and whether the part holds by it."""
        estimate = self.compute(place, protocol, part) if part.get("recipe") is not None else None
        state = None
        if criterion is not None:
            state = criterion.holds(estimate or _stated(part))
            if estimate is not None:
                self.compare(place, "p-value", part.get("p_value"), criterion.p_value(estimate))
            else:
                self.check_stated_p(place, part, state)
        if part["holds"] != state:
            self.wrong(
                place, f"says that it {_holds(part['holds'])}, and its interval that it {_holds(state)}"
            )
        return estimate, state

    def compute(self, place: str, protocol: str, part: Mapping[str, Any]) -> Estimate | None:
        """A part's estimate and interval from the counts, compared with what is stated."""
        confidence = 1 - (2 if part["relation"] == "inside" else 1) * self.alpha
        recipe = part["recipe"]
        try:
            names = tuple(str(name) for name in recipe["series"])
            absent = [name for name in names if f"{protocol}/{name}" not in self.series]
            if absent:
                self.wrong(place, f"rests on {shown(absent[0])}, of which the file has no sound counts")
                return None
            key = (protocol, str(recipe["statistic"]), names, confidence)
            if key not in self.estimates:
                self.estimates[key] = compute(
                    recipe,
                    {name: self.series[f"{protocol}/{name}"] for name in names},
                    confidence=confidence,
                    seed=int(self.results["protocol"]["seed"]),
                )
        except (KeyError, TypeError, ValueError) as error:
            self.wrong(place, f"has a recipe that cannot be followed: {shown(error)}")
            return None
        estimate = self.estimates[key]
        self.compare(place, "estimate", part["estimate"], estimate.value)
        self.compare(place, "interval", part["interval"], [estimate.low, estimate.high])
        self.compare(place, "confidence", part.get("confidence"), confidence)
        if part.get("method") != estimate.method:
            self.wrong(
                place, f"names the method {shown(part.get('method'))}, and it is {shown(estimate.method)}"
            )
        return estimate

    def check_stated_p(self, place: str, part: Mapping[str, Any], state: bool | None) -> None:
        """A p-value that cannot be computed again still has to agree with its interval.

        The intervals are those that contain what their test does not reject (see `statistics.Estimate`).
        """
        p, level = part.get("p_value"), part.get("confidence")
        if p is None or level is None or part["relation"] == "contains":
            return
        if part.get("method") not in (
            "BCa",
            "lowest BCa",
            "jackknife",
            "highest jackknife",
            "chi-square",
            "Page",
        ):
            return
        tail = 1 - level if part["method"] in ("chi-square", "Page") else (1 - level) / 2
        if not math.isclose(p, tail, rel_tol=1e-6) and (p < tail) != (state is True):
            self.wrong(place, f"has the p-value {_number(p)}, which its interval contradicts")

    def check_top(self, name: str, entry: Mapping[str, Any]) -> None:
        """The numbers shown for the claim are those of its first part, the p-value the largest of all."""
        first = entry["parts"][0]
        for key in ("estimate", "interval", "confidence"):
            self.compare(name, key, entry[key], first.get(key), source="its first part says")
        stated, threshold = entry["criterion"]["threshold"], first["threshold"]
        if isinstance(threshold, list) and not isinstance(stated, list):
            threshold = threshold[-1]  # an equivalence margin is shown by its upper border
        self.compare(name, "threshold", stated, threshold, source="its first part says")
        tested = [part.get("p_value") for part in entry["parts"] if part["relation"] != "contains"]
        known = [p for p in tested if p is not None]
        largest = max(known) if known else None
        if not (entry["p_value"] is None and len(known) < len(tested)):
            self.compare(name, "p-value", entry["p_value"], largest, source="the largest of its parts is")

    def check_sample(self, name: str, entry: Mapping[str, Any], computed: Sequence[Estimate | None]) -> None:
        """Numbers of documents and vectors against the counts, where the parts rest on counts."""
        sizes = []
        for index, (part, estimate) in enumerate(zip(entry["parts"], computed, strict=True)):
            if estimate is None:
                continue
            series = [self.series[f"{entry['protocol']}/{s}"] for s in part["recipe"]["series"]]
            documents, vectors = sample_of(series)
            sizes.append(documents)
            if index == 0 and entry["n_vectors"] != vectors:
                self.wrong(name, f"n_vectors is {entry['n_vectors']}, and the counts give {vectors}")
        stated, most = entry["n_documents"], sum(corpus["n_texts"] for corpus in self.results["corpora"])
        whole = len(sizes) == len(computed)
        if sizes and (stated is None or stated > min(sizes) or (whole and stated < min(sizes))):
            self.wrong(name, f"n_documents is {stated}, and the counts give {min(sizes)}")
        elif not sizes and stated is not None and stated > most:
            self.wrong(name, f"n_documents is {stated}, and the run has {most} texts")

    def verdict(
        self,
        entry: Mapping[str, Any],
        parts: Sequence[Mapping[str, Any]],
        holds: Sequence[bool | None],
        computed: Sequence[Estimate | None],
    ) -> Verdict:
        """As `claim.decide`, from what the file says."""
        sizes = [] if entry["n_documents"] is None else [entry["n_documents"]]
        sizes += [estimate.n_documents for estimate in computed if estimate is not None]
        too_few = any(size < MINIMUM_DOCUMENTS for size in sizes)
        unconverged = entry["probe"] is not None and not entry["probe"]["converged"]
        undefined = any(part["estimate"] is None or part["interval"] is None for part in parts)
        if too_few or unconverged or undefined:
            return Verdict.INCONCLUSIVE
        if False in holds:
            return Verdict.NOT_REPLICATED
        return Verdict.INCONCLUSIVE if None in holds else Verdict.REPLICATED

    # --- over the claims

    def check_holm(self) -> None:
        """Holm's adjustment over the claims of a protocol, or of the file where that is what it holds to."""
        claims = self.results["claims"]
        families = [
            [entry for entry in claims if entry["protocol"] == protocol]
            for protocol in dict.fromkeys(entry["protocol"] for entry in claims)
        ]
        apart = [line for family in families for line in self.holm_of(family)]
        if apart and len(families) > 1 and not self.holm_of(claims):
            apart = []
        for name, what in apart:
            self.wrong(name, what)
        for entry in claims:
            p, survives = entry["p_holm"], entry.get("survives_holm")
            right = None if p is None else p < self.alpha
            if survives != right and not (survives is None and entry["verdict"] != Verdict.REPLICATED):
                self.wrong(
                    f"{entry['id']} ({entry['protocol']})",
                    f"survives_holm is {survives}, and its adjusted p-value {_number(p)} gives {right}",
                )

    def holm_of(self, family: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
        try:
            adjusted = holm([entry["p_value"] for entry in family])
        except ValueError as error:
            return [("claims", str(error))]
        return [
            (
                f"{entry['id']} ({entry['protocol']})",
                f"p_holm is {_number(entry['p_holm'])}, and Holm's adjustment gives {_number(right)}",
            )
            for entry, right in zip(family, adjusted, strict=True)
            if not _same(entry["p_holm"], right)
        ]

    def compare(
        self, place: str, what: str, stated: Any, right: Any, source: str = "the counts give"
    ) -> None:
        if not _same(stated, right):
            self.wrong(place, f"the {what} is {_number(stated)}, and {source} {_number(right)}")


def _stated(part: Mapping[str, Any]) -> Estimate:
    low, high = part["interval"] or (math.nan, math.nan)
    return Estimate(
        value=math.nan if part["estimate"] is None else part["estimate"],
        low=low,
        high=high,
        confidence=part.get("confidence") or math.nan,
        method="stated" if part.get("method") is None else part["method"],
        n_documents=0,
    )


def _threshold(criterion: Criterion) -> float | list[float]:
    return list(criterion.bounds) if criterion.relation == "inside" else criterion.bounds[0]


def _same(stated: Any, right: Any) -> bool:
    """Equal but for rounding; a number that is not finite is null in a file."""
    if isinstance(right, list):
        if any(isinstance(value, float) and not math.isfinite(value) for value in right):
            return stated is None
        return (
            isinstance(stated, list)
            and len(stated) == len(right)
            and all(_same(a, b) for a, b in zip(stated, right, strict=True))
        )
    if isinstance(right, float) and not math.isfinite(right):
        return stated is None
    if isinstance(right, bool | str) or right is None or isinstance(stated, bool | str) or stated is None:
        return bool(stated == right)
    if isinstance(stated, list):
        return False
    return math.isclose(stated, right, rel_tol=RELATIVE, abs_tol=ABSOLUTE)


def _number(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_number, value))}]"
    return "none" if value is None else f"{value:.10g}"


def _holds(state: bool | None) -> str:
    return {True: "holds", False: "does not hold", None: "is undecided"}[state]


def _pdf_identifier(path: Path) -> bytes | None:
    """The permanent identifier of a PDF, as the report writes it; None for a file that is no PDF."""
    with path.open("rb") as file:
        if not file.read(1024).lstrip().startswith(b"%PDF-"):
            return None
    import pikepdf

    with pikepdf.open(path) as pdf:
        return bytes(pdf.trailer["/ID"][0]) if "/ID" in pdf.trailer else b""
