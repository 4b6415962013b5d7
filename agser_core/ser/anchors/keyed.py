"""Anchors by key: target segments are pulled toward source segments of the same key. The key makes the method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from agser_core.errors import ConfigError
from agser_core.gestures.selection import cluster_ratios, common_clusters
from agser_core.ser.anchors import losses
from agser_core.ser.anchors.base import Anchor, View
from agser_core.ser.settings import AnchorSettings


@dataclass(frozen=True)
class Keys:
    """Key of each phone of one corpus.

    key int64 [P], -1 for phones that take no part; membership float32 [P, K] or None where keys are certain.
    """

    key: np.ndarray
    membership: np.ndarray | None = None


class KeyedAnchor(Anchor):
    """The three forms of the loss over the keys common to both corpora (the set C of the method: a key that one corpus
    hardly uses, by the 25 % threshold of the overlap, takes no part)."""

    def __init__(self, name: str, source: Keys, target: Keys, settings: AnchorSettings):
        super().__init__()
        self.settings = settings
        counts = key_counts(source.key, target.key)
        common = common_clusters(counts) if counts.sum(1).all() else np.zeros(counts.shape[1], bool)
        if common.sum() < 2:
            raise ConfigError(
                f"method {name}: source and target share {common.sum()} key(s), at least 2 are needed. "
                f"Segments with a key: source {(source.key >= 0).sum()}, target {(target.key >= 0).sum()}; "
                "gestures need video in both corpora"
            )
        ratios = np.nan_to_num(cluster_ratios(counts)) / 100
        self.reliability = torch.from_numpy(ratios).float() if settings.weights == "overlap" else None
        target = Keys(np.where(np.isin(target.key, np.flatnonzero(common)), target.key, -1), target.membership)
        self.source, self.target = (_compact(keys, counts.shape[1]) for keys in (source, target))

    def loss(self, source: View, target: View, progress: float) -> tuple[Tensor, dict[str, float]]:
        """gamma times the loss of the chosen form; logs active share, separation, usable anchors of the step."""
        settings, device = self.settings, source.phones.device
        pulled = _segments(source, *self.source)
        if settings.detach_source:
            pulled.embeddings = pulled.embeddings.detach()
        anchors = _segments(target, *self.target)
        usable = losses.usable(anchors, pulled)
        offered = len(usable)
        anchors = losses.Segments(anchors.embeddings[usable], anchors.keys[usable], anchors.membership[usable])
        soft = settings.weights == "membership"
        reliability = None if self.reliability is None else self.reliability.to(device)
        logs = {"anchors": float(len(anchors.keys)), "anchors_skipped": float(offered - len(anchors.keys))}
        if settings.form == "prototype":
            value = losses.prototype(anchors, pulled, settings.tau, soft, reliability)
        else:
            hinge = (
                losses.triplet(anchors, pulled, settings.margin, soft, reliability)
                if settings.form == "triplet"
                else losses.attention(anchors, pulled, settings.margin, settings.attention_tau)
            )
            value = hinge.loss
            logs |= {"active_share": hinge.active_share, "separation": hinge.separation}
        return settings.gamma * value, logs | {"anchor_loss": float(value.detach())}


def key_counts(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Segments of each key in source and target, int64 [2, K]; keys of -1 are not counted."""
    n_keys = int(max(source.max(initial=-1), target.max(initial=-1))) + 1
    return np.stack([np.bincount(key[key >= 0], minlength=n_keys) for key in (source, target)])


def _compact(keys: Keys, n_keys: int) -> tuple[Tensor, Tensor]:
    """Keys [P] and membership [P, K] as tensors; one-hot membership where there is none."""
    key = torch.from_numpy(np.ascontiguousarray(keys.key, dtype=np.int64))
    if keys.membership is None:
        return key, torch.nn.functional.one_hot(key.clamp_min(0), n_keys).float()
    return key, torch.from_numpy(np.ascontiguousarray(keys.membership[:, :n_keys], dtype=np.float32))


def _segments(view: View, key: Tensor, membership: Tensor) -> losses.Segments:
    """The phones of a step that have a key."""
    phone = torch.from_numpy(view.phone)
    step_keys, device = key[phone], view.phones.device
    chosen = (step_keys >= 0).nonzero()[:, 0]
    return losses.Segments(
        view.phones[chosen.to(device)], step_keys[chosen].to(device), membership[phone[chosen]].to(device)
    )
