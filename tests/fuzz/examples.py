"""How many examples a test tries, and files that are nearly sound."""

import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

THOROUGH = (
    os.environ.get("FUZZ") == "thorough"
)  # as `make faults` says; without it the same examples each time
TIMES = 10  # as many examples then: five minutes in two processes


def fuzzed(examples: int, **more: Any) -> settings:
    """Settings of a test that tries so many examples in `make test`."""
    return settings(
        max_examples=examples * (TIMES if THOROUGH else 1),
        derandomize=not THOROUGH,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        **more,
    )


# where (as a share of the file), what is done there, with which bytes, over how many
EDIT = st.tuples(
    st.floats(0, 1),
    st.sampled_from(["set", "insert", "delete", "repeat", "cut"]),
    st.one_of(
        st.binary(min_size=1, max_size=8),
        st.sampled_from(
            [b"\0", b"\xff", b"[", b"{", b'"', b"\n", b"\r", b",", b"-1", b"1e999", b"NaN", b"null"]
        ),
        st.sampled_from(
            [b"9" * 5000, b"[" * 2000, (2**63).to_bytes(8, "little"), (2**64 - 1).to_bytes(8, "little")]
        ),
    ),
    st.integers(1, 64),
)
EDITS = st.lists(EDIT, min_size=1, max_size=4)
Edits = list[tuple[float, str, bytes, int]]


def edited(data: bytes, edits: Edits) -> bytes:
    """The bytes after some edits."""
    for share, what, new, length in edits:
        at = int(share * len(data))
        if what == "set":
            data = data[:at] + new + data[at + len(new) :]
        elif what == "insert":
            data = data[:at] + new + data[at:]
        elif what == "delete":
            data = data[:at] + data[at + length :]
        elif what == "repeat":
            data = data[:at] + data[at : at + length] * 3 + data[at + length :]
        else:
            data = data[:at]
    return data


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
        st.sampled_from([10**400, -1, 0, 2**63, "\ud800", "../x", "a" * 5000]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)  # fmt: skip


def expect_sentence(error: Exception) -> None:
    """Fail unless an error says one line that can be shown, of a length that somebody reads."""
    text = str(error)
    assert text.isprintable(), repr(text)[:300]
    assert len(text.split()) >= 4, text
    assert len(text) < 2000, f"{len(text)} characters"
