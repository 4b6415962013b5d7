"""Whether soft-DTW values are computed on a CUDA device. Cheap to ask: without one, numba's CUDA is never loaded."""

from __future__ import annotations

import ctypes
import functools
import os

from agser_core.softdtw.scaling import Scaling

SHARED_BYTES = 48 * 1024  # every device has so much for a block


@functools.cache
def has_device() -> bool:
    """Whether numba finds a CUDA device, or simulates one."""
    if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
        try:
            ctypes.CDLL("libcuda.so.1")
        except OSError:
            return False
    from numba import cuda

    return cuda.is_available()


def fits(length: int, dimension: int, scaling: Scaling) -> bool:
    """Whether a reference of this size fits into shared memory."""
    return length * dimension * scaling.dtype.itemsize <= SHARED_BYTES
