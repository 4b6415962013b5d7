"""The soft-DTW recursion on a CUDA device: one thread a pair, the reference in shared memory.

Short series leave no room for the usual block a pair with a thread a row (ten live threads), so here, as on the CPU, a
lane is a series. Same recursion and same exponent per cell as `kernel.py`, with the device's own exp2, so values agree
to rounding but not to the last bit; a run stays with one of the two. Gradients are computed on the CPU.

Seen working in numba's CUDA simulator only.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numba import cuda, from_dtype

from agser_core.ragged import Ragged
from agser_core.softdtw.scaling import Scaling

THREADS = 64  # of a block


@functools.cache
def compiled(length: int, dimension: int, dtype: np.dtype):
    """The kernel for references [length, dimension]: sizes of shared and local memory are constants of a kernel."""
    real = from_dtype(dtype)
    whole = from_dtype(np.dtype(np.int32 if dtype == np.float32 else np.int64))

    @cuda.jit
    def kernel(frames, offsets, members, references, shift, scale, no_path, targets, out):
        reference = cuda.shared.array((length, dimension), real)
        k = cuda.blockIdx.y
        for at in range(cuda.threadIdx.x, length * dimension, cuda.blockDim.x):
            reference[at // dimension, at % dimension] = references[k, at // dimension, at % dimension]
        cuda.syncthreads()
        place = cuda.grid(1)
        if place >= len(members):
            return
        member = members[place]
        x = cuda.local.array(dimension, real)
        mantissa, exponent = cuda.local.array(length, real), cuda.local.array(length, whole)
        for j in range(length):
            mantissa[j] = 1
            exponent[j] = no_path
        for row in range(offsets[member], offsets[member + 1]):
            for d in range(dimension):
                x[d] = (frames[row, d] - shift[d]) * scale
            left_m, left_e = real(1), no_path
            diag_m, diag_e = left_m, no_path * (row > offsets[member])
            for j in range(length):
                cost = real(0)
                for d in range(dimension):
                    cost += (x[d] - reference[j, d]) * (x[d] - reference[j, d])
                rounded = math.floor(cost + real(0.5))
                up_m, up_e = mantissa[j], exponent[j]
                e = max(max(up_e, diag_e), left_e)
                total = up_m * math.exp2(real(max(up_e - e, -100)))  # below 2**-100 nothing of a term is left anyhow
                total += diag_m * math.exp2(real(max(diag_e - e, -100)))
                total += left_m * math.exp2(real(max(left_e - e, -100)))
                left_m, more = math.frexp(total * math.exp2(rounded - cost))
                left_e = whole(e + more - whole(rounded))
                diag_m, diag_e = up_m, up_e
                mantissa[j], exponent[j] = left_m, left_e
        out[member, targets[k]] = -(exponent[length - 1] + math.log2(mantissa[length - 1]))

    return kernel


def values(segments: Ragged, references: np.ndarray, targets: np.ndarray, scaling: Scaling, out: np.ndarray) -> None:
    """out[:, targets[k]] = soft-DTW of every segment with references[k], in units of gamma ln 2.

    Args:
        segments: N of the scaling's float type. references: [G, T, D], shifted and scaled. out: float64 [N, K].
    """
    count, length, dimension = references.shape
    order = np.argsort(segments.lengths, kind="stable")  # neighbours in a warp end together
    first, last = segments.offsets[0], segments.offsets[-1]
    result = cuda.to_device(out)
    blocks = (-(-len(order) // THREADS), count)
    compiled(length, dimension, scaling.dtype)[blocks, THREADS](
        cuda.to_device(segments.frames[first:last]),
        cuda.to_device(segments.offsets - first),
        cuda.to_device(order),
        cuda.to_device(references),
        cuda.to_device(scaling.shift),
        scaling.scale,
        scaling.no_path,
        cuda.to_device(targets),
        result,
    )
    out[:] = result.copy_to_host()
