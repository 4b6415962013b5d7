"""A second process finds the compiled kernels on disk; how long it then takes to start is in the benchmark."""

import json
import subprocess
import sys

SCRIPT = """
import json
import numpy as np
from numba.core.dispatcher import Dispatcher
from agser_core.gestures.kmeans import SoftDTWKMeans
from agser_core.softdtw import kernel, pairwise, soft_dtw_gradient
x = np.random.default_rng(0).normal(size=(50, 10, 24)).astype(np.float32)
pairwise(x, x[:3], 1.0)
soft_dtw_gradient(x, x[0], 1.0)
SoftDTWKMeans(2, n_init=1, max_iter=2).fit(x)
used = {name: f.stats for name, f in vars(kernel).items() if isinstance(f, Dispatcher) and f.signatures}
print(json.dumps({name: [sum(s.cache_hits.values()), sum(s.cache_misses.values())] for name, s in used.items()}))
"""


def test_second_process_compiles_nothing():
    def hits_and_misses():
        done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    hits_and_misses()  # where nothing is cached yet, it is now
    found = hits_and_misses()
    assert {"values", "self_values", "statistics"} <= found.keys()
    for name, (hits, misses) in found.items():
        assert hits >= 1 and misses == 0, name
