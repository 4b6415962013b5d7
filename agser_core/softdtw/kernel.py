"""The soft-DTW recursion for many series at once: one lane = one series, the lane loop innermost, so the compiler
vectorises it.

    P[i, j] = 2**-cost[i, j] (P[i-1, j] + P[i, j-1] + P[i-1, j-1]),   soft-DTW = -gamma ln P[n-1, T-1]
    E[i, j] = share (by weight) of the paths through the cell = d soft-DTW / d cost, followed backwards along the shares
              that the terms have in P: up, diag, the rest left (Cuturi & Blondel 2017, algorithm 2, no exponentials)

Inputs are shifted and scaled by sqrt(log2(e) / gamma) on the way in, so 2**-cost is exp(-squared distance / gamma), and
results are in units of gamma ln 2. Shorter series of a batch are continued by their last frame; what they need is read
off (or, backwards, started from) at their own last row, so a series' result does not depend, to the last bit, on its
company.

Layouts, L lanes innermost everywhere; D is padded with zeros to whole chunks of 4; rows of series come in pairs.
    tile     [n / 2] [D] [2 rows]                     the series
    table    [T / 4] [D] [4 columns]                  one reference, no lanes; frames past its end are zeros
    costs    [T] [2 rows]                             of one pair of rows, T in whole fours
    states   [T + 1] [2] [mantissa, exponent]         P of the last two rows as integers; column 0 stands left of them
    shares   [n / 2] [T] [2 rows] [up, then E | diag]
    flow     [T + 1] [below, left, passing]           E on its way; column j at place j + 1
    sums     [T / 4] [D / 4] [4 dimensions] [4 columns] [L / 2]

Why it is fast where it is:
- Arrays that a loop writes are few and hold everything at constant distances: before each lane loop the compiler tests
  whether arrays overlap, and with a dozen arrays that test costs more than the loop.
- Columns are counted through an array, because the compiler would otherwise make that test once for all columns, find
  them side by side, and give up.
- Trip counts are constant where values must stay in registers, and what one store keeps is computed before it: after a
  store the compiler reads again what it already had.
- Arrays begin at whole rows of lanes (256 bytes). Elsewhere a load can share the low address bits of the store just
  before it, and processors then make it wait.

The helper arithmetic sits in this file because numba's on-disk cache notices changes of a kernel's own file only.
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
EMPTIED = 32  # batches after which sums go from the lanes to float64: float32 ones lose digits as they grow
U1, U2, U3 = np.uint64(1), np.uint64(2), np.uint64(3)


# Path sums leave the range of any float as soon as gamma is small, and rescaling whole rows (as hidden Markov models
# do) fails silently: entries of one row differ by factors of e^1000. So every sum is mantissa * 2**exponent with an
# exponent of its own, the mantissa kept as its bits.


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
    """Lanes for the type of `value` (a float or the integer of its size): four of the widest vectors there are."""


@overload(lane_count)
def _lane_count(value):
    return (lambda value: 64) if value in (types.float32, types.int32) else (lambda value: 32)


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
    """mantissa (bits) * 2**(exponent - largest) for exponent <= largest; below 2**-60 (2**-500) it stays at about that.

    An integer addition to the exponent bits: no rounding. What stops at the bound is far below the rounding of the sum
    it enters, and products of such shares stay clear of subnormal numbers.
    """


@overload(scaled, jit_options=INLINED)
def _scaled(mantissa, exponent, largest):
    if mantissa == types.int32:

        def implementation(mantissa, exponent, largest):
            k = max(np.int32(exponent - largest), np.int32(-60))
            return np.int32(mantissa + np.int32(k << np.int32(23))).view(np.float32)
    else:

        def implementation(mantissa, exponent, largest):
            k = max(exponent - largest, -500)
            return np.int64(mantissa + np.int64(k << 52)).view(np.float64)

    return implementation


def split(value, exponent, whole):
    """value * 2**(exponent - whole) of a positive normal value as (mantissa in [1, 2) as bits, exponent)."""


@overload(split, jit_options=INLINED)
def _split(value, exponent, whole):
    if value == types.float32:

        def implementation(value, exponent, whole):
            bits = np.float32(value).view(np.int32)
            return (
                np.int32((bits & np.int32(0x7FFFFF)) | np.int32(0x3F800000)),
                np.int32(np.int32(bits >> np.int32(23)) - np.int32(127) + exponent - whole),
            )
    else:

        def implementation(value, exponent, whole):
            bits = np.float64(value).view(np.int64)
            return (
                np.int64((bits & 0xFFFFFFFFFFFFF) | 0x3FF0000000000000),
                np.int64((bits >> 52) - 1023 + exponent - whole),
            )

    return implementation


def from_bits(mantissa):
    """The float64 value of a mantissa kept as bits."""


@overload(from_bits, jit_options=INLINED)
def _from_bits(mantissa):
    if mantissa == types.int32:
        return lambda mantissa: np.float64(np.int32(mantissa).view(np.float32))
    return lambda mantissa: np.int64(mantissa).view(np.float64)


@njit(**OPTIONS)
def largest_bits(bits, mask):
    """Largest bit pattern of floats viewed as integers [M], the mask clearing the sign.

    Bit patterns order as magnitudes do, NaN above infinity.
    """
    largest = bits[0] & mask
    for i in range(len(bits)):
        largest = max(largest, bits[i] & mask)
    return largest


@njit(**OPTIONS)
def aligned(size, value):
    """`size` copies of the value, the first at a multiple of 256 bytes."""
    whole = np.full(size + 256, value)
    first = ((-whole.ctypes.data) % 256) // whole.itemsize
    return whole[first : first + size]


@njit(**OPTIONS)
def locate(offsets, members, first, count, dimension, starts):
    """Where the first and the last frame of the series members[first:first + count] begin; spare lanes repeat the last
    series."""
    begins, lasts = starts[1], starts[2]
    for lane in range(len(begins) // ROWS):
        member = members[first + min(lane, count - 1)]
        begins[lane], lasts[lane] = offsets[member] * dimension, (offsets[member + 1] - 1) * dimension


@njit(**OPTIONS)
def last_rows(lengths, first, count, ends):
    """The last row of the series from `first` on; spare lanes have the last one's."""
    ends[:] = lengths[first + count - 1] - 1
    for lane in range(count):
        ends[lane] = lengths[first + lane] - 1


@njit(**OPTIONS)
def gather(frames, first, stop, shift, scale, tile, starts, staged):
    """Fills rows first .. stop - 1 of the tile, in whole pairs, with frames of the series that `locate` has found.

    A pair's rows stand side by side. They are copied four numbers at a time, which the compiler can turn over at once.
    """
    dimension, lanes = frames.shape[1], lane_count(scale)
    flat = frames.reshape(-1)
    whole = dimension // CHUNK
    places, begins, lasts = starts[0], starts[1], starts[2]
    for i in range(first, stop, ROWS):
        for lane in range(lanes):
            places[lane] = min(begins[lane] + i * dimension, lasts[lane])
            places[lanes + lane] = min(begins[lane] + (i + 1) * dimension, lasts[lane])
        x = tile[i >> 1]
        for chunk in range(whole):
            at = chunk * CHUNK
            for lane in range(ROWS * lanes):  # unsigned: numba then spares the test for negative indices
                a, y = np.uint64(places[lane] + at), np.uint64(lane * CHUNK)
                x0, x1, x2, x3 = flat[a], flat[a + U1], flat[a + U2], flat[a + U3]
                staged[y], staged[y + U1], staged[y + U2], staged[y + U3] = x0, x1, x2, x3
            out = x[at * ROWS * lanes :]
            s0, s1, s2, s3 = shift[at], shift[at + 1], shift[at + 2], shift[at + 3]
            for lane in range(ROWS * lanes):
                x0, x1, x2, x3 = staged[4 * lane], staged[4 * lane + 1], staged[4 * lane + 2], staged[4 * lane + 3]
                out[lane] = (x0 - s0) * scale
                out[ROWS * lanes + lane] = (x1 - s1) * scale
                out[2 * ROWS * lanes + lane] = (x2 - s2) * scale
                out[3 * ROWS * lanes + lane] = (x3 - s3) * scale
        for d in range(whole * CHUNK, dimension):
            out = x[d * ROWS * lanes :]
            for lane in range(ROWS * lanes):
                out[lane] = (flat[places[lane] + d] - shift[d]) * scale


@njit(forceinline=True, **OPTIONS)
def cost_chunk(x, c, out, lanes, rows, opening, wide):
    """4 dimensions' part of the squared distances of the rows to 4 columns, or to 2 where not wide.

    The opening chunk writes it, the others add it. `opening` and `wide` are literals at each call: no branch is left.
    """
    zero = x[0] - x[0]
    for lane in range(rows * lanes):  # rows stand side by side
        a0, a1, a2, a3 = zero, zero, zero, zero
        if not opening:
            a0, a1 = out[lane], out[ROWS * lanes + lane]
            if wide:
                a2, a3 = out[2 * ROWS * lanes + lane], out[3 * ROWS * lanes + lane]
        for d in range(CHUNK):
            x0 = x[d * ROWS * lanes + lane]
            c0, c1 = c[d * COLUMNS], c[d * COLUMNS + 1]
            a0 += (x0 - c0) * (x0 - c0)
            a1 += (x0 - c1) * (x0 - c1)
            if wide:
                c2, c3 = c[d * COLUMNS + 2], c[d * COLUMNS + 3]
                a2 += (x0 - c2) * (x0 - c2)
                a3 += (x0 - c3) * (x0 - c3)
        out[lane], out[ROWS * lanes + lane] = a0, a1
        if wide:
            out[2 * ROWS * lanes + lane], out[3 * ROWS * lanes + lane] = a2, a3


@njit(**OPTIONS)
def cost_rows(x, table, chunks, length, rows, costs):
    """Squared distances of one or two frames of every lane to every frame of the reference."""
    lanes = lane_count(x[0])
    for part in range(-(-length // COLUMNS)):
        out, c = costs[part * COLUMNS * ROWS * lanes :], table[part * chunks * CHUNK * COLUMNS :]
        if length - part * COLUMNS > 2:
            cost_chunk(x, c, out, lanes, rows, True, True)
            for at in range(CHUNK, chunks * CHUNK, CHUNK):
                cost_chunk(x[at * ROWS * lanes :], c[at * COLUMNS :], out, lanes, rows, False, True)
        else:
            cost_chunk(x, c, out, lanes, rows, True, False)
            for at in range(CHUNK, chunks * CHUNK, CHUNK):
                cost_chunk(x[at * ROWS * lanes :], c[at * COLUMNS :], out, lanes, rows, False, False)


@njit(**OPTIONS)
def start_row(i, no_path, lanes, states):
    """Left of column 0 there is no path, except the one that starts at the corner of the first row.

    Even rows are read from slot 0.
    """
    old = (i & 1) * 2 * lanes
    new = 2 * lanes - old
    states[old + lanes : old + 2 * lanes] = no_path * (i != 0)
    states[new + lanes : new + 2 * lanes] = no_path


@njit(**OPTIONS)
def clear(states, no_path, lanes):
    """No path through any column of slot 0, which row 0 is read from; mantissas stay as they are."""
    for at in range(0, len(states), 4 * lanes):
        states[at + lanes : at + 2 * lanes] = no_path


@njit(forceinline=True, **OPTIONS)
def forward_row(costs, columns, states, old):
    """Row i of P from row i - 1, which stands in slot `old` = i % 2, a literal so that distances are constants."""
    lanes = lane_count(states[0])
    new = 1 - old
    for j in columns:
        s, y = states[j * 4 * lanes :], costs[(j * ROWS + old) * lanes :]
        for lane in range(lanes):
            p, whole = inverse_power(y[lane])
            up_e, diag_e = s[(5 + 2 * old) * lanes + lane], s[(1 + 2 * old) * lanes + lane]
            left_e = s[(1 + 2 * new) * lanes + lane]
            e = max(max(up_e, diag_e), left_e)
            total = (
                scaled(s[(4 + 2 * old) * lanes + lane], up_e, e)
                + scaled(s[2 * old * lanes + lane], diag_e, e)
                + scaled(s[2 * new * lanes + lane], left_e, e)
            )
            s[(4 + 2 * new) * lanes + lane], s[(5 + 2 * new) * lanes + lane] = split(total * p, e, whole)


@njit(forceinline=True, **OPTIONS)
def forward_row_shares(costs, columns, states, one, shares, old):
    """`forward_row` that also keeps the shares of the paths that come from above and from the diagonal."""
    lanes = lane_count(one)
    new = 1 - old
    for j in columns:
        s, y, share = states[j * 4 * lanes :], costs[(j * ROWS + old) * lanes :], shares[(j * ROWS + old) * 2 * lanes :]
        for lane in range(lanes):
            p, whole = inverse_power(y[lane])
            up_e, diag_e = s[(5 + 2 * old) * lanes + lane], s[(1 + 2 * old) * lanes + lane]
            left_e = s[(1 + 2 * new) * lanes + lane]
            e = max(max(up_e, diag_e), left_e)
            up, diag = scaled(s[(4 + 2 * old) * lanes + lane], up_e, e), scaled(s[2 * old * lanes + lane], diag_e, e)
            total = up + diag + scaled(s[2 * new * lanes + lane], left_e, e)
            s[(4 + 2 * new) * lanes + lane], s[(5 + 2 * new) * lanes + lane] = split(total * p, e, whole)
            inverse = one / total
            share[lane], share[lanes + lane] = up * inverse, diag * inverse


@njit(**OPTIONS)
def keep_ended(i, ends, column, states, kept):
    """Copies mantissa and exponent at the column, in lanes whose last row this is, from the slot that row i went to."""
    lanes = lane_count(kept[0])
    s = states[((column + 1) * 4 + 2 - 2 * (i & 1)) * lanes :]
    for lane in range(lanes):
        kept[lane] = s[lane] if ends[lane] == i else kept[lane]
        kept[lanes + lane] = s[lanes + lane] if ends[lane] == i else kept[lanes + lane]


@njit(**OPTIONS)
def write_values(kept, members, first, batch, k, logarithm, out):
    """out[member, k] = -log2 of the kept sums: log2(m) = 2 / ln 2 * artanh((m - 1) / (m + 1)), m brought near 1."""
    lanes = lane_count(kept[0])
    for lane in range(lanes):
        mantissa = from_bits(kept[lane])
        high = mantissa > 1.4142135623730951
        mantissa = 0.5 * mantissa if high else mantissa
        s = (mantissa - 1.0) / (mantissa + 1.0)
        q = s * s
        series = q * (1 / 17 + q * (1 / 19 + q * (1 / 21 + q * (1 / 23))))
        series = q * (1 / 9 + q * (1 / 11 + q * (1 / 13 + q * (1 / 15 + series))))
        series = s * (1.0 + q * (1 / 3 + q * (1 / 5 + q * (1 / 7 + series))))
        logarithm[lane] = np.float64(kept[lanes + lane]) + (1.0 if high else 0.0) + 2.8853900817779268 * series
    for lane in range(batch):
        out[members[first + lane], k] = -logarithm[lane]


@njit(**OPTIONS)
def series_tile(frames, longest, one):
    """Room for a batch: the tile [n / 2, ...], and what `gather` needs besides."""
    lanes = lane_count(one)
    pairs = (longest + 1) // ROWS
    padded = -(-frames.shape[1] // CHUNK) * CHUNK
    tile = aligned(pairs * padded * ROWS * lanes, one - one).reshape(pairs, -1)
    return tile, np.empty((3, ROWS * lanes), np.int64), aligned(ROWS * lanes * CHUNK, one)


@njit(**OPTIONS)
def cost_room(length, one):
    """Room for the costs of a pair of rows, in whole fours of columns."""
    return aligned(-(-length // COLUMNS) * COLUMNS * ROWS * lane_count(one), one)


@njit(**OPTIONS)
def values(frames, offsets, members, lengths, tables, targets, length, shift, scale, one, no_path, out):
    """out[members[i], targets[k]] = soft-DTW of the series with reference k, in units of gamma ln 2.

    Args:
        frames, offsets: the packed series; members [M] their indices, shortest first; lengths [M] theirs.
        tables: [G, ...], each as `table` above; targets [G]: their columns of the result; length = T.
        one: 1 of the float type. no_path: the exponent, of the integer type, of a cell that no path reaches.
        out: float64 [N, K].
    """
    lanes = lane_count(one)
    chunks = -(-frames.shape[1] // CHUNK)
    tile, starts, staged = series_tile(frames, lengths[-1], one)
    costs, states = cost_room(length, one), aligned((length + 1) * 4 * lanes, split(one, no_path, no_path)[0])
    ends, kept, logarithm = aligned(lanes, no_path), aligned(2 * lanes, no_path), aligned(lanes, 0.0)
    columns = np.arange(length)
    for first in range(0, len(members), lanes):
        batch = min(lanes, len(members) - first)
        n = lengths[first + batch - 1]
        locate(offsets, members, first, batch, frames.shape[1], starts)
        gather(frames, 0, n, shift, scale, tile, starts, staged)
        last_rows(lengths, first, batch, ends)
        for k in range(len(tables)):
            clear(states, no_path, lanes)
            for i in range(n):
                start_row(i, no_path, lanes, states)
                if i % ROWS == 0:
                    cost_rows(tile[i >> 1], tables[k], chunks, length, min(ROWS, n - i), costs)
                    forward_row(costs, columns, states, 0)
                else:
                    forward_row(costs, columns, states, 1)
                if i >= ends[0]:
                    keep_ended(i, ends, length - 1, states, kept)
            write_values(kept, members, first, batch, targets[k], logarithm, out)


@njit(**OPTIONS)
def self_values(frames, offsets, members, lengths, shift, scale, one, no_path, out):
    """out[members[i], 0] = soft-DTW of a series with itself, in units of gamma ln 2; arguments as `values`."""
    lanes = lane_count(one)
    dimension, longest = frames.shape[1], lengths[-1]
    tile, starts, staged = series_tile(frames, longest, one)
    costs = aligned(longest * ROWS * lanes, one)
    states = aligned((longest + 1) * 4 * lanes, split(one, no_path, no_path)[0])
    ends, kept, logarithm = aligned(lanes, no_path), aligned(2 * lanes, no_path), aligned(lanes, 0.0)
    columns = np.arange(longest)
    for first in range(0, len(members), lanes):
        batch = min(lanes, len(members) - first)
        n = lengths[first + batch - 1]
        locate(offsets, members, first, batch, frames.shape[1], starts)
        gather(frames, 0, n, shift, scale, tile, starts, staged)
        last_rows(lengths, first, batch, ends)
        clear(states, no_path, lanes)
        for i in range(n):
            start_row(i, no_path, lanes, states)
            for j in columns[:n]:
                row = costs[(j * ROWS + (i & 1)) * lanes :]
                row[:lanes] = 0
                for d in range(dimension):
                    x, y = tile[i >> 1][(d * ROWS + (i & 1)) * lanes :], tile[j >> 1][(d * ROWS + (j & 1)) * lanes :]
                    for lane in range(lanes):
                        row[lane] += (x[lane] - y[lane]) * (x[lane] - y[lane])
            if i % ROWS == 0:
                forward_row(costs, columns[:n], states, 0)
            else:
                forward_row(costs, columns[:n], states, 1)
            if i >= ends[0]:
                keep_ended(i, ends, i, states, kept)
        write_values(kept, members, first, batch, 0, logarithm, out)


@njit(**OPTIONS)
def backward_row(shares, row, last_to_first, flow, tiny):
    """One row of E, written over the up shares; `flow` carries what enters it from below and from the right, and on to
    the row above."""
    lanes = lane_count(tiny)
    for j in last_to_first:
        share, f = shares[(j * ROWS + row) * 2 * lanes :], flow[j * 3 * lanes :]
        for lane in range(lanes):
            e = f[3 * lanes + lane] + f[4 * lanes + lane]
            e = e if e > tiny else tiny - tiny  # no subnormal numbers
            up, diag = e * share[lane], e * share[lanes + lane]
            f[3 * lanes + lane] = up + f[5 * lanes + lane]
            f[lanes + lane] = (e - up) - diag
            f[2 * lanes + lane] = diag
            share[lane] = e


@njit(forceinline=True, **OPTIONS)
def four(values, at, step):
    """Four values at equal distances."""
    return values[at], values[at + step], values[at + 2 * step], values[at + 3 * step]


@njit(forceinline=True, **OPTIONS)
def set_four(values, at, step, four):
    values[at], values[at + step], values[at + 2 * step], values[at + 3 * step] = four


@njit(forceinline=True, **OPTIONS)
def add_scaled(sums, e, f, x, y):
    """sums + e x + f y, a four each of sums, e, f."""
    return (
        sums[0] + e[0] * x + f[0] * y,
        sums[1] + e[1] * x + f[1] * y,
        sums[2] + e[2] * x + f[2] * y,
        sums[3] + e[3] * x + f[3] * y,
    )


@njit(forceinline=True, **OPTIONS)
def add_products(sums, x, e, lane, lanes):
    """sums + E[i, j] x[i, d] of one lane's pair of rows, for 4 dimensions (the outer four) and 4 columns."""
    x0, x1 = four(x, lane, ROWS * lanes), four(x, lane + lanes, ROWS * lanes)
    e0, e1 = four(e, lane, 2 * ROWS * lanes), four(e, lane + 2 * lanes, 2 * ROWS * lanes)
    return (
        add_scaled(sums[0], e0, e1, x0[0], x1[0]),
        add_scaled(sums[1], e0, e1, x0[1], x1[1]),
        add_scaled(sums[2], e0, e1, x0[2], x1[2]),
        add_scaled(sums[3], e0, e1, x0[3], x1[3]),
    )


@njit(**OPTIONS)
def accumulate(tile, shares, pairs, chunks, sums, visits):
    """sums += E[i, j] x[i, d], visits += E[i, j] over the rows; two lanes share a sum, which spares stores."""
    lanes = lane_count(tile[0, 0])
    half = lanes // 2
    for part in range(len(visits) // (COLUMNS * half)):
        at = part * COLUMNS * ROWS * 2 * lanes
        seen = visits[part * COLUMNS * half :]
        for pair in range(pairs):
            e = shares[pair][at:]
            for lane in range(half):
                for j in range(COLUMNS):
                    a, b = j * 4 * lanes + lane, (j * 4 + 2) * lanes + lane
                    seen[j * half + lane] += (e[a] + e[b]) + (e[a + half] + e[b + half])
        for chunk in range(chunks):
            out = sums[(part * chunks + chunk) * COLUMNS * CHUNK * half :]
            for pair in range(pairs):
                x, e = tile[pair][chunk * CHUNK * ROWS * lanes :], shares[pair][at:]
                for lane in range(half):
                    a0, a1 = four(out, lane, half), four(out, COLUMNS * half + lane, half)
                    a2, a3 = four(out, 2 * COLUMNS * half + lane, half), four(out, 3 * COLUMNS * half + lane, half)
                    a = add_products((a0, a1, a2, a3), x, e, lane, lanes)
                    a = add_products(a, x, e, lane + half, lanes)
                    set_four(out, lane, half, a[0])
                    set_four(out, COLUMNS * half + lane, half, a[1])
                    set_four(out, 2 * COLUMNS * half + lane, half, a[2])
                    set_four(out, 3 * COLUMNS * half + lane, half, a[3])


@njit(**OPTIONS)
def sum_of(values, at, count):
    """Sum of `count` values from a place on, in float64; four at a time: an addition waits for the one before."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for i in range(at, at + count, 4):
        a += values[i]
        b += values[i + 1]
        c += values[i + 2]
        d += values[i + 3]
    return (a + b) + (c + d)


@njit(**OPTIONS)
def empty_lanes(lane_sums, lane_visits, chunks, sums, visits):
    """Adds what one reference's lanes have gathered to its sums [T, D] and visits [T], and clears the lanes."""
    half = lane_count(lane_sums[0]) // 2
    for j in range(len(visits)):
        visits[j] += sum_of(lane_visits, j * half, half)
        for d in range(sums.shape[1]):
            place = ((j // COLUMNS * chunks + d // CHUNK) * CHUNK + d % CHUNK) * COLUMNS + j % COLUMNS
            sums[j, d] += sum_of(lane_sums, place * half, half)
    lane_sums[:] = 0
    lane_visits[:] = 0


@njit(**OPTIONS)
def statistics(
    frames,
    offsets,
    members,
    lengths,
    bounds,
    weights,
    tables,
    length,
    shift,
    scale,
    one,
    no_path,
    tiny,
    out,
    sums,
    visits,
):
    """Soft-DTW of series to the references of their clusters, and what its gradient is made of, summed by cluster.

    Args:
        frames, offsets, tables, length, shift, scale, one, no_path: as `values`.
        members, lengths, weights: cluster after cluster, in each the shortest first; cluster k from bounds[k] to
            bounds[k + 1] (int64 [K + 1]). Weights are of the float type.
        tiny: shares of paths below it count as none.
        out: float64 [N, 1], set at the members.
        sums, visits: float64 [K, T, D], [K, T]; S = sum E x (shifted and scaled) and W = sum E, both with the weights,
            are added to them.
    """
    lanes = lane_count(one)
    zero = one - one
    chunks, parts = -(-frames.shape[1] // CHUNK), -(-length // COLUMNS)
    tile, starts, staged = series_tile(frames, lengths.max(), one)
    shares = aligned(len(tile) * parts * COLUMNS * ROWS * 2 * lanes, zero).reshape(len(tile), -1)
    costs, states = cost_room(length, one), aligned((length + 1) * 4 * lanes, split(one, no_path, no_path)[0])
    ends, kept, logarithm = aligned(lanes, no_path), aligned(2 * lanes, no_path), aligned(lanes, 0.0)
    columns, last_to_first = np.arange(length), np.arange(length)[::-1].copy()
    flow, start = aligned((length + 1) * 3 * lanes, zero), (length * 3 + 1) * lanes
    lane_sums = aligned(parts * COLUMNS * chunks * CHUNK * lanes // 2, zero)
    lane_visits = aligned(parts * COLUMNS * lanes // 2, zero)
    lane_weights = aligned(lanes, zero)
    for k in range(len(tables)):
        for first in range(bounds[k], bounds[k + 1], lanes):
            batch = min(lanes, bounds[k + 1] - first)
            n = lengths[first + batch - 1]
            locate(offsets, members, first, batch, frames.shape[1], starts)
            last_rows(lengths, first, batch, ends)
            lane_weights[:] = zero
            for lane in range(batch):
                lane_weights[lane] = weights[first + lane]
            clear(states, no_path, lanes)
            for i in range(n):
                start_row(i, no_path, lanes, states)
                if i % ROWS == 0:
                    gather(frames, i, i + 1, shift, scale, tile, starts, staged)
                    cost_rows(tile[i >> 1], tables[k], chunks, length, min(ROWS, n - i), costs)
                    forward_row_shares(costs, columns, states, one, shares[i >> 1], 0)
                else:
                    forward_row_shares(costs, columns, states, one, shares[i >> 1], 1)
                if i >= ends[0]:
                    keep_ended(i, ends, length - 1, states, kept)
            write_values(kept, members, first, batch, 0, logarithm, out)
            for j in columns:
                flow[(j + 1) * 3 * lanes : ((j + 1) * 3 + 1) * lanes] = zero
            for i in range(n - 1, -1, -1):
                for lane in range(lanes):
                    flow[start + lane] = lane_weights[lane] if ends[lane] == i else zero
                    flow[start + lanes + lane] = zero
                backward_row(shares[i >> 1], i & 1, last_to_first, flow, tiny)
            if n % ROWS:  # the odd row out belongs to nobody
                for j in columns:
                    at = (j * ROWS + 1) * 2 * lanes
                    shares[n >> 1, at : at + lanes] = zero
            accumulate(tile, shares, (n + 1) // ROWS, chunks, lane_sums, lane_visits)
            if first + lanes >= bounds[k + 1] or (first - bounds[k]) // lanes % EMPTIED == EMPTIED - 1:
                empty_lanes(lane_sums, lane_visits, chunks, sums[k], visits[k])
