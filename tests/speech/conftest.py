"""Signals with known pitch."""

import numpy as np
import pytest


def _glide(seconds: float, low: float = 120.0, high: float = 240.0, seed: int = 0) -> np.ndarray:
    """A harmonic tone whose pitch glides up by equal ratios, with a little noise: float32 at 16 kHz."""
    time = np.arange(int(seconds * 16000)) / 16000
    pitch = low * (high / low) ** (time / seconds)
    phase = 2 * np.pi * np.cumsum(pitch) / 16000
    tone = sum(np.sin(k * phase) / k for k in range(1, 11))
    noise = np.random.default_rng(seed).standard_normal(len(time))
    return (0.1 * tone + 0.001 * noise).astype(np.float32)


@pytest.fixture(scope="session")
def glide():
    return _glide
