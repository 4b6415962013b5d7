"""Several workers that compute one global batch together. All functions do nothing for one worker.

Every worker computes the losses of the WHOLE batch from gathered outputs, in which its own rows alone carry gradient.
So the gradients of the network sum over workers to that of the global batch, and an anchor sees all pairs, not those of
one worker.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def gather(own: Tensor, sizes: list[int], worker: int) -> Tensor:
    """Rows of all workers in worker order, [sizes[worker], ...] -> [sum of sizes, ...]; the own rows keep gradient."""
    if len(sizes) == 1:
        return own
    padded = own.new_zeros(max(sizes), *own.shape[1:])
    padded[: len(own)] = own.detach()
    received = [torch.empty_like(padded) for _ in sizes]
    torch.distributed.all_gather(received, padded)
    rows = [part[:size] for part, size in zip(received, sizes, strict=True)]
    rows[worker] = own
    return torch.cat(rows)


def sum_gradients(parameters: Iterable[Tensor], workers: int, divide: bool = False) -> None:
    """Add the gradients of all workers in one message; divide: mean, where every worker has the whole gradient."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if workers == 1 or not gradients:
        return
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    torch.distributed.all_reduce(flat)
    if divide:
        flat /= workers
    start = 0
    for gradient in gradients:
        gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
        start += gradient.numel()
