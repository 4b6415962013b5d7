"""The loss sequences are those that were committed: no change of the trainer moves them unnoticed."""

import json

import pytest
from golden_curves import FILE, curves

#: Processors and releases of PyTorch add in other orders; three epochs widen that to 1e-5 or so.
TOLERANCE = 1e-3


def test_the_loss_sequences_are_the_committed_ones():
    found, golden = curves(), json.loads(FILE.read_text())
    assert found.keys() == golden.keys()
    for method, curve in golden.items():
        for name, values in curve.items():
            assert found[method][name] == pytest.approx(values, rel=TOLERANCE), (method, name)
