"""Fits on a GPU, pretended here: nothing there mixes with the processor's, and what comes out is the same."""

import layerclaims.probing.probe
import numpy as np
import pytest
import torch
from layerclaims.errors import LayerclaimsError
from layerclaims.probing.objective import TrainingSet
from layerclaims.probing.probe import LayerProbe
from layerclaims.probing.sgd import Task, fit_sgd
from layerclaims.probing.transforms import one_scale, standardised_unit
from layerclaims.runtime import devices

from tests import pretend

N, D, K = 20_000, 12, 4


@pytest.fixture(scope="module")
def data():
    """Vectors [N, D] of K classes, and their labels."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, K, N)
    return (0.5 * rng.standard_normal((K, D))[y] + rng.standard_normal((N, D))).astype(np.float32), y


@pytest.fixture(params=["there", "streamed"])
def room(request, monkeypatch):
    """A device that holds the matrix, or has no room for it."""
    monkeypatch.setattr(devices, "free_on", lambda _: None if request.param == "there" else 1)


class TestProbe:
    @pytest.mark.parametrize("unit", [False, True])
    @pytest.mark.usefixtures("room")
    def test_is_the_processors(self, data, unit, monkeypatch):
        X, y = data
        noise = np.random.default_rng(1).integers(0, K, N)  # one ends long before the other
        sets = [
            TrainingSet(rows=[slice(0, 15_000)], y=y),
            TrainingSet(rows=[slice(5_000, N)], y=noise),
        ]
        own = LayerProbe().fit_together(X, sets, unit=unit, n_labels=K)
        with pretend.gpu(monkeypatch):
            there = LayerProbe(device=pretend.GPU).fit_together(X, sets, unit=unit, n_labels=K)
        for a, b in zip(own, there, strict=True):
            assert a.certificate.converged
            assert b.certificate.converged
            np.testing.assert_allclose(b.weights, a.weights, atol=1e-3)
            assert np.mean(a.predict(X) == b.predict(X)) > 0.999

    def test_is_of_float32_where_the_processor_has_bfloat16(self, data, monkeypatch):
        X, y = data
        types, to = set(), torch.Tensor.to
        monkeypatch.setattr(layerclaims.probing.probe, "multiplies_bfloat16", lambda: True)
        monkeypatch.setattr(layerclaims.probing.objective, "MANY", 100)  # few rows are sampled too

        def seen(tensor, *args, **kwargs):
            types.update(one for one in args if isinstance(one, torch.dtype))
            return to(tensor, *args, **kwargs)

        monkeypatch.setattr(torch.Tensor, "to", seen)
        LayerProbe().fit(X, y)
        assert torch.bfloat16 in types
        types.clear()
        with pretend.gpu(monkeypatch):
            LayerProbe(device=pretend.GPU).fit(X, y)
        assert types == {torch.float32}  # the errors' own


@pytest.mark.usefixtures("room")
def test_plain_sgd_is_the_processors(data, monkeypatch):
    X, y = data
    every = np.arange(N)
    tasks = [
        Task(train=every[:5000], test=every[-500:], seed=(1,), epochs=2, marks=(3,)),
        Task(
            train=every[:5000],
            test=every[-500:],
            seed=(1,),
            epochs=2,
            transform=standardised_unit(X, every),
            test_transform=one_scale(X, every, unit=True),
        ),
    ]
    own = fit_sgd(X, y, tasks, n_labels=K)
    with pretend.gpu(monkeypatch):
        there = fit_sgd(X, y, tasks, n_labels=K, device=pretend.GPU)
    for a, b in zip(own, there, strict=True):
        np.testing.assert_allclose(b.weights, a.weights, atol=1e-6)
        np.testing.assert_allclose(b.curve.loss, a.curve.loss, rtol=1e-6)
        np.testing.assert_array_equal(b.curve.accuracy, a.curve.accuracy)
        assert b.gradient_norm == pytest.approx(a.gradient_norm, rel=1e-5)


def test_the_pretended_gpu_refuses_what_a_real_one_refuses(monkeypatch):
    with pretend.gpu(monkeypatch):
        there = torch.ones(2, device=pretend.GPU)
        with pytest.raises(RuntimeError, match="same device"):
            there + torch.ones(2)
        with pytest.raises((TypeError, RuntimeError)):
            there.numpy()
        assert (there + there).cpu().tolist() == [2, 2]


def test_a_matrix_lies_on_the_device_where_there_is_room(monkeypatch):
    matrix, device = torch.ones(3, 4), torch.device(pretend.GPU)  # 48 bytes
    with pretend.gpu(monkeypatch):
        for free, there in ((None, True), (64, True), (63, False)):
            monkeypatch.setattr(devices, "free_on", lambda _, free=free: free)
            assert (devices.placed(matrix, device).device == device) == there


class TestComputing:
    def test_memory_that_runs_out_is_one_sentence(self):
        with (
            pytest.raises(
                LayerclaimsError, match=r"^The fit ran out of the memory of cuda:1; .*--device cpu\.$"
            ),
            devices.computing("The fit", "cuda:1"),
        ):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    def test_another_error_stays(self):
        with (
            pytest.raises(RuntimeError, match="another"),
            devices.computing("The fit", "cuda"),
        ):
            raise RuntimeError("another")

    @pytest.mark.parametrize("allowed", ["highest", "high", "medium"])
    def test_products_are_of_float32_whatever_the_process_allows(self, allowed):
        torch.set_float32_matmul_precision(allowed)
        try:
            with devices.computing("The fit", "cuda"):
                assert not torch.backends.cuda.matmul.allow_tf32
                assert torch.get_float32_matmul_precision() == "highest"
            assert torch.get_float32_matmul_precision() == allowed
        finally:
            torch.set_float32_matmul_precision("highest")

    def test_also_where_it_was_allowed_for_gpus_alone(self):
        products = torch.backends.cuda.matmul
        products.allow_tf32 = True
        try:
            with devices.computing("The fit", "cuda"):
                assert not products.allow_tf32
            assert products.allow_tf32
        finally:
            products.allow_tf32 = False

    @pytest.mark.skipif(
        not hasattr(torch.backends.cuda.matmul, "fp32_precision"), reason="torch has one name"
    )
    @pytest.mark.parametrize("allowed", ["tf32", "ieee"])
    def test_also_where_it_was_allowed_by_the_newer_name(self, allowed):
        products = torch.backends.cuda.matmul
        products.fp32_precision = allowed
        try:
            with devices.computing("The fit", "cuda"):
                assert products.fp32_precision == "ieee"
                assert not products.allow_tf32  # torch says so only where both names say the same
            assert products.fp32_precision == allowed
        finally:
            products.fp32_precision = "none"

    def test_a_fit_computes_so(self, data, monkeypatch):
        seen = []
        monkeypatch.setattr(
            layerclaims.probing.probe,
            "computing",
            lambda what, device: seen.append(device) or devices.computing(what, device),
        )
        with pretend.gpu(monkeypatch):
            LayerProbe(device=pretend.GPU).fit(data[0][:100], data[1][:100])
        assert seen == [pretend.GPU]
