"""`python -m tests.mutants`: try wrong changes to harness/ one at a time; 1 if the tests do not notice one.

--only NAME   the mutants whose name contains NAME;  --minutes N  begin none after so many (20);  --list  name them all
"""

import argparse
import signal
import sys
import time

from tests.mutants import running
from tests.mutants.listed import MUTANTS
from tests.mutants.mutant import outdated
from tests.mutants.running import Tried


def main() -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--only", default="", metavar="NAME")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--list", action="store_true")
    given = parser.parse_args()
    chosen = [one for one in MUTANTS if given.only in one.name]
    if given.list or not chosen:
        print("\n".join(f"{one.name}: {one.wrong}" for one in chosen or MUTANTS))
        return 0 if chosen else 2
    if faults := outdated(chosen):
        print("\n".join(["The list of mutants is out of date.", *faults]), file=sys.stderr)
        return 2
    # as Ctrl-C does: processes are ended and copies removed on the way out
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    begun = time.monotonic()
    tried = running.run(chosen, minutes=given.minutes, say=_say)
    print(f"\n{summary(tried)}\n{time.monotonic() - begun:.0f} s")
    return int(any(one.word != "noticed" for one in tried))


def _say(one: Tried) -> None:
    word = one.word if one.word == "noticed" else one.word.upper()
    print(f"{word:<9} {one.seconds:5.1f} s  {one.mutant.name}: {one.mutant.wrong}", flush=True)
    if one.why:
        print("    " + one.why.replace("\n", "\n    "), flush=True)


def summary(tried: list[Tried]) -> str:
    """As in "63 of 64 mutants were noticed, survivors: NAME"."""
    names = {
        word: [one.mutant.name for one in tried if one.word == word]
        for word in ("survived", "broken", "not tried")
    }
    noticed = sum(one.word == "noticed" for one in tried)
    more = "".join(f"; {word}: {', '.join(of)}" for word, of in names.items() if of and word != "survived")
    return f"{noticed} of {len(tried)} mutants were noticed, survivors: {', '.join(names['survived']) or 'none'}{more}"


if __name__ == "__main__":
    sys.exit(main())
