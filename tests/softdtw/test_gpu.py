"""The CUDA kernel against the recursion: on a device where there is one, in numba's simulator elsewhere."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from agser_core.softdtw import gpu, pairwise
from agser_core.softdtw.reference import soft_dtw_reference

SCRIPT = """
    import numpy as np
    from agser_core.softdtw import cuda_kernel, gpu, pairwise
    from agser_core.softdtw.reference import soft_dtw_reference

    assert gpu.has_device()
    calls = []
    plain = cuda_kernel.values
    cuda_kernel.values = lambda *arguments: (calls.append(1), plain(*arguments))
    rng = np.random.default_rng(0)
    for dtype, tolerance in ((np.float32, 1e-6), (np.float64, 1e-12)):
        segments = [rng.normal(0, 0.6, (n, 3)).astype(dtype) for n in (1, 2, 5, 9, 9, 14)]
        references = [rng.normal(0, 0.6, (n, 3)).astype(dtype) for n in (1, 6, 6, 4)]
        for gamma in (1e-3, 0.1, 10.0):
            values = pairwise(segments, references, gamma, metric="soft_dtw")
            expected = np.array([[soft_dtw_reference(x, y, gamma) for y in references] for x in segments])
            steps = np.array([[len(x) + len(y) for y in references] for x in segments])
            assert (np.abs(values - expected) / np.maximum(np.abs(expected), gamma * steps)).max() < tolerance
    assert len(calls) == 2 * 3 * 3, calls
    print("agrees")
"""


def test_in_the_simulator():
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "0"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.stdout.strip() == "agrees", done.stderr


@pytest.mark.skipif(not gpu.has_device(), reason="no CUDA device on this machine")
def test_on_the_device():
    rng = np.random.default_rng(0)
    segments = [rng.normal(0, 0.3, (n, 24)).astype(np.float32) for n in rng.integers(1, 41, 3000)]
    values = pairwise(segments, segments[:7], 0.3, metric="soft_dtw")
    for i in range(0, 3000, 113):
        for k in range(7):
            assert values[i, k] == pytest.approx(soft_dtw_reference(segments[i], segments[k], 0.3), rel=1e-5, abs=1e-5)


def test_large_references_stay_on_the_cpu():
    from agser_core.ragged import Ragged
    from agser_core.softdtw.pairs import scaling_for

    segments = Ragged.from_list([np.zeros((4, 24), np.float32)])
    scaling = scaling_for(segments, segments, 1.0)
    assert gpu.fits(512, 24, scaling)
    assert not gpu.fits(513, 24, scaling)
