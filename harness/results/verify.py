"""A results file held against itself: every number that its counts allow is computed again from scratch.

What is computed again, through the same `counts.compute` by which the suite judged: estimate, interval and p-value of
each part that names a recipe. From the stated or recomputed interval follows whether a part holds, from the parts
the verdict and its reason, from the p-values Holm's adjustment. Rules, recipes, texts and published figures are held
against the claims' code, if the file comes from the same version of it. `verification.STATED` says what is left.

Whoever changes a file can make its checksum anew, so a right checksum vouches for nothing but an undamaged copy.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from layerclaims import __version__
from layerclaims.results import attachment, pdf_check
from layerclaims.results import file as results_file
from layerclaims.results.agreement import Mismatches, same_p
from layerclaims.results.baseline_check import check_baseline
from layerclaims.results.claim_check import Basis, ClaimCheck, named
from layerclaims.results.earlier import Rules
from layerclaims.results.records import ClaimRecord, Results, SeriesRecord
from layerclaims.results.run_check import (
    check_claims,
    check_options,
    check_pictures,
    check_run,
    check_series,
    protocol_of,
    setup_of,
)
from layerclaims.results.verification import Pages, Verification
from layerclaims.results.walk_check import check_figures, check_walks
from layerclaims.runtime.text import digits, inert, shown
from layerclaims.statistics.counts import AnswerCounts
from layerclaims.statistics.hypotheses import holm
from layerclaims.verdicts.registry import RegisteredClaim, post_claims
from layerclaims.verdicts.verdict import Verdict

ComparePages = Callable[[bytes, Results], Pages]  # of a PDF's bytes and the results attached to it


def verify_file(
    path: Path | str,
    *,
    claims: Mapping[str, RegisteredClaim] | None = None,
    compare_pages: ComparePages | None = None,
) -> Verification:
    """Verify a results.json, or a report PDF and the results attached to it.

    The identifier of a PDF is the hash of the results that it was made from, so an attachment that was put in
    place of another one is seen. `compare_pages` renders them again, as `report.rerender.compare_pages` does; without
    it, or where the attached results are not sound, pages are not looked at. `claims` are those whose rules are known,
    by default the post's. Raises LayerclaimsError for a file that is no sound results file at all.
    """
    path = Path(path)
    origin, data = inert(path, 300), results_file.read_whole(path)
    content = results_file.unwrapped(data, origin=origin)
    checking = _Checking(results_file.loads(content, origin=origin), claims)
    if not attachment.is_pdf(data):
        return checking.verification()
    return checking.verification_of_pdf(data, content, origin, compare_pages)


def verify(results: Results, *, claims: Mapping[str, RegisteredClaim] | None = None) -> Verification:
    """Hold results against their counts, against the claims' rules, and against themselves."""
    return _Checking(results, claims).verification()


class _Checking:
    """One pass over a file: the claims, and what stands outside them."""

    def __init__(self, results: Results, claims: Mapping[str, RegisteredClaim] | None) -> None:
        self.results = results
        self.claims = post_claims() if claims is None else claims
        self.rules = Rules(version=results.schema_version)
        self.unchecked = ""
        if not self.rules.present:
            self.unchecked = (
                f"the file is of schema version {results.schema_version}, and they have changed since"
            )
        elif results.harness.version != __version__:
            self.unchecked = (
                f"layerclaims {inert(results.harness.version, 40)} wrote the file, and this is {__version__}"
            )
        self.n_labels = results.model.n_blocks + 1
        self.mismatches = Mismatches()
        self.checksums: list[str] = []

    def verification_of_pdf(
        self, data: bytes, content: bytes, origin: str, compare_pages: ComparePages | None
    ) -> Verification:
        """The same with what is seen in a PDF alone, and its pages if the attached results are sound."""
        with attachment.opened(data, origin=origin) as pdf:
            identifier = bytes(pdf.trailer["/ID"][0]) if "/ID" in pdf.trailer else b""
            foreign = pdf_check.foreign(pdf, data)
        if identifier == results_file.identifier(content):
            self.checksums.append("the PDF's identifier")
        else:
            self.mismatches.lines.append("the PDF was made from other results than those attached to it")
        self.mismatches.lines += foreign
        found = self.verification()
        if found.mismatches:
            pages = Pages(unseen="the attached results, or the PDF as a whole, do not stand")
        elif compare_pages is None:
            pages = Pages(unseen="nothing here renders them again; the command layerclaims verify does")
        else:
            pages = compare_pages(data, self.results)
        return replace(found, pages=pages, mismatches=(*found.mismatches, *pages.mismatches))

    def verification(self) -> Verification:
        results, current = self.results, not self.unchecked
        if results.sha256 is not None:
            self.check_checksum("sha256", results.sha256, results_file.checksum(results))
        elif self.rules.whole:
            self.mismatches.note("sha256", "is absent, which every file of this version has")
        check_options(results.protocol, self.mismatches, complete=self.rules.whole)
        options = protocol_of(results.protocol)
        if options is not None:
            self.check_checksum("protocol/hash", results.protocol.hash, options.hash)
        sound = {
            name: series
            for name, counts in results.documents.items()
            if (series := self.series(f"documents/{name}", counts)) is not None
        }
        check = ClaimCheck(
            results.protocol,
            sound,
            self.mismatches,
            claims=self.claims if current else {},
            setup=setup_of(results, self.mismatches),
            options=options,
            n_texts=sum(corpus.n_texts for corpus in results.corpora),
            rules=self.rules,
            words=current,
        )
        names: dict[Basis, list[str]] = {"recomputed": [], "partly": [], "stated": [], "without": []}
        for claim in results.claims:
            names[check.check(claim)].append(named(claim))
        self.check_holm(results.claims)
        if self.rules.whole:
            check_run(results, self.mismatches)
            check_series(results, self.mismatches)
            check_walks(results, self.mismatches)
            check_figures(results, sound, self.mismatches)
            check_pictures(results, self.mismatches)
            check_baseline(results, self.mismatches)
        if current:
            check_claims(results, self.claims, self.mismatches)
        return Verification(
            mismatches=tuple(self.mismatches.lines),
            checksums=tuple(self.checksums),
            recomputed=tuple(names["recomputed"]),
            partly=tuple(names["partly"]),
            stated=tuple(names["stated"]),
            without=tuple(names["without"]),
            headline=_headline(results),
            unchecked=self.unchecked,
            unknown=tuple(dict.fromkeys(one.id for one in results.claims if one.id not in self.claims)),
        )

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


def _headline(results: Results) -> tuple[str, ...]:
    """The model, and how many claims have which verdict, by protocol."""
    lines = [f"model: {inert(results.model.name, 200)}"]
    for protocol in dict.fromkeys(claim.protocol for claim in results.claims):
        counts = Counter(claim.verdict for claim in results.claims if claim.protocol == protocol)
        said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
        lines.append(f"{protocol}: {said}")
    return tuple(lines)


def _holm_of(family: Sequence[ClaimRecord]) -> list[tuple[str, str]]:
    """Place and mismatch of each adjusted p-value that is not this family's."""
    try:
        adjusted = holm([claim.p_value for claim in family])
    except ValueError as error:
        return [("claims", str(error))]
    return [
        (named(claim), f"p_holm is {digits(claim.p_holm)}, and Holm's adjustment gives {digits(right)}")
        for claim, right in zip(family, adjusted, strict=True)
        if not same_p(claim.p_holm, right)
    ]
