"""Eigenvalues and principal directions of covariances [d, d], in float64 on the processor or on a GPU.

They take d^3 steps each, and nothing of geometry takes longer. A GPU's numbers differ by rounding.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

if TYPE_CHECKING:
    import torch


Floats = NDArray[np.float64]


def eigenvalues(matrix: Floats, device: str = "cpu") -> Floats:
    """All of a symmetric matrix [d, d], rising: [d]. `device` is torch's name of one that has float64."""
    if device == "cpu":
        return np.asarray(np.linalg.eigvalsh(matrix))
    import torch

    return np.asarray(torch.linalg.eigvalsh(_there(matrix, device)).cpu().numpy())


def leading(matrix: Floats, n: int, device: str = "cpu") -> Floats:
    """The eigenvectors of the n largest eigenvalues of a symmetric matrix [d, d], n at most d, falling: [d, n]."""
    d = len(matrix)
    if device == "cpu":
        return np.asarray(eigh(matrix, subset_by_index=(d - n, d - 1))[1][:, ::-1])
    import torch

    vectors = torch.linalg.eigh(_there(matrix, device))[1]
    return np.asarray(vectors[:, d - n :].cpu().numpy()[:, ::-1])


def _there(matrix: Floats, device: str) -> "torch.Tensor":
    """On the device; ValueError, as scipy has it, for numbers that are not finite."""
    import torch

    if not np.isfinite(matrix).all():
        raise ValueError("array must not contain infs or NaNs")
    return torch.from_numpy(np.ascontiguousarray(matrix)).to(device)
