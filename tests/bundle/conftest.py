"""A bundle on disk, and speech-like sound."""

import numpy as np
import pytest
from drawn_bundle import made_facts, made_tensors
from safetensors.torch import save

from agser_core.bundle.files import CARD, WEIGHTS, write_bundle
from agser_core.storage import Location


@pytest.fixture
def write(tmp_path):
    """A function (tensors, **changed facts) -> path that writes a bundle."""

    def written(tensors=None, **changes) -> str:
        folder = Location.parse(tmp_path / "bundle")
        files = {WEIGHTS: save(made_tensors() if tensors is None else tensors), CARD: b"# card"}
        write_bundle(folder, made_facts(**changes), files)
        return folder.path

    return written


@pytest.fixture(scope="session")
def speech() -> np.ndarray:
    """Three seconds of a gliding voice in syllables with pauses, float32 at 16 kHz."""
    time = np.arange(48000) / 16000
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.7 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / 16000
    voice = sum(np.sin(n * phase) / n for n in range(1, 20))
    syllables = np.maximum(np.sin(2 * np.pi * 3 * time), 0) * (time > 0.4) * (time < 2.6)
    noise = np.random.default_rng(0).normal(0, 1e-4, len(time))
    return (0.1 * voice * syllables + noise).astype(np.float32)
