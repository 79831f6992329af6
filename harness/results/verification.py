"""Verification: what a verification found, as data and in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# What a file may say and nothing here can contradict. Whatever is not named is held against something.
STATED: Final = (
    "when, where and how it was run (date, command, machine, versions, seconds, where options came from)",
    "which weights and texts were read (revisions, hashes, numbers of parameters and of skipped texts)",
    "numbers that follow from no counts, but for their agreement with one another and with the rule",
    "certificates of probes, controls, facts, verdicts on an untrained twin, reasons of what was not tested",
    "pictures of the states, figures but for recalls, and the steps of a walk between its ends",
    "what a baseline says, and why a claim cannot be compared with it",
)


@dataclass(frozen=True, kw_only=True)
class Pages:
    """What became of a PDF's pages."""

    same: int | None = None  # as many pages are, byte for byte, those that the attached results give
    mismatches: tuple[str, ...] = ()
    unseen: str = ""  # why they were not looked at; empty where they were


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
    headline: tuple[str, ...]  # the model, and how many claims have which verdict, a line for each protocol
    unchecked: str = ""  # why rules and texts were not held against the claims' code; empty where they were
    pages: Pages | None = None  # None: no PDF

    @property
    def verified(self) -> bool:
        """Whether nothing in the file contradicts anything else, or the code at hand."""
        return not self.mismatches

    def text(self) -> str:
        """For a terminal: the mismatches, then what was and what could not be computed again."""
        lines = [f"mismatch: {line}" for line in self.mismatches]
        for names, what in (
            (self.recomputed, "recomputed from the counts per document, and equal"),
            (self.partly, "recomputed in part; the other parts cannot be recomputed from this file"),
            (self.stated, "cannot be recomputed from this file; the stated intervals give the same verdicts"),
            (self.without, "without numbers, because they were not tested or ended in an error"),
        ):
            if names:
                lines += [f"{len(names)} {what}:", *(f"  {name}" for name in names)]
        if self.unknown:
            lines.append(_unknown(self.unknown))
        if self.unchecked:
            lines.append(f"Rules and texts of the claims were not checked: {self.unchecked}.")
        lines += [f"checksum right: {name}" for name in self.checksums]
        lines.append(f"Taken as stated: {'; '.join(STATED)}.")
        lines += self._said_of_pages()
        return "\n".join([*lines, self.conclusion])

    @property
    def conclusion(self) -> str:
        """The last line: whether it is verified, and how much of it."""
        if self.mismatches:
            return f"NOT VERIFIED: {_counted(len(self.mismatches), 'mismatch', 'mismatches')}."
        limits = []
        if self.pages is not None and self.pages.same is None:
            limits.append("of the attached results, not of the pages")
        if self.unchecked:
            limits.append("of numbers, not of rules and texts")
        counts = [
            (len(names), what)
            for names, what in (
                (self.recomputed, "recomputed and equal"),
                (self.partly, "recomputed in part"),
                (self.stated, "cannot be recomputed but agree with their intervals"),
                (self.without, "without numbers"),
            )
            if names
        ]
        said = "; ".join(
            f"{n} {what}" if index else f"{_counted(n, 'verdict', 'verdicts')} {what}"
            for index, (n, what) in enumerate(counts)
        )
        scope = f" ({'; '.join(limits)})" if limits else ""
        return f"VERIFIED{scope}: {said or 'no claim at all'}."

    def _said_of_pages(self) -> list[str]:
        if self.pages is None:
            return []
        if self.pages.same is not None:
            pages = _counted(self.pages.same, "page is the one", "pages are those")
            return [f"The {pages} that these results give, byte for byte."]
        if not self.pages.unseen:
            return []
        if self.mismatches:
            return [f"The pages of the PDF were not looked at: {self.pages.unseen}."]
        return [
            f"The pages of the PDF were not looked at: {self.pages.unseen}. They have to say:",
            *(f"  {line}" for line in self.headline),
        ]


def _counted(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"


def _unknown(ids: Sequence[str]) -> str:
    said, files = (
        ("claim is not known here, its rule was", "its file")
        if len(ids) == 1
        else ("claims are not known here, their rules were", "their files")
    )
    return f"{len(ids)} {said} not checked: {', '.join(ids)} (name {files} with --claims)"
