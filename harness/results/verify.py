"""A results file held against itself: every number that its counts allow is computed again from scratch.

What is computed again, through the same `counts.compute` by which the suite judged: estimate, interval and p-value of
each part that names a recipe. From the stated or recomputed interval follows whether a part holds, from the parts
the verdict, from the p-values Holm's adjustment. Thresholds and recipes are held against what the claim's code
declares. What cannot be computed again (numbers made of weights, norms or geometry) is said to be so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from layerclaims.errors import LayerclaimsError
from layerclaims.protocol import Protocol
from layerclaims.results import attachment
from layerclaims.results import file as results_file
from layerclaims.results.agreement import Mismatches, same
from layerclaims.results.claim_check import Basis, ClaimCheck, named
from layerclaims.results.records import (
    SCHEMA_VERSION,
    ClaimRecord,
    ProtocolRecord,
    Results,
    SeriesRecord,
)
from layerclaims.runtime.text import digits, inert, shown
from layerclaims.statistics.counts import AnswerCounts
from layerclaims.statistics.hypotheses import holm
from layerclaims.verdicts.quantity import Setup
from layerclaims.verdicts.registry import RegisteredClaim, post_claims
from layerclaims.verdicts.verdict import Verdict

# of a model, and of a run: what a hostile file may make this program compute is bounded
MOST_DIMENSIONS: Final = 200_000
MOST_LABELS: Final = 2_000
MOST_FOLDS: Final = 20


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What a verification found; lists of one-line sentences and of claims as "ID (PROTOCOL)"."""

    mismatches: tuple[str, ...]
    recomputed: tuple[str, ...]  # verdicts that rest on counts alone
    partly: tuple[str, ...]  # verdicts of which some parts rest on counts
    stated: tuple[str, ...]  # verdicts of which no number can be computed from this file
    without: tuple[str, ...]  # claims without numbers: NOT_TESTED and ERROR
    unknown: tuple[str, ...]  # ids of claims whose code is not at hand
    checksums: tuple[str, ...]  # checksums that the file carries and that are right
    version: int | None = None  # of the file, where rules have changed since and were not checked

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
        if self.unknown:
            n, ids = len(self.unknown), ", ".join(self.unknown)
            said = (
                "claim is not known here, its rule was"
                if n == 1
                else "claims are not known here, their rules were"
            )
            lines.append(
                f"{n} {said} not checked: {ids} (name {'its file' if n == 1 else 'their files'} with --claims)"
            )
        if self.version is not None:
            lines.append(
                f"The file is of version {self.version}: the rules of its claims have changed since, and were not "
                "checked."
            )
        lines += [f"checksum right: {name}" for name in self.checksums]
        lines.append(
            "Controls, figures, measured error rates and the walks between protocols are taken as stated."
        )
        if self.mismatches:
            count = len(self.mismatches)
            lines.append(f"NOT VERIFIED: {count} mismatch{'es' if count > 1 else ''}.")
        else:
            lines.append("VERIFIED: nothing contradicts the counts.")
        return "\n".join(lines)


def verify_file(path: Path | str, *, claims: Mapping[str, RegisteredClaim] | None = None) -> Verification:
    """Verify a results.json, or a report PDF and the results attached to it.

    The identifier of a PDF is the hash of the results that it was made from, so an attachment that was put in
    place of another one is seen. `claims` are those whose rules are known, by default the post's. Raises
    LayerclaimsError for a file that is no sound results file at all.
    """
    path = Path(path)
    data = results_file.read_bytes(path)
    checking = _Checking(results_file.loads(data, origin=inert(path)), claims)
    identifier = attachment.identifier_of(path)
    if identifier == results_file.identifier(data):
        checking.checksums.append("the PDF's identifier")
    elif identifier is not None:
        checking.mismatches.lines.append("the PDF was made from other results than those attached to it")
    return checking.verification()


def verify(results: Results, *, claims: Mapping[str, RegisteredClaim] | None = None) -> Verification:
    """Hold results against their counts, against the claims' rules, and against themselves."""
    return _Checking(results, claims).verification()


class _Checking:
    """One pass over a file: the claims, and what stands outside them."""

    def __init__(self, results: Results, claims: Mapping[str, RegisteredClaim] | None) -> None:
        self.results = results
        self.claims = post_claims() if claims is None else claims
        self.outdated = results.schema_version < SCHEMA_VERSION
        self.n_labels = results.model.n_blocks + 1
        self.mismatches = Mismatches()
        self.checksums: list[str] = []

    def verification(self) -> Verification:
        results = self.results
        self.check_options(results.protocol)
        if results.sha256 is not None:
            self.check_checksum("sha256", results.sha256, results_file.checksum(results))
        sound = {name: self.series(f"documents/{name}", counts) for name, counts in results.documents.items()}
        check = ClaimCheck(
            results.protocol,
            {name: series for name, series in sound.items() if series is not None},
            self.mismatches,
            claims={} if self.outdated else self.claims,
            setup=self.setup(),
            n_texts=sum(corpus.n_texts for corpus in results.corpora),
            convergence=self.outdated,
        )
        names: dict[Basis, list[str]] = {"recomputed": [], "partly": [], "stated": [], "without": []}
        for claim in results.claims:
            names[check.check(claim)].append(named(claim))
        self.check_holm(results.claims)
        return Verification(
            mismatches=tuple(self.mismatches.lines),
            checksums=tuple(self.checksums),
            recomputed=tuple(names["recomputed"]),
            partly=tuple(names["partly"]),
            stated=tuple(names["stated"]),
            without=tuple(names["without"]),
            version=results.schema_version if self.outdated else None,
            unknown=tuple(dict.fromkeys(one.id for one in results.claims if one.id not in self.claims)),
        )

    def setup(self) -> Setup | None:
        """What thresholds follow from; None where the file states sizes that no model and no run has."""
        model, protocol = self.results.model, self.results.protocol
        if not (
            1 <= model.hidden_size <= MOST_DIMENSIONS
            and 2 <= self.n_labels <= MOST_LABELS
            and 2 <= protocol.folds <= MOST_FOLDS
            and 0 <= protocol.seed < 2**32
        ):
            self.mismatches.note("model", "has sizes of no possible run, so thresholds cannot be checked")
            return None
        return Setup(
            n_labels=self.n_labels,
            hidden_size=model.hidden_size,
            folds=protocol.folds,
            seed=protocol.seed,
            alpha=protocol.alpha,
        )

    def check_options(self, protocol: ProtocolRecord) -> None:
        """What the protocol says of itself against the options that made it, and their hash."""
        options = {option.name: option.value for option in protocol.options}
        for name in ("profile", "n_texts", "context", "folds", "seed", "alpha", "dtype"):
            stated = getattr(protocol, name)
            if name in options and name in protocol.model_fields_set and not same(options[name], stated):
                self.mismatches.note(
                    f"protocol/{name}", f"is {shown(stated)}, and the options say {shown(options[name])}"
                )
        known = {field.name for field in fields(Protocol) if field.compare} - {"name"}
        if known <= set(options):
            # a run of both protocols carries the hash of the first
            given: dict[str, Any] = {option: options[option] for option in known}
            given["name"] = "rigorous" if protocol.name == "both" else protocol.name
            try:
                right = Protocol(**given).hash
            except (LayerclaimsError, TypeError):
                self.mismatches.note("protocol/options", "are no possible protocol")
            else:
                self.check_checksum("protocol/hash", protocol.hash, right)

    def check_checksum(self, name: str, stated: str, right: str) -> None:
        if stated == right:
            self.checksums.append(name)
        else:
            self.mismatches.note(name, f"is {shown(stated)}, and the content gives {shown(right)}")

    def series(self, place: str, counts: SeriesRecord) -> AnswerCounts | None:
        """The counts, unless no run can have them; notes rows outside the corpus, too many answers or labels."""
        try:
            series = AnswerCounts.from_json(dict(counts))
        except ValueError as error:
            self.mismatches.note(place, str(error))
            return None
        corpus = next((c for c in self.results.corpora if c.role == series.corpus), None)
        if corpus is None:
            self.mismatches.note(place, f"is of the {series.corpus} corpus, which the run does not have")
            return series
        last = int(series.documents.max(initial=-1))
        if corpus.n_available is not None and last >= corpus.n_available:
            self.mismatches.note(place, f"counts document {last} of a corpus of {corpus.n_available} texts")
        if len(series.documents) > corpus.n_texts:
            self.mismatches.note(
                place, f"counts {len(series.documents)} documents of the {corpus.n_texts} of the run"
            )
        # a document of the other corpus is answered by the probe of each fold
        most = self.results.protocol.context * self.results.protocol.folds
        most *= 1 if counts.total.ndim == 2 else self.n_labels
        largest = int(series.total.max(initial=0))
        if largest > most:
            self.mismatches.note(place, f"counts {largest} answers where a document has at most {most}")
        if series.total.shape[1] > self.n_labels:
            self.mismatches.note(place, f"has {series.total.shape[1]} labels and the model {self.n_labels}")
        if not series.total.sum():
            self.mismatches.note(place, "counts no answer at all")
        return series

    def check_holm(self, claims: Sequence[ClaimRecord]) -> None:
        """Holm's adjustment over the claims of a protocol, or of the file where that is what it holds to."""
        families = [
            [claim for claim in claims if claim.protocol == protocol]
            for protocol in dict.fromkeys(claim.protocol for claim in claims)
        ]
        apart = [line for family in families for line in _holm_of(family)]
        if apart and len(families) > 1 and not _holm_of(claims):
            apart = []
        for name, what in apart:
            self.mismatches.note(name, what)
        for claim in claims:
            p, survives = claim.p_holm, claim.survives_holm
            right = None if p is None else p < self.results.protocol.alpha
            if survives != right and not (survives is None and claim.verdict is not Verdict.REPLICATED):
                self.mismatches.note(
                    named(claim),
                    f"survives_holm is {survives}, and its adjusted p-value {digits(p)} gives {right}",
                )


def _holm_of(family: Sequence[ClaimRecord]) -> list[tuple[str, str]]:
    """Place and mismatch of each adjusted p-value that is not this family's."""
    try:
        adjusted = holm([claim.p_value for claim in family])
    except ValueError as error:
        return [("claims", str(error))]
    return [
        (named(claim), f"p_holm is {digits(claim.p_holm)}, and Holm's adjustment gives {digits(right)}")
        for claim, right in zip(family, adjusted, strict=True)
        if not same(claim.p_holm, right)
    ]
