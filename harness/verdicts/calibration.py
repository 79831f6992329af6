"""How often each row's verdict is wrong, as `make calibrate` measured it on data with a known truth."""

import json
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("calibration.json")
CONFIDENCE = 0.95


@cache
def _rows() -> dict[str, Any]:
    rows: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))["rows"]
    return rows


def rates(claim_id: str) -> dict[str, Any] | None:
    """The error rates of a row at its border, with exact 95 % intervals; None for a row that is not calibrated.

    At the border the truth lies exactly at the pass mark. REPLICATED and NOT_REPLICATED are both wrong there, and no
    other truth is mistaken as often. `plants` is the number of data sets drawn there. Intervals are Clopper and
    Pearson's.
    """
    row = _rows().get(claim_id)
    if row is None:
        return None
    (border,) = (cell for cell in row["cells"] if cell["knob"] == row["border"])
    out: dict[str, Any] = {}
    for verdict in ("replicated", "not_replicated"):
        share, low, high = share_of(border[verdict], border["plants"])
        out[f"false_{verdict}"], out[f"false_{verdict}_interval"] = share, [low, high]
    return {**out, "plants": border["plants"]}


def share_of(count: int, n: int) -> tuple[float, float, float]:
    """A share and its exact interval (Clopper, Pearson 1934), by quantiles of the beta distribution."""
    from scipy.special import betaincinv  # scipy.stats, which has it ready, takes half a second to load

    tail = (1 - CONFIDENCE) / 2
    low = 0.0 if count == 0 else float(betaincinv(count, n - count + 1, tail))
    high = 1.0 if count == n else float(betaincinv(count + 1, n - count, 1 - tail))
    return count / n, low, high
