"""How often data without structure pass each row's rule, as `make nulls` measured it."""

import json
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("nulls.json")


@cache
def _rows() -> dict[str, Any]:
    rows: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))["rows"]
    return rows


def passed(claim_id: str) -> list[dict[str, Any]]:
    """Of each null model its `name`, the share of draws that `passed` the row's rule, and the number of `draws`.

    Empty for a row of which no null model can be drawn, and for one that is not the post's.
    """
    return [
        {"name": name, "passed": found["replicated"] / found["draws"], "draws": found["draws"]}
        for name, found in _rows().get(claim_id, {}).items()
    ]
