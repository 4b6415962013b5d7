"""Anchor losses: pure functions of embeddings and keys.

Letters in the shapes: A anchors (target segments), S source segments, K keys, H width, B clips.
Embeddings come in any length; keyed losses make them unit vectors. Distances are cosine: d(u, v) = 1 - u.v, in [0, 2].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Hinge(NamedTuple):
    """A hinge loss with what tells whether it works."""

    loss: Tensor  # >= 0
    active_share: float  # anchors with a gradient, 0 .. 1; nan without anchors
    separation: float  # mean of (distance to other keys - distance to the own key), -2 .. 2; 0 at a random start


@dataclass
class Segments:
    """Segments of one corpus in one batch."""

    embeddings: Tensor  # float [n, H]
    keys: Tensor  # int64 [n], 0 .. K-1
    membership: Tensor  # float [n, K]: share of each key; one-hot where keys are certain


def usable(anchors: Segments, source: Segments) -> Tensor:
    """Anchors that have a positive (same key) and a negative (another key) among the source segments, bool [A]."""
    counts = torch.bincount(source.keys, minlength=anchors.membership.shape[1])
    same = counts[anchors.keys]
    return (same > 0) & (same < len(source.keys))


def triplet(
    anchors: Segments, source: Segments, margin: float, soft: bool = True, reliability: Tensor | None = None
) -> Hinge:
    """Soft-weighted triplet loss against all source segments at once (METHOD section 5; AG, ICASSP 2025).

        L = mean_a w_a max(0, sum_P w_ap d(a, p) - sum_N w_an d(a, n) + m)

    P(a): source segments with the key of a, N(a): the others; w_ap and w_an each sum to 1.
    soft: w_a = membership of a in its key, w_ap ~ membership of p in it, w_an ~ 1 - membership of n; else uniform.
    reliability float [K]: w_a = reliability[k(a)] instead. All anchors must be `usable`.

    As both weights sum to 1, the sums of distances equal 1 - a.M with M the weighted mean of unit source vectors of
    that key: the loss is linear in a, and costs K means in place of A x S distances. A random start gives L = m; keys
    that can't be heard stay there with active share 1 and separation 0.
    """
    if not len(anchors.keys):
        return _nothing(anchors)
    unit_anchors, unit_source = (functional.normalize(side.embeddings, dim=1) for side in (anchors, source))
    n_keys = source.membership.shape[1]
    same = functional.one_hot(source.keys, n_keys).to(unit_source.dtype).T  # [K, S]
    share = source.membership.to(unit_source.dtype).T if soft else same
    pull = _row_shares(same * share) @ unit_source  # [K, H]
    push = _row_shares((1 - same) * (1 - share)) @ unit_source
    separation = (unit_anchors * (pull - push)[anchors.keys]).sum(1)
    return _hinge(separation, margin, _anchor_weights(anchors, soft, reliability))


def attention(anchors: Segments, source: Segments, margin: float, tau: float) -> Hinge:
    """The triplet with weights that favour near segments.

        L = mean_a max(0, sum_P w_ap d(a, p) - sum_N w_an d(a, n) + m)

    w_ap ~ exp(a.p / tau) over P(a), w_an ~ exp(a.n / tau) over N(a), without gradient. tau -> infinity gives uniform
    weights, tau -> 0 the nearest positive and the hardest negative. All anchors must be `usable`.
    """
    if not len(anchors.keys):
        return _nothing(anchors)
    unit_anchors, unit_source = (functional.normalize(side.embeddings, dim=1) for side in (anchors, source))
    cosine = unit_anchors @ unit_source.T  # [A, S]
    same = anchors.keys[:, None] == source.keys[None]
    scores = cosine.detach() / tau
    near = scores.masked_fill(~same, -torch.inf).softmax(1)
    other = scores.masked_fill(same, -torch.inf).softmax(1)
    separation = ((near - other) * cosine).sum(1)
    return _hinge(separation, margin, separation.new_ones(len(separation)))


def prototype(
    anchors: Segments, source: Segments, tau: float, soft: bool = False, reliability: Tensor | None = None
) -> Tensor:
    """Cross-entropy of anchors over the keys: gesture recognition on target audio with source prototypes.

        L = mean_a w_a (-log softmax_k(a.c_k / tau) at k(a)),   c_k = normalised mean of unit source vectors of key k

    Keys absent from the source segments are no candidates. soft: w_a = membership of a in its key; reliability as in
    `triplet`.
    Range: >= 0; log(number of keys present) at a random start. All anchors must be `usable`.
    """
    if not len(anchors.keys):
        return anchors.embeddings.sum() * 0
    unit_anchors, unit_source = (functional.normalize(side.embeddings, dim=1) for side in (anchors, source))
    same = functional.one_hot(source.keys, source.membership.shape[1]).to(unit_source.dtype).T
    logits = unit_anchors @ functional.normalize(same @ unit_source, dim=1).T / tau
    logits = logits.masked_fill(same.sum(1) == 0, -torch.inf)
    losses = functional.cross_entropy(logits, anchors.keys, reduction="none")
    return (_anchor_weights(anchors, soft, reliability) * losses).mean()


def mean_matching(source: Tensor, target: Tensor) -> Tensor:
    """Squared distance of the mean unit vectors of two corpora, [S, H], [A, H] -> [0, 4]. A reference without keys.

    L = |mean_s z_s - mean_a z_a|^2
    """
    gap = functional.normalize(source, dim=1).mean(0) - functional.normalize(target, dim=1).mean(0)
    return (gap**2).sum()


def coral(source: Tensor, target: Tensor) -> Tensor:
    """Deep CORAL (Sun & Saenko, ECCV Workshops 2016, equation 1): |C_S - C_T|_F^2 / (4 H^2), >= 0.

    source [B_S, H], target [B_T, H], at least 2 rows each; C are unbiased covariances. About 1e-3 on vectors of unit
    scale.
    """
    gap = torch.cov(source.T) - torch.cov(target.T)
    return (gap**2).sum() / (4 * source.shape[1] ** 2)


def _hinge(separation: Tensor, margin: float, weights: Tensor) -> Hinge:
    values = (margin - separation).relu()
    active = (values.detach() > 0).double().mean()
    return Hinge((weights * values).mean(), float(active), float(separation.detach().double().mean()))


def _nothing(anchors: Segments) -> Hinge:
    """No usable anchor in the batch: no loss, but still a part of the graph."""
    return Hinge(anchors.embeddings.sum() * 0, float("nan"), float("nan"))


def _row_shares(weights: Tensor) -> Tensor:
    """Rows scaled to sum 1; rows of zeros stay zeros (keys without a source segment, which no usable anchor has)."""
    return weights / weights.sum(1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)


def _anchor_weights(anchors: Segments, soft: bool, reliability: Tensor | None) -> Tensor:
    if reliability is not None:
        return reliability.to(anchors.embeddings.dtype)[anchors.keys]
    if soft:
        return anchors.membership.to(anchors.embeddings.dtype).gather(1, anchors.keys[:, None])[:, 0]
    return anchors.embeddings.new_ones(len(anchors.keys))
