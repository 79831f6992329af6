"""Two files of benchmarks/results side by side: the two newest, or those named."""

import argparse
import json
from pathlib import Path

import common


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("files", nargs="*", type=Path, metavar="FILE")
    files = options.parse_args().files or sorted(common.RESULTS.glob("*.json"))[-2:]
    if len(files) != 2:
        raise SystemExit(f"Two files are compared; {len(files)} given or found in {common.RESULTS}.")
    try:
        before, after = (json.loads(path.read_text()) for path in files)
    except (OSError, ValueError) as error:
        raise SystemExit(f"No results of a benchmark: {error}") from error
    lines = []
    for name in sorted(before.keys() | after.keys()):
        old, new = (
            {row["what"]: row for row in found.get(name, {}).get("rows", [])} for found in (before, after)
        )
        for what in dict.fromkeys([*old, *new]):
            one, other = (side.get(what, {}).get("value") for side in (old, new))
            ratio = other / one if one and other is not None else None
            unit = (new.get(what) or old[what])["unit"]
            lines.append([name, what, unit, common.shown(one), common.shown(other), common.shown(ratio)])
    print(common.table(["benchmark", "what", "unit", files[0].stem, files[1].stem, "ratio"], lines))


if __name__ == "__main__":
    main()
