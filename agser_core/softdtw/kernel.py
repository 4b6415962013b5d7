"""The soft-DTW recursion for many series at once: one lane = one series, the lane loop innermost, so the compiler vectorises it.

    P[i, j] = 2**-cost[i, j] (P[i-1, j] + P[i, j-1] + P[i-1, j-1]),   soft-DTW = -gamma ln P[n-1, T-1]
    E[i, j] = share (by weight) of the paths through the cell = d soft-DTW / d cost, followed backwards along the shares
              `up`, `diag` (and the rest: left) that the three terms have in P (Cuturi & Blondel 2017, algorithm 2, no exponential)

Inputs are shifted and scaled by sqrt(log2(e) / gamma) on the way in, so 2**-cost is exp(-squared distance / gamma), and results are
in units of gamma ln 2. Shorter series of a batch are continued by their last frame; what they need is read off (or, backwards,
started from) at their own last row, so a series' result does not depend, to the last bit, on its company.

Layouts. L lanes, D dimensions padded with zeros to whole chunks of 4, T frames of a reference, K references, G of them in flight.
    tile       [n / 2, D, 2, L] flat per row pair: the series, two rows side by side
    table      [K / G, T * G / 4, D, 4]: the references, four columns side by side; column = frame * G + reference within its group
    cost rows  [T, G, L]: what `forward_row` walks along, G * L lanes wide
Whole numbers: every array starts on a cache line; loops have constant trip counts where the compiler must keep values in registers.

The helper arithmetic sits in this file, not beside it, because numba's on-disk cache notices changes of a kernel's own file only.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types
from numba.extending import overload

# "contract" allows fused multiply-add; never "reassoc" (it would delete the rounding trick below) and never "nnan"
FASTMATH = {"contract", "nsz", "arcp"}
INLINED = {"fastmath": FASTMATH, "error_model": "numpy", "boundscheck": False}
OPTIONS = {"cache": True, "nogil": True, **INLINED}

CHUNK = 4  # dimensions taken at a time
COLUMNS = 4  # reference frames taken at a time
ROWS = 2  # series frames taken at a time
U1, U2, U3 = np.uint64(1), np.uint64(2), np.uint64(3)


# Path sums leave the range of any float as soon as gamma is small, and rescaling whole rows (as hidden Markov models do) fails silently:
# entries of one row differ by factors of e^1000. So every sum is mantissa * 2**exponent with an exponent of its own.


def _power_coefficients(degree: int) -> list[float]:
    """Coefficients c of 2**-r = 1 + sum_i c_i r**i on [-1/2, 1/2], of least relative error (weighted Chebyshev fit).

    The constant is exactly 1, so that small costs (large gamma) carry no error that would add up along a path.
    """
    r = 0.5 * np.cos(np.pi * (np.arange(400) + 0.5) / 400)
    design = (np.vander(r, degree + 1, increasing=True) * (2.0**r)[:, None])[:, 1:]
    target = 1 - 2.0**r
    weight = np.ones(len(r))
    for _ in range(30):
        coefficients = np.linalg.lstsq(design * weight[:, None], target * weight, rcond=None)[0]
        error = np.abs(design @ coefficients - target)
        weight *= (error / error.max() + 1e-3) ** 0.15
    return coefficients.tolist()


A1, A2, A3, A4, A5 = (np.float32(c) for c in _power_coefficients(5))
B1, B2, B3, B4, B5, B6, B7, B8, B9, B10, B11 = _power_coefficients(11)
ONE = np.float32(1)
ROUND_64 = 1.5 * 2.0**52  # adding it leaves the nearest integer in the low bits of a float64
ROUND_64_BITS = np.float64(ROUND_64).view(np.int64)


def lane_count(value):
    """Lanes for the type of `value`: four of the widest vectors there are."""


@overload(lane_count)
def _lane_count(value):
    return (lambda value: 64) if value == types.float32 else (lambda value: 32)


def inverse_power(y):
    """(p, k) with 2**-y = p * 2**-k, k integer, p in [0.70, 1.42]. y >= 0, below 2**30 (float32) or 2**50 (float64)."""


@overload(inverse_power, jit_options=INLINED)
def _inverse_power(y):
    if y == types.float32:
        def implementation(y):
            whole = np.float32(np.rint(y))
            r = y - whole
            return ONE + r * (A1 + r * (A2 + r * (A3 + r * (A4 + r * A5)))), np.int32(whole)
    else:
        def implementation(y):
            shifted = y + ROUND_64
            r = y - (shifted - ROUND_64)
            r2 = r * r
            low = 1.0 + r * (B1 + r * (B2 + r * (B3 + r * (B4 + r * B5))))
            high = B6 + r * (B7 + r * (B8 + r * (B9 + r * (B10 + r * B11))))
            return low + r2 * r2 * r2 * high, np.int64(np.float64(shifted).view(np.int64) - ROUND_64_BITS)
    return implementation


def scaled(mantissa, exponent, largest):
    """mantissa * 2**(exponent - largest) for exponent <= largest; below 2**-60 (2**-500) it stays at about that.

    An integer addition to the exponent bits: no rounding. What stops at the bound is far below the rounding of the sum it enters,
    and products of such shares stay clear of subnormal numbers.
    """


@overload(scaled, jit_options=INLINED)
def _scaled(mantissa, exponent, largest):
    if mantissa == types.float32:
        def implementation(mantissa, exponent, largest):
            k = max(np.int32(exponent - largest), np.int32(-60))
            return np.int32(np.float32(mantissa).view(np.int32) + np.int32(k << np.int32(23))).view(np.float32)
    else:
        def implementation(mantissa, exponent, largest):
            k = max(exponent - largest, -500)
            return np.int64(np.float64(mantissa).view(np.int64) + np.int64(k << 52)).view(np.float64)
    return implementation


def split(value, exponent, whole):
    """value * 2**(exponent - whole) of a positive normal value as (mantissa in [1, 2), exponent)."""


@overload(split, jit_options=INLINED)
def _split(value, exponent, whole):
    if value == types.float32:
        def implementation(value, exponent, whole):
            bits = np.float32(value).view(np.int32)
            mantissa = np.int32((bits & np.int32(0x7FFFFF)) | np.int32(0x3F800000)).view(np.float32)
            return mantissa, np.int32(np.int32(bits >> np.int32(23)) - np.int32(127) + exponent - whole)
    else:
        def implementation(value, exponent, whole):
            bits = np.float64(value).view(np.int64)
            mantissa = np.int64((bits & 0xFFFFFFFFFFFFF) | 0x3FF0000000000000).view(np.float64)
            return mantissa, np.int64((bits >> 52) - 1023 + exponent - whole)
    return implementation


@njit(**OPTIONS)
def largest_bits(bits, mask):
    """Largest bit pattern of floats viewed as integers [M], the mask clearing the sign; they order as magnitudes, NaN above infinity."""
    largest = bits[0] & mask
    for i in range(len(bits)):
        largest = max(largest, bits[i] & mask)
    return largest


@njit(**OPTIONS)
def aligned(size, value):
    """`size` copies of the value from the start of a cache line on."""
    whole = np.full(size + 64, value)
    first = ((-whole.ctypes.data) % 64) // whole.itemsize
    return whole[first:first + size]


@njit(**OPTIONS)
def gather(frames, offsets, members, first, count, rows, shift, scale, tile, starts, staged):
    """Fills the tile with `rows` frames of the series members[first:first + count]; spare lanes repeat the last series."""
    dimension = frames.shape[1]
    lanes = lane_count(scale)
    flat = frames.reshape(-1)
    whole = dimension // CHUNK
    for i in range(rows):
        for lane in range(lanes):
            member = members[first + min(lane, count - 1)]
            starts[lane] = min(offsets[member] + i, offsets[member + 1] - 1) * dimension
        for chunk in range(whole):
            at = chunk * CHUNK
            for lane in range(lanes):  # unsigned: numba then spares the test for negative indices
                x, y = np.uint64(starts[lane] + at), np.uint64(lane * CHUNK)
                x0, x1, x2, x3 = flat[x], flat[x + U1], flat[x + U2], flat[x + U3]
                staged[y], staged[y + U1], staged[y + U2], staged[y + U3] = x0, x1, x2, x3
            out = tile[i >> 1][(at * ROWS + (i & 1)) * lanes:]
            s0, s1, s2, s3 = shift[at], shift[at + 1], shift[at + 2], shift[at + 3]
            for lane in range(lanes):
                x0, x1, x2, x3 = staged[4 * lane], staged[4 * lane + 1], staged[4 * lane + 2], staged[4 * lane + 3]
                out[lane] = (x0 - s0) * scale
                out[ROWS * lanes + lane] = (x1 - s1) * scale
                out[2 * ROWS * lanes + lane] = (x2 - s2) * scale
                out[3 * ROWS * lanes + lane] = (x3 - s3) * scale
        for d in range(whole * CHUNK, dimension):
            out = tile[i >> 1][(d * ROWS + (i & 1)) * lanes:]
            for lane in range(lanes):
                out[lane] = (flat[starts[lane] + d] - shift[d]) * scale


@njit(**OPTIONS)
def cost_rows(x, table, row0, row1, chunks):
    """Squared distances of two frames of every lane to every column of the table, into two cost rows."""
    lanes = lane_count(x[0])
    row0[:] = 0
    row1[:] = 0
    for tile in range(len(table) // (chunks * CHUNK * COLUMNS)):
        r0, r1 = row0[tile * COLUMNS * lanes:], row1[tile * COLUMNS * lanes:]
        for chunk in range(chunks):
            xs = x[chunk * CHUNK * ROWS * lanes:]
            cs = table[(tile * chunks + chunk) * CHUNK * COLUMNS:]
            for lane in range(lanes):
                a0, a1, a2, a3 = r0[lane], r0[lanes + lane], r0[2 * lanes + lane], r0[3 * lanes + lane]
                b0, b1, b2, b3 = r1[lane], r1[lanes + lane], r1[2 * lanes + lane], r1[3 * lanes + lane]
                for d in range(CHUNK):
                    x0, x1 = xs[d * ROWS * lanes + lane], xs[d * ROWS * lanes + lanes + lane]
                    c0, c1, c2, c3 = cs[d * COLUMNS], cs[d * COLUMNS + 1], cs[d * COLUMNS + 2], cs[d * COLUMNS + 3]
                    a0 += (x0 - c0) * (x0 - c0)
                    a1 += (x0 - c1) * (x0 - c1)
                    a2 += (x0 - c2) * (x0 - c2)
                    a3 += (x0 - c3) * (x0 - c3)
                    b0 += (x1 - c0) * (x1 - c0)
                    b1 += (x1 - c1) * (x1 - c1)
                    b2 += (x1 - c2) * (x1 - c2)
                    b3 += (x1 - c3) * (x1 - c3)
                r0[lane], r0[lanes + lane], r0[2 * lanes + lane], r0[3 * lanes + lane] = a0, a1, a2, a3
                r1[lane], r1[lanes + lane], r1[2 * lanes + lane], r1[3 * lanes + lane] = b0, b1, b2, b3


@njit(**OPTIONS)
def start_row(i, no_path, exponents):
    """Which of the two rows of states [2, T + 1, lanes] is old, which new. Left of column 0 there is no path, except the one that
    starts at the corner of the first row."""
    old = i & 1
    exponents[old, 0] = no_path * (i != 0)
    exponents[1 - old, 0] = no_path
    return old, 1 - old


@njit(**OPTIONS)
def forward_row(cost, columns, old_m, old_e, new_m, new_e):
    """Row i of P from row i - 1: mantissas and exponents [T + 1, lanes], the first column standing left of column 0.

    `columns` counts 0 ... T - 1: read from memory, because the compiler would otherwise test once for all columns whether arrays
    overlap, find that the columns of one row lie side by side, and give up vector code for the lanes.
    """
    lanes = old_m.shape[1]
    for j in columns:
        y = cost[j * lanes:(j + 1) * lanes]
        up_m, up_e, diag_m, diag_e = old_m[j + 1], old_e[j + 1], old_m[j], old_e[j]
        left_m, left_e, out_m, out_e = new_m[j], new_e[j], new_m[j + 1], new_e[j + 1]
        for lane in range(lanes):
            p, whole = inverse_power(y[lane])
            e = max(max(up_e[lane], diag_e[lane]), left_e[lane])
            total = (scaled(up_m[lane], up_e[lane], e) + scaled(diag_m[lane], diag_e[lane], e)
                     + scaled(left_m[lane], left_e[lane], e))
            out_m[lane], out_e[lane] = split(total * p, e, whole)


@njit(**OPTIONS)
def forward_row_shares(cost, columns, old_m, old_e, new_m, new_e, one, up, diag):
    """`forward_row` that also keeps the shares [T, lanes] of the paths that come from above and from the diagonal."""
    lanes = old_m.shape[1]
    for j in columns:
        y, up_j, diag_j = cost[j * lanes:(j + 1) * lanes], up[j * lanes:(j + 1) * lanes], diag[j * lanes:(j + 1) * lanes]
        up_m, up_e, diag_m, diag_e = old_m[j + 1], old_e[j + 1], old_m[j], old_e[j]
        left_m, left_e, out_m, out_e = new_m[j], new_e[j], new_m[j + 1], new_e[j + 1]
        for lane in range(lanes):
            p, whole = inverse_power(y[lane])
            e = max(max(up_e[lane], diag_e[lane]), left_e[lane])
            from_up, from_diag = scaled(up_m[lane], up_e[lane], e), scaled(diag_m[lane], diag_e[lane], e)
            total = from_up + from_diag + scaled(left_m[lane], left_e[lane], e)
            out_m[lane], out_e[lane] = split(total * p, e, whole)
            inverse = one / total
            up_j[lane], diag_j[lane] = from_up * inverse, from_diag * inverse


@njit(**OPTIONS)
def keep_ended(row, ends, m, e, kept_m, kept_e):
    """Copies the sums of lanes whose last row this is; m, e, kept [G * L] at the last column."""
    lanes = len(ends)
    for at in range(0, len(m), lanes):
        from_m, from_e, to_m, to_e = m[at:], e[at:], kept_m[at:], kept_e[at:]
        for lane in range(lanes):
            ended = ends[lane] == row
            to_m[lane] = from_m[lane] if ended else to_m[lane]
            to_e[lane] = from_e[lane] if ended else to_e[lane]


@njit(**OPTIONS)
def write_values(m, e, members, first, batch, offset, logarithm, out):
    """out[member, offset + g] = -log2 of the sums [G * L]: log2(m) = 2 / ln 2 * artanh((m - 1) / (m + 1)), m brought near 1."""
    for at in range(len(m)):
        mantissa = np.float64(m[at])
        high = mantissa > 1.4142135623730951
        mantissa = 0.5 * mantissa if high else mantissa
        s = (mantissa - 1.0) / (mantissa + 1.0)
        q = s * s
        series = q * (1 / 17 + q * (1 / 19 + q * (1 / 21 + q * (1 / 23))))
        series = q * (1 / 9 + q * (1 / 11 + q * (1 / 13 + q * (1 / 15 + series))))
        series = s * (1.0 + q * (1 / 3 + q * (1 / 5 + q * (1 / 7 + series))))
        logarithm[at] = np.float64(e[at]) + (1.0 if high else 0.0) + 2.8853900817779268 * series
    lanes = lane_count(m[0])
    for g in range(min(len(m) // lanes, out.shape[1] - offset)):
        for lane in range(batch):
            out[members[first + lane], offset + g] = -logarithm[g * lanes + lane]


@njit(**OPTIONS)
def values(frames, offsets, members, lengths, tables, group, length, shift, scale, one, no_path, out):
    """out[members[i], k] = soft-DTW of the series with reference k, in units of gamma ln 2.

    Args:
        frames, offsets: the packed series; members [M] their indices, shortest first; lengths [M] theirs.
        tables: [K / G, ...] as `table` above; group = G, length = T.
        one: 1 of the float type. no_path: the exponent, of the integer type, of a cell that no path reaches.
        out: float64 [N, K].
    """
    lanes = lane_count(one)
    chunks = -(-frames.shape[1] // CHUNK)
    width = tables.shape[1] // (chunks * CHUNK) * lanes
    pairs = (lengths[-1] + 1) // 2
    tile = aligned(pairs * chunks * CHUNK * ROWS * lanes, one - one).reshape(pairs, -1)
    starts, staged, columns = np.empty(lanes, np.int64), aligned(lanes * CHUNK, one), np.arange(length)
    rows = aligned(2 * width, one).reshape(2, -1)
    mantissas = aligned(2 * (length + 1) * group * lanes, one).reshape(2, length + 1, -1)
    exponents = aligned(2 * (length + 1) * group * lanes, no_path).reshape(2, length + 1, -1)
    ends, kept_m, kept_e = aligned(lanes, no_path), aligned(group * lanes, one), aligned(group * lanes, no_path)
    logarithm = aligned(group * lanes, 0.0)
    for first in range(0, len(members), lanes):
        batch = min(lanes, len(members) - first)
        n = lengths[first + batch - 1]
        gather(frames, offsets, members, first, batch, n + n % 2, shift, scale, tile, starts, staged)
        for lane in range(lanes):
            ends[lane] = lengths[first + min(lane, batch - 1)] - 1
        for part in range(len(tables)):
            exponents[0] = no_path
            for i in range(n):
                if i % 2 == 0:
                    cost_rows(tile[i >> 1], tables[part], rows[0], rows[1], chunks)
                old, new = start_row(i, no_path, exponents)
                forward_row(rows[i & 1], columns, mantissas[old], exponents[old], mantissas[new], exponents[new])
                if i >= ends[0]:
                    keep_ended(i, ends, mantissas[new, length], exponents[new, length], kept_m, kept_e)
            write_values(kept_m, kept_e, members, first, batch, part * group, logarithm, out)


@njit(**OPTIONS)
def self_values(frames, offsets, members, lengths, shift, scale, one, no_path, out):
    """out[members[i], 0] = soft-DTW of a series with itself, in units of gamma ln 2; arguments as `values`."""
    lanes = lane_count(one)
    dimension = frames.shape[1]
    chunks = -(-dimension // CHUNK)
    longest = lengths[-1]
    pairs = (longest + 1) // 2
    tile = aligned(pairs * chunks * CHUNK * ROWS * lanes, one - one).reshape(pairs, -1)
    starts, staged, columns = np.empty(lanes, np.int64), aligned(lanes * CHUNK, one), np.arange(longest)
    cost = aligned(longest * lanes, one)
    mantissas = aligned(2 * (longest + 1) * lanes, one).reshape(2, longest + 1, -1)
    exponents = aligned(2 * (longest + 1) * lanes, no_path).reshape(2, longest + 1, -1)
    ends, kept_m, kept_e = aligned(lanes, no_path), aligned(lanes, one), aligned(lanes, no_path)
    logarithm = aligned(lanes, 0.0)
    for first in range(0, len(members), lanes):
        batch = min(lanes, len(members) - first)
        n = lengths[first + batch - 1]
        gather(frames, offsets, members, first, batch, n + n % 2, shift, scale, tile, starts, staged)
        for lane in range(lanes):
            ends[lane] = lengths[first + min(lane, batch - 1)] - 1
        exponents[0] = no_path
        for i in range(n):
            cost[:] = 0
            for j in range(n):
                row = cost[j * lanes:(j + 1) * lanes]
                for d in range(dimension):
                    x, y = tile[i >> 1][(d * ROWS + (i & 1)) * lanes:], tile[j >> 1][(d * ROWS + (j & 1)) * lanes:]
                    for lane in range(lanes):
                        row[lane] += (x[lane] - y[lane]) * (x[lane] - y[lane])
            old, new = start_row(i, no_path, exponents)
            forward_row(cost, columns[:n], mantissas[old], exponents[old], mantissas[new], exponents[new])
            if i >= ends[0]:
                keep_ended(i, ends, mantissas[new, i + 1], exponents[new, i + 1], kept_m, kept_e)
        write_values(kept_m, kept_e, members, first, batch, 0, logarithm, out)


@njit(**OPTIONS)
def backward_row(shares, diag, last_to_first, below, left, passing, visits, tiny):
    """One row of E from the row beneath it. `below` [T, lanes] is what flows up into this row, then into the next; `left` holds what
    starts at the last column; E is written over the up shares `shares` and added to `visits`. `last_to_first` lists the columns: read
    from memory, because the compiler gives up vector code for the lanes where it sees an outer loop run downwards."""
    lanes = len(left)
    passing[:] = 0
    for j in last_to_first:
        e, d = shares[j * lanes:(j + 1) * lanes], diag[j * lanes:(j + 1) * lanes]
        below_j, visits_j = below[j], visits[j]
        for lane in range(lanes):
            share = below_j[lane] + left[lane]
            share = share if share > tiny else tiny - tiny  # no subnormal numbers
            to_up, to_diag = share * e[lane], share * d[lane]
            left[lane] = (share - to_up) - to_diag
            below_j[lane] = to_up + passing[lane]
            passing[lane] = to_diag
            e[lane] = share
            visits_j[lane] += share


@njit(**OPTIONS)
def accumulate(tile, shares, pairs, chunks, sums):
    """sums[T / 4, D / 4, 4 dimensions, 4 columns, L] += sum_i E[i, j] x[i, d]; two pairs of rows at a time spare stores."""
    lanes = lane_count(tile[0, 0])
    width = shares.shape[1] // 2
    for part in range(width // (COLUMNS * lanes)):
        at = part * COLUMNS * lanes
        for chunk in range(chunks):
            out = sums[(part * chunks + chunk) * COLUMNS * CHUNK * lanes:]
            for pair in range(0, pairs - 1, 2):
                x, y = tile[pair][chunk * CHUNK * ROWS * lanes:], tile[pair + 1][chunk * CHUNK * ROWS * lanes:]
                e0, e1 = shares[pair][at:], shares[pair][width + at:]
                e2, e3 = shares[pair + 1][at:], shares[pair + 1][width + at:]
                for lane in range(lanes):
                    for d in range(CHUNK):
                        x0, x1 = x[d * ROWS * lanes + lane], x[d * ROWS * lanes + lanes + lane]
                        x2, x3 = y[d * ROWS * lanes + lane], y[d * ROWS * lanes + lanes + lane]
                        for j in range(COLUMNS):
                            out[(d * COLUMNS + j) * lanes + lane] += (e0[j * lanes + lane] * x0 + e1[j * lanes + lane] * x1
                                                                      + e2[j * lanes + lane] * x2 + e3[j * lanes + lane] * x3)
            if pairs % 2:
                x = tile[pairs - 1][chunk * CHUNK * ROWS * lanes:]
                e0, e1 = shares[pairs - 1][at:], shares[pairs - 1][width + at:]
                for lane in range(lanes):
                    for d in range(CHUNK):
                        x0, x1 = x[d * ROWS * lanes + lane], x[d * ROWS * lanes + lanes + lane]
                        for j in range(COLUMNS):
                            out[(d * COLUMNS + j) * lanes + lane] += e0[j * lanes + lane] * x0 + e1[j * lanes + lane] * x1


@njit(**OPTIONS)
def statistics(frames, offsets, members, lengths, weights, table, length, shift, scale, one, no_path, tiny, out, sums, visits):
    """Soft-DTW to one reference and what its gradient is made of, summed over the series.

    Args:
        as `values`; weights [M] of the float type; table: one reference; tiny: shares below it count as none.
        out: float64 [N, 1], set at the members. sums, visits: float64 [T, D], [T]; S = sum E x (shifted and scaled) and W = sum E,
            both with the weights, are added to them.
    """
    lanes = lane_count(one)
    dimension = frames.shape[1]
    chunks = -(-dimension // CHUNK)
    width = -(-length // COLUMNS) * COLUMNS * lanes
    pairs = (lengths[-1] + 1) // 2
    zero = one - one
    tile = aligned(pairs * chunks * CHUNK * ROWS * lanes, zero).reshape(pairs, -1)
    up, diag = aligned(pairs * 2 * width, zero).reshape(pairs, -1), aligned(pairs * 2 * width, zero).reshape(pairs, -1)
    starts, staged, ends = np.empty(lanes, np.int64), aligned(lanes * CHUNK, one), aligned(lanes, no_path)
    kept_m, kept_e, logarithm = aligned(lanes, one), aligned(lanes, no_path), aligned(lanes, 0.0)
    columns, last_to_first = np.arange(length), np.arange(length)[::-1].copy()
    rows = aligned(2 * width, one).reshape(2, -1)
    mantissas = aligned(2 * (length + 1) * lanes, one).reshape(2, length + 1, -1)
    exponents = aligned(2 * (length + 1) * lanes, no_path).reshape(2, length + 1, -1)
    left, passing, lane_weights = aligned(lanes, zero), aligned(lanes, zero), aligned(lanes, zero)
    below = aligned(length * lanes, zero).reshape(length, -1)
    lane_sums, lane_visits = aligned(width * chunks * CHUNK, zero), aligned(length * lanes, zero).reshape(length, -1)
    for first in range(0, len(members), lanes):
        batch = min(lanes, len(members) - first)
        n = lengths[first + batch - 1]
        gather(frames, offsets, members, first, batch, n + n % 2, shift, scale, tile, starts, staged)
        for lane in range(lanes):
            lane_weights[lane] = weights[first + lane] if lane < batch else zero
            ends[lane] = lengths[first + min(lane, batch - 1)] - 1
        exponents[0] = no_path
        for i in range(n):
            if i % 2 == 0:
                cost_rows(tile[i >> 1], table, rows[0], rows[1], chunks)
            old, new = start_row(i, no_path, exponents)
            half = (i & 1) * width
            forward_row_shares(rows[i & 1], columns, mantissas[old], exponents[old], mantissas[new], exponents[new], one,
                               up[i >> 1][half:], diag[i >> 1][half:])
            if i >= ends[0]:
                keep_ended(i, ends, mantissas[new, length], exponents[new, length], kept_m, kept_e)
        write_values(kept_m, kept_e, members, first, batch, 0, logarithm, out)
        below[:] = 0
        for i in range(n - 1, -1, -1):
            for lane in range(lanes):
                left[lane] = lane_weights[lane] if ends[lane] == i else zero
            half = (i & 1) * width
            backward_row(up[i >> 1][half:], diag[i >> 1][half:], last_to_first, below, left, passing, lane_visits, tiny)
        if n % 2:
            up[n >> 1][width:] = 0
        accumulate(tile, up, (n + 1) // 2, chunks, lane_sums)
    for j in range(length):
        for lane in range(lanes):
            visits[j] += lane_visits[j, lane]
        for d in range(dimension):
            at = ((j // COLUMNS * chunks + d // CHUNK) * COLUMNS * CHUNK + d % CHUNK * COLUMNS + j % COLUMNS) * lanes
            for lane in range(lanes):
                sums[j, d] += lane_sums[at + lane]
