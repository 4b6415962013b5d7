"""Soft-DTW of one pair as the papers write it: float64, logarithms, no tricks. What the kernel is tested against, and
the way for pairs so long that the kernel's 64 lanes would not fit into memory."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def path_costs(cost: np.ndarray, gamma: float) -> np.ndarray:
    """r [n + 1, m + 1]: r_ij = cost_ij + softmin_gamma(r_{i-1,j}, r_{i,j-1}, r_{i-1,j-1}); soft-DTW is r[n, m].

    Source: Cuturi & Blondel 2017, algorithm 1.
    """
    n, m = cost.shape
    r = np.full((n + 1, m + 1), np.inf)
    r[0, 0] = 0.0
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            up, left, diag = r[i - 1, j], r[i, j - 1], r[i - 1, j - 1]
            least = min(up, left, diag)
            total = np.exp((least - up) / gamma) + np.exp((least - left) / gamma) + np.exp((least - diag) / gamma)
            r[i, j] = cost[i - 1, j - 1] + least - gamma * np.log(total)
    return r


@njit(cache=True, nogil=True)
def path_shares(cost: np.ndarray, r: np.ndarray, gamma: float) -> np.ndarray:
    """E [n, m] = d soft-DTW / d cost, from `path_costs`.

    Source: Cuturi & Blondel 2017, algorithm 2: e_ij = sum over the cells k that follow ij of e_k exp((r_k - r_ij -
        cost_k) / gamma).
    """
    n, m = cost.shape
    e = np.zeros((n + 1, m + 1))
    for i in range(n, 0, -1):
        for j in range(m, 0, -1):
            if i == n and j == m:
                e[i - 1, j - 1] = 1.0
                continue
            total = 0.0
            if i < n:
                total += e[i, j - 1] * np.exp((r[i + 1, j] - r[i, j] - cost[i, j - 1]) / gamma)
            if j < m:
                total += e[i - 1, j] * np.exp((r[i, j + 1] - r[i, j] - cost[i - 1, j]) / gamma)
            if i < n and j < m:
                total += e[i, j] * np.exp((r[i + 1, j + 1] - r[i, j] - cost[i, j]) / gamma)
            e[i - 1, j - 1] = total
    return e[:n, :m]


def squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """float64 [n, m] between the frames of x [n, D] and y [m, D]."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    cost = np.zeros((len(x), len(y)))
    for d in range(x.shape[1]):
        cost += (x[:, d, None] - y[None, :, d]) ** 2
    return cost


def soft_dtw_reference(x: np.ndarray, y: np.ndarray, gamma: float) -> float:
    """Soft-DTW of two series [n, D], [m, D]."""
    return float(path_costs(squared_distances(x, y), gamma)[-1, -1])


def shares_reference(x: np.ndarray, y: np.ndarray, gamma: float) -> tuple[float, np.ndarray]:
    """Soft-DTW and its derivative E [n, m] with respect to the squared distances."""
    cost = squared_distances(x, y)
    r = path_costs(cost, gamma)
    return float(r[-1, -1]), path_shares(cost, r, gamma)
