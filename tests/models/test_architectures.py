"""Every causal-LM type of transformers: its states are read rightly, or refused for the reason that is written down."""

import dataclasses

import pytest
import transformers

from tests import architectures
from tests.test_packaging import LOCK, pins


def test_what_is_written_down_is_of_the_pinned_transformers():
    """The types of another version would be compared with nothing."""
    assert architectures.recorded()["transformers"] == pins(LOCK)["transformers"], "run make architectures"


@pytest.mark.parametrize("kind", architectures.kinds())
def test_states_are_read_rightly_or_refused_for_the_reason_written_down(kind, tmp_path):
    found = architectures.examine(kind, tmp_path)
    record = architectures.recorded()
    if record["transformers"] == transformers.__version__:
        assert dataclasses.asdict(found) == record["types"][kind], "if this is right, run make architectures"
