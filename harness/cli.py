"""`layerclaims`: report, compare, verify, cache, explain, schema, capture. Thin: each command calls one module.

Nothing heavy is imported before a command needs it, so that help and errors come at once.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from harness import __version__
from harness.errors import LayerclaimsError
from harness.files import shown

if TYPE_CHECKING:
    from harness.cache import Entry

FAILED, USAGE, INTERRUPTED, CLOSED_PIPE = 1, 2, 130, 141  # exit statuses besides 0
Command = Callable[[argparse.Namespace], int]


class UsageError(LayerclaimsError):
    """A mistake in what was typed, found after the options were parsed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status. `arguments` are those after the program's name.

    0: done. 1: it failed, or found what it was asked to fail on. 2: a mistake in the command line. 130: Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            # a terminal of another encoding shows an escape and not a traceback
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        parsed = _parser().parse_args(arguments)
        status = int(parsed.command(parsed))
        sys.stdout.flush()
    except LayerclaimsError as error:
        print(f"layerclaims: {_inert(error)}", file=sys.stderr)
        return USAGE if isinstance(error, UsageError) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # the reader has gone, as with `| head`; what Python still wants to flush must not complain either
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        return CLOSED_PIPE
    return status


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence."""

    def error(self, message: str) -> NoReturn:
        text = _inert(message)
        print(f"{self.prog}: {text[:1].upper()}{text[1:]}; see {self.prog} --help.", file=sys.stderr)
        raise SystemExit(USAGE)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="layerclaims",
        description="Reports, comparisons and checks of what `pytest claims/` measured.",
        epilog="example: layerclaims verify reports/smollm2-135m-instruct/report.pdf",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"layerclaims {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Parser)
    for add in (_add_report, _add_compare, _add_verify, _add_cache, _add_explain, _add_schema, _add_capture):
        add(commands)
    return parser


def _command(
    commands: Any, name: str, run: Command | None, what: str, example: str
) -> argparse.ArgumentParser:
    added: argparse.ArgumentParser = commands.add_parser(
        name,
        help=(what[0].lower() + what[1:]).partition(". ")[0].removesuffix("."),
        description=what,
        epilog=f"example: {example}",
        allow_abbrev=False,
    )
    if run is not None:
        added.set_defaults(command=run)
    return added


# --- report


def _add_report(commands: Any) -> None:
    parser = _command(
        commands,
        "report",
        _report,
        "Render reports again from results.json or PDF. No model is loaded; several files also give a board of "
        "claims by models, ordered by size.",
        "layerclaims report reports/gpt2/results.json --report html",
    )
    parser.add_argument("results", nargs="+", type=Path, metavar="RESULTS", help="results.json or report.pdf")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="reports/<model> for one file, reports for several"
    )
    parser.add_argument(
        "--report", default="pdf,html,md", metavar="FORMATS", help="any of pdf,html,md (pdf,html,md)"
    )


def _report(arguments: argparse.Namespace) -> int:
    from harness import report, results
    from harness.protocol import report_name

    formats = tuple(dict.fromkeys(name.strip() for name in arguments.report.split(",")))
    if unknown := [name for name in formats if name not in report.FORMATS]:
        raise UsageError(
            f"--report {shown(unknown[0])} is not possible: choose from {', '.join(report.FORMATS)}."
        )
    runs = [results.read(path) for path in arguments.results]
    names = _distinct([report_name(run["model"]["name"]) for run in runs])
    several = len(runs) > 1
    root = arguments.out or Path("reports")
    written: list[Path] = []
    for run, name in zip(runs, names, strict=True):
        directory = root / name if several or arguments.out is None else root
        written += report.render(run, directory, formats)
    if several:
        from harness import board

        made = board.make(runs)
        print(board.markdown(made))
        written += board.write(made, root, formats)
    for path in written:
        print(f"written: {_inert(path)}")
    return 0


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, each used once: a second one of the same spelling gets a number."""
    out: list[str] = []
    for name in names:
        candidate, number = name, 2
        while candidate in out:
            candidate, number = f"{name}-{number}", number + 1
        out.append(candidate)
    return out


# --- compare


def _add_compare(commands: Any) -> None:
    parser = _command(
        commands,
        "compare",
        _compare,
        "Compare two runs claim by claim. A claim regressed when its verdict got worse and the intervals "
        "separate; another sample of documents is no regression.",
        "layerclaims compare baseline.json reports/gpt2/results.json --fail-on regression",
    )
    parser.add_argument("baseline", type=Path, metavar="BASELINE", help="results.json or report.pdf")
    parser.add_argument("new", type=Path, metavar="NEW", help="results.json or report.pdf")
    parser.add_argument(
        "--fail-on",
        choices=("regression", "change"),
        help="exit 1 on a regression (or a claim that broke, or nothing comparable), or on any change",
    )


def _compare(arguments: argparse.Namespace) -> int:
    from harness import compare, results

    baseline, new = results.read(arguments.baseline), results.read(arguments.new)
    changes = compare.compare(baseline, new)
    print(compare.heading(baseline, new), compare.table(changes), sep="\n\n")
    return compare.exit_status(changes, arguments.fail_on)


# --- verify


def _add_verify(commands: Any) -> None:
    parser = _command(
        commands,
        "verify",
        _verify,
        "Recompute every verdict that a file allows. Estimates, intervals, p-values and verdicts are computed "
        "again from the counts per document; a mismatch exits with 1.",
        "layerclaims verify reports/gpt2/report.pdf",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="results.json or report.pdf")


def _verify(arguments: argparse.Namespace) -> int:
    from harness.verify import verify_file

    outcome = verify_file(arguments.file)
    print(outcome.text())
    return FAILED if outcome.mismatches else 0


# --- cache


def _add_cache(commands: Any) -> None:
    parser = _command(
        commands, "cache", None, "List, check or empty the cache directory.", "layerclaims cache list"
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, parser_class=_Parser)
    made = [
        _command(
            actions,
            "list",
            _cache_list,
            "Show entries with size, age, model and corpus.",
            "layerclaims cache list",
        ),
        _command(
            actions,
            "verify",
            _cache_verify,
            "Read every byte again and compare checksums; damage exits with 1.",
            "layerclaims cache verify",
        ),
        _command(
            actions,
            "prune",
            _cache_prune,
            "Remove entries, all of them or those not used for some days.",
            "layerclaims cache prune --older-than 30",
        ),
        _command(actions, "path", _cache_path, "Print the cache directory.", "layerclaims cache path"),
    ]
    for action in made:
        action.add_argument("--cache-dir", type=Path, metavar="DIR", help="~/.cache/layerclaims")
    which = made[2].add_mutually_exclusive_group(required=True)
    which.add_argument("--older-than", type=_days, metavar="DAYS", help="not used for this many days")
    which.add_argument("--all", action="store_true", help="all entries")


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 <= days < 1e6:
        raise argparse.ArgumentTypeError(f"{shown(text)} is no number of days")
    return days


def _cache_dir(arguments: argparse.Namespace) -> Path:
    from harness.cache import default_cache_dir

    return Path(arguments.cache_dir).expanduser() if arguments.cache_dir is not None else default_cache_dir()


def _cache_list(arguments: argparse.Namespace) -> int:
    import time

    from harness.cache import DAY, entries

    found = entries(_cache_dir(arguments))
    now = time.time()
    for entry in found:
        age = max(0.0, now - entry.used) / DAY
        print(f"{_size(entry.size):>9}  used {_ago(age):<14}  {_described(entry)}")
    print(
        f"{_size(sum(entry.size for entry in found))} in {len(found)} entries of {_inert(_cache_dir(arguments))}"
    )
    return 0


def _cache_verify(arguments: argparse.Namespace) -> int:
    from harness.cache import damaged, entries

    found = entries(_cache_dir(arguments))
    status = 0
    for entry in found:
        bad = damaged(entry)
        status = FAILED if bad else status
        word = (
            f"DAMAGED: {', '.join(map(_inert, bad))}"
            if bad
            else "sound"
            if entry.state == "whole"
            else entry.state
        )
        print(f"{_described(entry)}: {word}")
    if status:
        print("The next run captures or computes again what is damaged; or: layerclaims cache prune --all")
    return status


def _cache_prune(arguments: argparse.Namespace) -> int:
    from harness.cache import prune

    freed, status = 0, 0
    for removal in prune(_cache_dir(arguments), older_than=None if arguments.all else arguments.older_than):
        if removal.kept:
            status = FAILED
            print(f"kept     {_described(removal.entry)}: {_inert(removal.kept)}")
        else:
            freed += removal.entry.size
            print(f"removed  {_described(removal.entry)}: {_size(removal.entry.size)}")
    print(f"{_size(freed)} freed")
    return status


def _cache_path(arguments: argparse.Namespace) -> int:
    print(_inert(_cache_dir(arguments)))
    return 0


def _described(entry: "Entry") -> str:
    about = f"  {_inert(entry.model)} on {_inert(entry.corpus)}" if entry.model else ""
    note = "" if entry.state == "whole" else f" ({entry.state})"
    return f"{entry.kind}/{entry.key}{about}{note}"


def _size(n: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if n < 999.5 or unit == "GB":
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1000
    raise AssertionError


def _ago(days: float) -> str:
    if days < 1:
        return "today"
    return f"{days:.0f} day{'s' if days >= 1.5 else ''} ago"


# --- explain, schema


def _add_explain(commands: Any) -> None:
    parser = _command(
        commands,
        "explain",
        _explain,
        "Explain a claim, or list them all. What the post says, what is estimated, the rule and why, and the code.",
        "layerclaims explain norm-is-a-feature",
    )
    parser.add_argument("id", nargs="?", metavar="ID", help="a claim; without it, all ids are listed")


def _explain(arguments: argparse.Namespace) -> int:
    from harness.catalogue import entries

    found = entries()
    if arguments.id is None:
        for name, entry in found.items():
            print(f"{name:<44} {_inert(entry.claim.statement)}")
        return 0
    if arguments.id not in found:
        from difflib import get_close_matches

        near = get_close_matches(arguments.id[:200], found, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else "; layerclaims explain lists them."
        raise UsageError(f"There is no claim {shown(arguments.id)}{hint}")
    entry = found[arguments.id]
    row = entry.claim
    for label, text in (
        ("claim", row.id),
        ("section", row.section),
        ("the post says", row.statement),
        ("where", row.source),
        ("it reported", row.reported or "no number"),
        ("estimated is", row.estimand),
        ("rule", entry.rule),
        ("why this rule", row.rationale or "not stated"),
        ("code", entry.location),
    ):
        print(_paragraph(label, _inert(text)))
    return 0


def _paragraph(label: str, text: str) -> str:
    import textwrap

    return textwrap.fill(
        text, 100, initial_indent=f"{label:<15}", subsequent_indent=" " * 15, break_on_hyphens=False
    )


def _add_schema(commands: Any) -> None:
    _command(
        commands,
        "schema",
        _schema,
        "Print the JSON Schema of results.json.",
        "layerclaims schema > results.schema.json",
    )


def _schema(_: argparse.Namespace) -> int:
    import json

    from harness.results import schema

    print(json.dumps(schema(), indent=2))
    return 0


# --- capture


def _add_capture(commands: Any) -> None:
    parser = _command(
        commands,
        "capture",
        _capture,
        "Capture a model's states and stop there. A later run of the claims finds them in the cache.",
        "layerclaims capture gpt2 --corpus imdb --corpus ag_news --n-texts 1000",
    )
    parser.add_argument("model", metavar="MODEL", help="as pytest's --model: a hub id, a path, or 'embedded'")
    parser.add_argument(
        "--corpus", action="append", metavar="NAME", help="repeatable; without it, both corpora of the model"
    )
    parser.add_argument("--profile", help="quick: 200 texts; paper (default): 1,000; pile: 5,000")
    parser.add_argument("--n-texts", type=int, metavar="N", help="texts of each corpus")
    parser.add_argument("--context", type=int, metavar="N", help="tokens of each text (30)")
    parser.add_argument("--seed", type=int, metavar="N", help="of the choice of texts (0)")
    parser.add_argument("--dtype", help="of model and states: float32 (default), bfloat16 or float16")
    parser.add_argument("--device", default="auto", metavar="NAME", help="auto (default), cpu, cuda, mps")
    parser.add_argument("--batch-size", type=int, metavar="N", help="texts in a forward pass (auto)")
    parser.add_argument("--cache-dir", type=Path, metavar="DIR", help="~/.cache/layerclaims")
    parser.add_argument("--offline", action="store_true", help="never ask the hub")


def _capture(arguments: argparse.Namespace) -> int:
    from functools import cache

    from harness import corpora, progress
    from harness.protocol import resolve_options
    from harness.sources import check_model_name, resolve

    given = {
        name: (getattr(arguments, name), "command line")
        for name in ("model", "profile", "n_texts", "context", "seed", "dtype")
        if getattr(arguments, name) is not None
    }
    protocol = resolve_options(given)
    if arguments.batch_size is not None and arguments.batch_size < 1:
        raise UsageError(f"--batch-size {arguments.batch_size} is not possible: it has to be above 0.")
    names = list(dict.fromkeys(arguments.corpus or (protocol.corpus, protocol.transfer_corpus)))
    check_model_name(protocol.model)
    for name in names:
        corpora.check_corpus_name(name)
    progress.attach()
    from harness.capture import capture
    from harness.models import LanguageModel

    source = resolve(protocol.model, offline=arguments.offline)

    @cache
    def load() -> LanguageModel:
        return LanguageModel.load(source, device=arguments.device, dtype=protocol.dtype)

    for name in names:
        store = capture(
            source,
            corpora.load_corpus(name, offline=arguments.offline),
            cache_dir=_cache_dir(arguments),
            n_texts=protocol.n_texts,
            context=protocol.context,
            seed=protocol.seed,
            dtype=protocol.dtype,
            device=arguments.device,
            batch_size=arguments.batch_size,
            load=load,
        )
        print(
            f"{_inert(name)}: {store.n_states} states x {store.n_documents} texts x {store.n_positions} tokens "
            f"x {store.hidden_size} in {_inert(store.directory)}"
        )
    return 0


def _inert(text: object) -> str:
    """Text for a terminal, on one line and whole: control and direction characters are escaped."""
    return shown(text, limit=100_000)[1:-1]


if __name__ == "__main__":
    sys.exit(main())
