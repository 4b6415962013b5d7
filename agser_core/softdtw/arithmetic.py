"""Numbers wider than a float: mantissa * 2**exponent, and 2**-y without a library call. For float32 and float64.

A path sum of soft-DTW is exp(-cost / gamma) summed over paths. It leaves the range of any float as soon as gamma is small, and
rescaling whole rows (as hidden Markov models do) fails silently, because the entries of one row differ by factors of e^1000. So every
sum is kept as a mantissa in [1, 2) and an integer exponent of its own. Everything here is branch-free integer and float arithmetic
that the compiler turns into vector code; the functions are chosen by the type of their argument when a kernel is compiled.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload

# "contract" allows fused multiply-add; never "reassoc" (it would delete the rounding trick below) and never "nnan"
FASTMATH = {"contract", "nsz", "arcp"}
_INLINE = {"fastmath": FASTMATH, "error_model": "numpy", "boundscheck": False}


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
ONE = np.float32(1)
B1, B2, B3, B4, B5, B6, B7, B8, B9, B10, B11 = _power_coefficients(11)
ROUND_64 = 1.5 * 2.0**52  # adding it leaves the nearest integer in the low bits of a float64
ROUND_64_BITS = np.float64(ROUND_64).view(np.int64)


def inverse_power(y):
    """(p, k) with 2**-y = p * 2**-k, k integer, p in [0.70, 1.42]. y >= 0, below 2**30 (float32) or 2**50 (float64)."""


@overload(inverse_power, jit_options=_INLINE)
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
            low = 1.0 + r * (B1 + r * (B2 + r * (B3 + r * (B4 + r * B5))))
            r2 = r * r
            r6 = r2 * r2 * r2
            high = B6 + r * (B7 + r * (B8 + r * (B9 + r * (B10 + r * B11))))
            return low + r6 * high, np.int64(np.float64(shifted).view(np.int64) - ROUND_64_BITS)
    return implementation


def scaled(mantissa, exponent, largest):
    """mantissa * 2**(exponent - largest) for exponent <= largest; below 2**-126 (2**-1022) it stays at about that.

    An integer addition to the exponent bits: no rounding, no subnormal number.
    """


@overload(scaled, jit_options=_INLINE)
def _scaled(mantissa, exponent, largest):
    if mantissa == types.float32:
        def implementation(mantissa, exponent, largest):
            k = max(np.int32(exponent - largest), np.int32(-126))
            return np.int32(np.float32(mantissa).view(np.int32) + np.int32(k << np.int32(23))).view(np.float32)
    else:
        def implementation(mantissa, exponent, largest):
            k = max(exponent - largest, -1022)
            return np.int64(np.float64(mantissa).view(np.int64) + np.int64(k << 52)).view(np.float64)
    return implementation


def split(value, exponent, whole):
    """value * 2**(exponent - whole) of a positive normal value as (mantissa in [1, 2), exponent)."""


@overload(split, jit_options=_INLINE)
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
