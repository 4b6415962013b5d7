"""Which clips meet in which step: pure functions of (seed, epoch), whatever the number of workers.

A global batch holds B labelled source clips, equally many of each class, and B target clips. Workers take contiguous
shares of it, so that the shares laid end to end in worker order are the global batch again.
"""

from __future__ import annotations

import numpy as np

_SOURCE, _TARGET, _DROPOUT = 0, 1, 2  # separate random streams of one seed


def steps_in_epoch(source_labels: np.ndarray, batch_size: int) -> int:
    """Steps that visit as many source clips as there are labelled ones (at least 1)."""
    return max(1, -(-int((source_labels >= 0).sum()) // batch_size))


def source_batches(labels: np.ndarray, batch_size: int, seed: int, epoch: int) -> np.ndarray:
    """Class-balanced source batches of one epoch, int64 [steps, B].

    labels int [C], clips with -1 are never drawn. The class runs through the slots of a batch, so that every
    contiguous share is balanced too; each class cycles through fresh permutations of its clips.
    """
    steps, classes = steps_in_epoch(labels, batch_size), np.unique(labels[labels >= 0])
    if len(classes) < 2:
        raise ValueError(f"source clips of {len(classes)} class(es): at least 2 are needed to train")
    slot_class = np.arange(steps * batch_size) % len(classes)
    batches = np.empty(steps * batch_size, dtype=np.int64)
    generator = np.random.default_rng([seed, epoch, _SOURCE])
    for index, label in enumerate(classes):
        slots = slot_class == index
        batches[slots] = _cycle(np.flatnonzero(labels == label), int(slots.sum()), generator)
    return batches.reshape(steps, batch_size)


def target_batches(n_target: int, steps: int, batch_size: int, seed: int, epoch: int) -> np.ndarray:
    """Target batches of one epoch, int64 [steps, B]: fresh permutations of all clips, cycled. Sees no label."""
    generator = np.random.default_rng([seed, epoch, _TARGET])
    return _cycle(np.arange(n_target), steps * batch_size, generator).reshape(steps, batch_size)


def worker_share(size: int, worker: int, workers: int) -> slice:
    """The contiguous part of a global batch that one of the workers computes.

    >>> [worker_share(10, worker, 4) for worker in range(4)]
    [slice(0, 2, None), slice(2, 5, None), slice(5, 7, None), slice(7, 10, None)]
    """
    if not 0 <= worker < workers:
        raise ValueError(f"worker {worker} of {workers}")
    return slice(size * worker // workers, size * (worker + 1) // workers)


def dropout_seed(seed: int, epoch: int, step: int) -> int:
    """Seed of the dropout masks of one step, the same on every worker."""
    return int(np.random.SeedSequence([seed, epoch, step, _DROPOUT]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _cycle(items: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """`count` items from fresh permutations laid end to end."""
    rounds = -(-count // len(items)) if count else 0
    return np.concatenate([generator.permutation(items) for _ in range(rounds)] or [items[:0]])[:count]
