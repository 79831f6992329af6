"""What a capture takes of a device beside the weights: as much for a deep model as for a shallow one."""

import pytest
import torch
from layerclaims.models.model import LanguageModel
from layerclaims.models.source import resolve

from tests import tiny
from tests.alive import Alive

DEPTH = {"gpt2": "n_layer", "llama": "num_hidden_layers", "mixtral": "num_hidden_layers"}


@pytest.fixture
def peak(tmp_path):
    """Bytes that live at a time, at most, while the states of some texts are read at a depth."""

    def found(architecture, blocks, *, times=1, **changes):
        place = tmp_path / f"{blocks}-{times}"
        tiny.build(architecture, place, **{DEPTH[architecture]: blocks}, **changes)
        model = LanguageModel.load(resolve(str(place)), device="cpu")
        ids = torch.tensor([model.encode(text)[:12] for text in tiny.texts(4)])
        out = torch.empty(
            model.n_states, *ids.shape, model.facts.hidden_size
        )  # the machine's, not the device's
        with Alive() as alive:
            for _ in range(times):
                model.states(ids, out=out)
        assert model.facts.n_blocks == blocks
        assert alive.peak > ids.numel() * model.facts.hidden_size * 4  # one state at least
        return alive.peak

    return found


@pytest.mark.parametrize("architecture", DEPTH)
def test_does_not_grow_with_depth(peak, architecture):
    assert peak(architecture, 2) == peak(architecture, 10)


def test_does_not_grow_with_the_number_of_batches(peak):
    assert peak("llama", 3) == peak("llama", 3, times=3)


@pytest.mark.parametrize(
    "asked",
    [
        {"output_hidden_states": True},
        {"output_attentions": True, "attn_implementation": "eager"},
    ],
    ids=["hidden states", "attentions"],
)
@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_nor_where_a_configuration_asks_for_something_of_every_block(peak, architecture, asked):
    assert peak(architecture, 2, **asked) == peak(architecture, 10, **asked)


def test_nor_for_the_logits_of_routers(peak):
    asked = {"output_router_logits": True}
    assert peak("mixtral", 2, **asked) == peak("mixtral", 10, **asked)
