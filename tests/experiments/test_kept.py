"""Values on disk: computed once, read exactly, computed again when damaged."""

import numpy as np
import pytest
from layerclaims.experiments.kept import KeptValues
from layerclaims.experiments.measurement import Values


def values(seed=0):
    rng = np.random.default_rng(seed)
    return Values(
        arrays={
            "weights": rng.standard_normal((3, 4)),
            "counts": np.asfortranarray(rng.integers(0, 9, (5, 2))),
        },
        facts={"certificates": [{"converged": True, "relative_gap": None}]},
    )


MADE_OF = {"0a" * 16: "f" * 64}  # key and digest of a store


class Counted:
    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return values()


def assert_same(one, other):
    assert one.facts == other.facts
    assert one.arrays.keys() == other.arrays.keys()
    for name in one.arrays:
        np.testing.assert_array_equal(one.arrays[name], other.arrays[name])


def test_is_computed_once_and_read_exactly_ever_after(tmp_path):
    compute = Counted()
    kept = KeptValues(tmp_path)
    assert_same(kept.get("linear", compute, MADE_OF), values())
    assert_same(kept.get("linear", compute, MADE_OF), values())
    assert_same(KeptValues(tmp_path).get("linear", compute, MADE_OF), values())
    assert compute.calls == 1


def test_names_do_not_meet(tmp_path):
    kept = KeptValues(tmp_path)
    kept.get("one", lambda: values(1), MADE_OF)
    assert_same(kept.get("two", lambda: values(2), MADE_OF), values(2))


@pytest.mark.parametrize("where", [0.01, 0.3, 0.9])
def test_a_flipped_byte_is_noticed_and_the_number_computed_again(tmp_path, where):
    compute = Counted()
    KeptValues(tmp_path).get("linear", compute, MADE_OF)
    path = tmp_path / "linear.safetensors"
    data = bytearray(path.read_bytes())
    data[int(where * len(data))] ^= 0x10
    path.write_bytes(data)
    assert_same(KeptValues(tmp_path).get("linear", compute, MADE_OF), values())
    assert compute.calls == 2


@pytest.mark.parametrize("size", [0, 7, 100])
def test_a_file_cut_short_is_computed_again(tmp_path, size):
    compute = Counted()
    KeptValues(tmp_path).get("linear", compute, MADE_OF)
    path = tmp_path / "linear.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    assert_same(KeptValues(tmp_path).get("linear", compute, MADE_OF), values())
    assert compute.calls == 2


def test_a_failed_computation_leaves_nothing(tmp_path):
    def fail():
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        KeptValues(tmp_path).get("linear", fail, MADE_OF)
    assert_same(KeptValues(tmp_path).get("linear", values, MADE_OF), values())


def test_what_another_process_computes_is_left_to_it(tmp_path):
    compute, other = Counted(), KeptValues(tmp_path)
    with other.if_free("x") as free:
        assert free
        assert not KeptValues(tmp_path).attempt("x", compute, MADE_OF)
    assert compute.calls == 0
    kept = KeptValues(tmp_path)
    assert kept.attempt("x", compute, MADE_OF)
    assert KeptValues(tmp_path).attempt("x", compute, MADE_OF)  # it is there: nothing is left to do
    assert compute.calls == 1
