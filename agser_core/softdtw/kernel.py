"""The soft-DTW recursion for many series at once: one lane = one series, the lane loop innermost, so the compiler makes vector code of it.

Shapes and names: L lanes, D dimensions, T frames of a reference, K references, n frames of the longest series of a batch.
Inputs arrive shifted and scaled by sqrt(log2(e) / gamma), so 2**-cost is exp(-squared distance / gamma), and results are in
units of gamma ln 2. Shorter series of a batch are continued by their last frame; what they need is read off (or started from, in
the backward pass) at their own last row, so a series' result does not depend, to the last bit, on its company.

    P[i, j] = 2**-cost[i, j] (P[i-1, j] + P[i, j-1] + P[i-1, j-1]),   soft-DTW = -gamma ln P[n-1, T-1]
    E[i, j] = share of the paths (by weight) that go through the cell = d soft-DTW / d cost, by the chain of the shares
              up, diag, left of the three sums in P (Cuturi & Blondel 2017, algorithm 2, without its exponentials)
"""

from __future__ import annotations

import numpy as np
from numba import njit

from agser_core.softdtw.arithmetic import FASTMATH, inverse_power, scaled, split

OPTIONS = {"cache": True, "nogil": True, "fastmath": FASTMATH, "error_model": "numpy", "boundscheck": False}


@njit(**OPTIONS)
def largest_magnitude(frames):
    """Largest |value|, NaN if any value is NaN."""
    flat = frames.reshape(-1)
    largest = abs(flat[0])
    for i in range(len(flat)):
        value = abs(flat[i])
        if not value <= largest:
            largest = value
            if value != value:
                return value
    return largest


@njit(**OPTIONS)
def gather(frames, offsets, members, first, count, length, shift, scale, tile):
    """tile[i, d, l] = frame i of lane l, shifted and scaled; spare lanes repeat the last series."""
    lanes = tile.shape[2]
    dimension = frames.shape[1]
    for l in range(lanes):
        member = members[first + min(l, count - 1)]
        start = offsets[member]
        last = offsets[member + 1] - 1
        for i in range(length):
            row = min(start + i, last)
            for d in range(dimension):
                tile[i, d, l] = (frames[row, d] - shift[d]) * scale


@njit(**OPTIONS)
def cost_row(tile, i, reference, cost):
    """cost[j, l] = squared distance of frame i of every lane to frame j of the reference."""
    length, dimension = reference.shape
    lanes = tile.shape[2]
    for j in range(length):
        for l in range(lanes):
            cost[j, l] = 0
        for d in range(dimension):
            c = reference[j, d]
            for l in range(lanes):
                difference = tile[i, d, l] - c
                cost[j, l] += difference * difference


@njit(**OPTIONS)
def forward_row(cost, mantissa, exponent, diag_mantissa, diag_exponent, left_mantissa, left_exponent):
    """One row of the recursion: mantissa, exponent [T, L] hold row i - 1 on entry and row i on return."""
    length, lanes = cost.shape
    for j in range(length):
        for l in range(lanes):
            p, whole = inverse_power(cost[j, l])
            up_m, up_e = mantissa[j, l], exponent[j, l]
            e = max(max(up_e, diag_exponent[l]), left_exponent[l])
            total = (scaled(up_m, up_e, e) + scaled(diag_mantissa[l], diag_exponent[l], e)
                     + scaled(left_mantissa[l], left_exponent[l], e))
            m, k = split(total * p, e, whole)
            diag_mantissa[l], diag_exponent[l] = up_m, up_e
            left_mantissa[l], left_exponent[l] = m, k
            mantissa[j, l], exponent[j, l] = m, k


@njit(**OPTIONS)
def start_row(i, one, no_path, diag_mantissa, diag_exponent, left_mantissa, left_exponent):
    for l in range(len(diag_mantissa)):
        left_mantissa[l] = one
        left_exponent[l] = no_path
        diag_mantissa[l] = one
        diag_exponent[l] = no_path * (i != 0)


@njit(**OPTIONS)
def values(frames, offsets, members, lengths, references, shift, scale, lanes, one, no_path, out):
    """out[members[i], k] = soft-DTW of the series with reference k, in units of gamma ln 2.

    Args:
        frames, offsets: the packed series; `members` [M] their indices, longest last; `lengths` [M] their lengths.
        references: [K, T, D], shifted and scaled. lanes: series side by side. one: 1 of the float type. no_path: the exponent, of the
            integer type, of a cell that no path reaches.
        out: float64 [N, K].
    """
    count, length, dimension = references.shape
    longest = lengths.max()
    tile = np.empty((longest, dimension, lanes), references.dtype)
    cost = np.empty((length, lanes), references.dtype)
    mantissa, exponent = np.empty((length, lanes), references.dtype), np.full((length, lanes), no_path)
    diag_m, left_m = np.empty(lanes, references.dtype), np.empty(lanes, references.dtype)
    diag_e, left_e = np.full(lanes, no_path), np.full(lanes, no_path)
    for first in range(0, len(members), lanes):
        batch = min(lanes, len(members) - first)
        n = lengths[first + batch - 1]
        gather(frames, offsets, members, first, batch, n, shift, scale, tile)
        for k in range(count):
            mantissa[:] = one
            exponent[:] = no_path
            for i in range(n):
                cost_row(tile, i, references[k], cost)
                start_row(i, one, no_path, diag_m, diag_e, left_m, left_e)
                forward_row(cost, mantissa, exponent, diag_m, diag_e, left_m, left_e)
                for l in range(batch):
                    if lengths[first + l] == i + 1:
                        out[members[first + l], k] = -(exponent[length - 1, l] + np.log2(np.float64(mantissa[length - 1, l])))


@njit(**OPTIONS)
def forward_row_shares(cost, mantissa, exponent, diag_mantissa, diag_exponent, left_mantissa, left_exponent, one, up, diag):
    """`forward_row` that also keeps the shares [T, L] of the paths that come from above and from the diagonal."""
    length, lanes = cost.shape
    for j in range(length):
        for l in range(lanes):
            p, whole = inverse_power(cost[j, l])
            up_m, up_e = mantissa[j, l], exponent[j, l]
            e = max(max(up_e, diag_exponent[l]), left_exponent[l])
            from_up, from_diag = scaled(up_m, up_e, e), scaled(diag_mantissa[l], diag_exponent[l], e)
            total = from_up + from_diag + scaled(left_mantissa[l], left_exponent[l], e)
            m, k = split(total * p, e, whole)
            inverse = one / total
            up[j, l], diag[j, l] = from_up * inverse, from_diag * inverse
            diag_mantissa[l], diag_exponent[l] = up_m, up_e
            left_mantissa[l], left_exponent[l] = m, k
            mantissa[j, l], exponent[j, l] = m, k


@njit(**OPTIONS)
def backward(n, length, lanes, up, diag, ends, weights, below, left, passing, tiny):
    """E[i, j, l] times the lane's weight, written over `up`. `below` [T, L] collects what flows up into row i - 1."""
    for j in range(length):
        for l in range(lanes):
            below[j, l] = 0
    for i in range(n - 1, -1, -1):
        for l in range(lanes):
            left[l] = weights[l] if ends[l] == i else weights[l] * 0
            passing[l] = 0
        for j in range(length - 1, -1, -1):
            for l in range(lanes):
                share = below[j, l] + left[l]
                share = share if share > tiny else share * 0  # keeps subnormal numbers out
                to_up, to_diag = share * up[i, j, l], share * diag[i, j, l]
                left[l] = (share - to_up) - to_diag
                below[j, l] = to_up + passing[l]
                passing[l] = to_diag
                up[i, j, l] = share


@njit(**OPTIONS)
def accumulate(n, tile, shares, sums, visits):
    """sums[j, d, l] += sum_i E[i, j, l] x[i, d, l]; visits[j, l] += sum_i E[i, j, l]."""
    length, dimension, lanes = sums.shape
    for j in range(length):
        for i in range(n):
            for l in range(lanes):
                visits[j, l] += shares[i, j, l]
            for d in range(dimension):
                for l in range(lanes):
                    sums[j, d, l] += shares[i, j, l] * tile[i, d, l]


@njit(**OPTIONS)
def statistics(frames, offsets, members, lengths, weights, reference, shift, scale, lanes, one, no_path, tiny, out, sums, visits):
    """Soft-DTW to one reference and what its gradient is made of, summed over the series.

    Args:
        as `values`, and weights [M] of the float type; reference [T, D]; tiny: shares below it count as none.
        out: float64 [N], set at the members. sums, visits: float64 [T, D], [T]; S = sum E x (shifted and scaled), W = sum E are added.
    """
    length, dimension = reference.shape
    longest = lengths.max()
    kind = reference.dtype
    tile = np.empty((longest, dimension, lanes), kind)
    cost = np.empty((length, lanes), kind)
    mantissa, exponent = np.empty((length, lanes), kind), np.full((length, lanes), no_path)
    diag_m, left_m, passing, lane_weights = np.empty(lanes, kind), np.empty(lanes, kind), np.empty(lanes, kind), np.empty(lanes, kind)
    diag_e, left_e, ends = np.full(lanes, no_path), np.full(lanes, no_path), np.empty(lanes, np.int64)
    up, diag = np.empty((longest, length, lanes), kind), np.empty((longest, length, lanes), kind)
    below = np.empty((length, lanes), kind)
    lane_sums, lane_visits = np.zeros((length, dimension, lanes), kind), np.zeros((length, lanes), kind)
    for first in range(0, len(members), lanes):
        batch = min(lanes, len(members) - first)
        n = lengths[first + batch - 1]
        gather(frames, offsets, members, first, batch, n, shift, scale, tile)
        for l in range(lanes):
            lane_weights[l] = weights[first + l] if l < batch else 0
            ends[l] = lengths[first + min(l, batch - 1)] - 1
        mantissa[:] = one
        exponent[:] = no_path
        for i in range(n):
            cost_row(tile, i, reference, cost)
            start_row(i, one, no_path, diag_m, diag_e, left_m, left_e)
            forward_row_shares(cost, mantissa, exponent, diag_m, diag_e, left_m, left_e, one, up[i], diag[i])
            for l in range(batch):
                if ends[l] == i:
                    out[members[first + l]] = -(exponent[length - 1, l] + np.log2(np.float64(mantissa[length - 1, l])))
        backward(n, length, lanes, up, diag, ends, lane_weights, below, left_m, passing, tiny)
        accumulate(n, tile, up, lane_sums, lane_visits)
    for j in range(length):
        for l in range(lanes):
            visits[j] += lane_visits[j, l]
        for d in range(dimension):
            for l in range(lanes):
                sums[j, d] += lane_sums[j, d, l]


@njit(**OPTIONS)
def cost_row_self(tile, i, length, cost):
    """cost[j, l] = squared distance of frames i and j of the same lane."""
    dimension, lanes = tile.shape[1], tile.shape[2]
    for j in range(length):
        for l in range(lanes):
            cost[j, l] = 0
        for d in range(dimension):
            for l in range(lanes):
                difference = tile[i, d, l] - tile[j, d, l]
                cost[j, l] += difference * difference


@njit(**OPTIONS)
def self_values(frames, offsets, members, lengths, shift, scale, lanes, one, no_path, out):
    """out[members[i]] = soft-DTW of a series with itself, in units of gamma ln 2; arguments as `values`."""
    longest = lengths.max()
    dimension = frames.shape[1]
    tile = np.full((longest, dimension, lanes), one)
    cost = np.full((longest, lanes), one)
    mantissa, exponent = np.full((longest, lanes), one), np.full((longest, lanes), no_path)
    diag_m, left_m = np.full(lanes, one), np.full(lanes, one)
    diag_e, left_e = np.full(lanes, no_path), np.full(lanes, no_path)
    for first in range(0, len(members), lanes):
        batch = min(lanes, len(members) - first)
        n = lengths[first + batch - 1]
        gather(frames, offsets, members, first, batch, n, shift, scale, tile)
        mantissa[:] = one
        exponent[:] = no_path
        for i in range(n):
            cost_row_self(tile, i, n, cost)
            start_row(i, one, no_path, diag_m, diag_e, left_m, left_e)
            forward_row(cost[:n], mantissa, exponent, diag_m, diag_e, left_m, left_e)
            for l in range(batch):
                if lengths[first + l] == i + 1:
                    out[members[first + l]] = -(exponent[i, l] + np.log2(np.float64(mantissa[i, l])))
