"""What a trial may take: memory is refused and the process goes on, a hang ends the process."""

import subprocess
import sys

import numpy as np
import pytest

from agser_core.tuning.limits import within_limits
from agser_core.tuning.study import LimitSettings

HANGS = """
import ctypes
from agser_core.tuning.limits import within_limits
from agser_core.tuning.study import LimitSettings

with within_limits(LimitSettings(seconds=30)):
    pass  # ended in time: its limit ends with it
with within_limits(LimitSettings(seconds=0.2)):
    ctypes.PyDLL(None).sleep(600)  # native code that keeps the interpreter to itself
"""


def test_memory_beyond_the_limit_is_refused_and_the_limit_goes():
    with pytest.raises(MemoryError), within_limits(LimitSettings(memory_gb=0.5)):
        np.ones(2**30)
    assert np.ones(2**27).sum() == 2**27


def test_a_hang_ends_its_process_and_says_where():
    job = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=60)
    assert job.returncode == 1 and "Timeout" in job.stderr and "<string>" in job.stderr
