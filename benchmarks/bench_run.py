"""The whole run, cold and warm, and what a user waits for before anything is computed."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common

TEXTS, FULL = 40, 200


def command(*arguments: str) -> tuple[float, float]:
    """Seconds and peak bytes of a command that has to succeed."""
    print(f"  {' '.join(arguments)} ...", file=sys.stderr, flush=True)
    begin = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(common.ROOT)}
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name(arguments[0])), *arguments[1:]], cwd=common.ROOT, env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(arguments)} ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - begin, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    options = common.parser(__doc__ or "")
    options.add_argument("--corpus", default="embedded:movies")
    options.add_argument("--transfer-corpus", default="embedded:news")
    options.add_argument("--n-texts", type=int, help=f"{TEXTS}, with --full {FULL}")
    given = options.parse_args()
    texts = given.n_texts or (FULL if given.full else TEXTS)
    with tempfile.TemporaryDirectory() as directory:
        run = (
            "pytest", "claims/", "--verdicts-only", "--n-texts", str(texts), "--cache-dir", f"{directory}/cache",
            "--corpus", given.corpus, "--transfer-corpus", given.transfer_corpus, "--out", f"{directory}/out",
        )  # fmt: skip
        cold, peak = command(*run)
        warm, _ = command(*run)
        collected, _ = command(*run, "--collect-only", "-q")
        results = f"{directory}/out/results.json"
        rows = [
            common.row("cold", cold, "s", target="12 min with 1,000 texts"),
            common.row("warm", warm, "s", peer=cold, target="10 s"),
            common.row("collection alone", collected, "s", target="4 s"),
            common.row("peak memory, cold", peak / 1e9, "GB"),
            common.row("layerclaims --help", command("layerclaims", "--help")[0], "s", target=".5 s"),
            common.row("layerclaims verify", command("layerclaims", "verify", results)[0], "s"),
            common.row("layerclaims compare", command("layerclaims", "compare", results, results)[0], "s"),
        ]
    common.write(
        "run", rows, texts=texts, corpora=f"{given.corpus} and {given.transfer_corpus}", claims="all"
    )


if __name__ == "__main__":
    main()
