"""What became of a trial: right, refused with one sentence, or wrong."""

import json
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.faults.forks import Ended

Word = Literal["right", "refused", "wrong", "not possible here"]
Numbers = dict[str, Any]
# what is another one in each run, and words about numbers
PASSED_OVER = {"seconds", "reason", "note"}
COMPARED = ("claims", "documents", "figures", "pictures", "corpora", "model")
CRASH = re.compile(r"Traceback \(most recent call last\)|INTERNALERROR|Fatal Python error|Segmentation fault")
PYTHON_S = re.compile(r"Traceback \(most recent call last\):\n(?:[ \t].*\n)*KeyboardInterrupt")
SENTENCE = re.compile(r"(ERROR|mismatch|layerclaims[\w ]*|\S+: error|E  |!!+)[: ] *(\S+ +){3}\S+")
RAISED = re.compile(r"^\w*(Error|Exception|Interrupt)\b")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a trial."""

    word: Word
    detail: str = ""

    @classmethod
    def wrong(cls, what: str, ended: Ended | None = None) -> "Outcome":
        """A fault of layerclaims, with the end of what it printed."""
        said = (
            ""
            if ended is None
            else " | " + " / ".join(line for line in ended.lines[-4:] if line.strip())[-400:]
        )
        return cls(word="wrong", detail=what + said)


RIGHT, REFUSED = Outcome(word="right"), Outcome(word="refused")


class UnreadableError(Exception):
    """A results file that is there and is none."""


def read(path: Path) -> Numbers | None:
    """What a results file says in numbers; None where there is none; raises UnreadableError."""
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise UnreadableError(str(error)) from error
    found: Numbers = _numbers({name: content.get(name) for name in COMPARED})
    found["claims"] = {f"{claim['id']} {claim.get('protocol')}": claim for claim in found["claims"]}
    for claim in content["claims"]:  # the words of what could not be judged are looked at
        found["claims"][f"{claim['id']} {claim.get('protocol')}"]["why"] = (
            claim["reason"] if claim["verdict"] == "ERROR" else ""
        )
    return found


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _numbers(item) for name, item in value.items() if name not in PASSED_OVER}
    return [_numbers(item) for item in value] if isinstance(value, list) else value


def fault(ended: Ended, *, sent: Sequence[int] = ()) -> str:
    """What no run may do, whatever was done to it; "" where it did not. `sent` are signals that may end it."""
    if ended.hung:
        return "it did not end"
    # Ctrl-C before pytest's session, after it, or while Python calls back from C is answered by Python
    text = PYTHON_S.sub("", ended.text) if signal.SIGINT in sent else ended.text
    if found := CRASH.search(text):
        return f"{found[0]}"
    if ended.status < 0 and -ended.status not in sent:
        return f"it died of signal {-ended.status}"
    return ""


def of_run(ended: Ended, path: Path, *, status: int, right: Numbers, sent: Sequence[int] = ()) -> Outcome:
    """A run of claims against the one that nothing disturbed: its exit status and its numbers."""
    if what := fault(ended, sent=sent):
        return Outcome.wrong(what, ended)
    try:
        found = read(path)
    except UnreadableError as error:
        return Outcome.wrong(f"results.json is half written: {error}", ended)
    if found is None:
        return refusal(ended)
    if found == right:
        return (
            RIGHT if ended.status == status else Outcome.wrong(f"right numbers, status {ended.status}", ended)
        )
    return _partly(found, right, ended)


def _partly(found: Numbers, right: Numbers, ended: Ended) -> Outcome:
    """Numbers that are not all the right ones: those that are missing must be said to be."""
    for name, claim in found["claims"].items():
        if claim["verdict"] == "ERROR":
            if RAISED.search(claim["why"]):
                return Outcome.wrong(f"{name} ends in an exception: {claim['why'][:200]}")
        elif claim != right["claims"].get(name):
            # what is adjusted for the other claims follows from how many those are
            rest = {k for k in claim if claim[k] != right["claims"].get(name, {}).get(k)} - {
                "p_holm",
                "survives_holm",
            }
            if rest:
                return Outcome.wrong(f"{name} has other numbers: {', '.join(sorted(rest))}", ended)
    for name, series in (found["documents"] or {}).items():
        if series != right["documents"].get(name):
            return Outcome.wrong(f"the counts {name} are others", ended)
    if all(claim["verdict"] != "ERROR" for claim in found["claims"].values()):
        unlike = [name for name in COMPARED if found[name] != right[name]]
        return Outcome.wrong(f"results.json is another one in {', '.join(unlike)}", ended)
    return REFUSED if ended.status else Outcome.wrong("claims without a verdict, and status 0", ended)


def refusal(ended: Ended) -> Outcome:
    """A run that wrote nothing: it has to say why, in a sentence, with a status that is not 0."""
    if what := fault(ended):
        return Outcome.wrong(what, ended)
    if ended.status == 0:
        return Outcome.wrong("status 0, and nothing was written", ended)
    said = [line for line in ended.lines if SENTENCE.match(line)]
    if not said:
        return Outcome.wrong(f"status {ended.status} without a sentence", ended)
    if ugly := [line for line in said if not line.isprintable() or len(line) > 2000]:
        return Outcome.wrong(f"a sentence that is not fit to be shown: {ugly[0][:120]!r}")
    if len(errors := [line for line in said if line.startswith("ERROR")]) > 1:
        return Outcome.wrong(f"{len(errors)} sentences in place of one", ended)
    return REFUSED
