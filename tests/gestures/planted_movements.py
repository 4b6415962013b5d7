"""Series of which the cluster is known."""

import numpy as np

from agser_core.ragged import Ragged


def planted(
    count: int, gestures: int = 4, dimension: int = 6, seed: int = 0, dtype=np.float64
) -> tuple[Ragged, np.ndarray]:
    """Noisy, time-warped copies of smooth prototype movements, 3 to 20 frames long; and which prototype each is of."""
    rng = np.random.default_rng(seed)
    knots = np.random.default_rng(99).normal(0, 1, (gestures, 5, dimension))
    labels = rng.integers(0, gestures, count)
    segments = []
    for label in labels:
        frames = int(rng.integers(3, 21))
        times = np.sort(rng.uniform(0, 4, frames)) * 0.5 + np.linspace(0, 4, frames) * 0.5
        curve = np.stack([np.interp(times, np.arange(5), knots[label, :, d]) for d in range(dimension)], axis=1)
        segments.append((curve + rng.normal(0, 0.15, curve.shape)).astype(dtype))
    return Ragged.from_list(segments), labels
