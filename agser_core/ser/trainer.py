"""The one trainer of every method.

The source is labelled, the target is not; the kept epoch is chosen on source dev. Losses are those of the global batch
on any number of workers, so that 1 and N workers walk the same path, and every random draw is a function of (seed,
epoch, step), so that a resumed fit does too.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from agser_core.errors import AgserError, ConfigError
from agser_core.ser import diagnostics, metrics, parallel, sampler
from agser_core.ser.anchors import Anchor, View, build_anchor, refuse_labels
from agser_core.ser.batches import make_batch
from agser_core.ser.dataset import SpeechData, moments, phones_of
from agser_core.ser.discriminant import start_at_discriminant
from agser_core.ser.frames import top_layers_of
from agser_core.ser.network import EmotionNetwork, Masks, Output
from agser_core.ser.prediction import run
from agser_core.ser.settings import TrainSettings

if TYPE_CHECKING:  # imports transformers
    from agser_core.speech.top_layers import TopLayers

_STEPS_DESCRIBED = 4  # the last steps of an epoch give the figures of the embeddings
_log = logging.getLogger(__name__)


@dataclass
class FitResult:
    """What a fit leaves."""

    weights: dict[str, torch.Tensor]  # of the kept epoch, on the CPU: give them to `prediction.predict`
    history: list[dict]  # one dict an epoch: losses, source dev, figures of the anchor and the embeddings, seconds
    chosen_epoch: int  # 0-based
    warnings: list[str]  # dead hinge, inaudible keys, collapse: to be shown beside the numbers
    settings: TrainSettings
    seed: int


def fit(
    source_train: SpeechData,
    source_dev: SpeechData,
    target_train: SpeechData,
    settings: TrainSettings,
    seed: int,
    *,
    on_epoch: Callable[[int, dict, dict], None] | None = None,
    state: dict | None = None,
    worker: int = 0,
    workers: int = 1,
    device: str = "cpu",
) -> FitResult:
    """Train one network.

    source_train, source_dev: labelled clips (those of other emotions are passed over). target_train: clips without
    labels (`SpeechData.without_labels()`), refused otherwise. All are normalised by the caller as `settings.normalise`
    says. on_epoch(epoch, figures, state) is called after each epoch on every worker; `state` holds references to live
    tensors, so save it before returning. state: one of those, to go on after it; the loss sequence is that of a run
    never stopped. worker, workers: with more than one, `torch.distributed` must be initialised; all workers pass the
    same data and settings. Thread counts are the caller's business.
    """
    training = Training(
        source_train,
        source_dev,
        target_train,
        settings,
        seed,
        state=state,
        worker=worker,
        workers=workers,
        device=device,
    )
    while not training.finished:
        figures = training.next_epoch()
        if on_epoch is not None:
            on_epoch(figures["epoch"], figures, training.state())
    return training.result()


class Training:
    """One fit, driven epoch by epoch by its owner; `fit` says what the arguments are."""

    def __init__(
        self,
        source_train: SpeechData,
        source_dev: SpeechData,
        target_train: SpeechData,
        settings: TrainSettings,
        seed: int,
        *,
        state: dict | None = None,
        worker: int = 0,
        workers: int = 1,
        device: str = "cpu",
    ):
        refuse_labels(target_train)
        if not (source_dev.emotion >= 0).any():
            raise ConfigError(f"{source_dev.corpus}: source dev has no labelled clip to choose the epoch on")
        top = top_layers_of(settings, source_train, source_dev, target_train)
        self.network = _new_network(source_train, settings, seed, top).to(device)
        anchor = build_anchor(settings, source_train, target_train, seed)
        if anchor is not None:
            anchor.to(device)
            if anchor.layer_group is not None:
                self.network.read_only(anchor.layer_group)
        if settings.network.shrinkage is not None:
            start_at_discriminant(self.network, source_train, settings.network.shrinkage)
        self.dev, self.settings = source_dev, settings
        self._run = _Run(self.network, anchor, source_train, target_train, settings, seed, worker, workers)
        self._progress = _Progress()
        if state is not None:
            _restore(state, self._run, self._progress)

    @property
    def finished(self) -> bool:
        """All epochs are done, or patience has run out."""
        epoch, patience = len(self._progress.history), self.settings.patience
        idle = patience is not None and epoch and epoch - 1 - self._progress.chosen_epoch >= patience
        return epoch >= self.settings.epochs or bool(idle)

    @property
    def chosen_epoch(self) -> int:
        """The epoch whose weights would be kept now, 0-based; -1 before the first."""
        return self._progress.chosen_epoch

    def next_epoch(self) -> dict:
        """Train one epoch; its figures."""
        started, epoch = time.perf_counter(), len(self._progress.history)
        figures = self._run.epoch(epoch)
        figures |= _dev_figures(self.network, self.dev)
        if not np.isfinite(figures["dev_loss"]):  # the loss was a number before the last step, not after it
            raise self._run.diverged(f"on source dev after epoch {epoch + 1}")
        figures |= {"epoch": epoch, "seconds": time.perf_counter() - started}
        self._progress.add(figures, self.network, self.settings)
        return figures

    def state(self) -> dict:
        """What goes on from here: references to live tensors, so save it before the next epoch."""
        return _state(self._run, self._progress)

    def result(self) -> FitResult:
        """What the fit leaves; warns of what its figures show."""
        progress, run_ = self._progress, self._run
        warnings = diagnostics.warnings(progress.history) if run_.anchor is not None else []
        for warning in warnings:
            _log.warning(
                "%s -> %s, %s, seed %d: %s",
                run_.source.corpus,
                run_.target.corpus,
                self.settings.method,
                run_.seed,
                warning,
            )
        return FitResult(progress.weights, progress.history, progress.chosen_epoch, warnings, self.settings, run_.seed)


class _Progress:
    """Figures so far and the weights to keep."""

    def __init__(self) -> None:
        self.history: list[dict] = []
        self.weights: dict[str, torch.Tensor] = {}
        self.chosen_epoch = -1
        self.best = -np.inf

    def add(self, figures: dict, network: EmotionNetwork, settings: TrainSettings) -> None:
        self.history.append(figures)
        value = {"dev_uar": figures["dev_uar"], "dev_loss": -figures["dev_loss"], "last": figures["epoch"]}[
            settings.keep
        ]
        if value > self.best:
            self.best, self.chosen_epoch = value, figures["epoch"]
            self.weights = {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}


class _Run:
    """One fit on one worker: what stays the same over its steps."""

    def __init__(self, network, anchor: Anchor | None, source, target, settings: TrainSettings, seed, worker, workers):
        self.network, self.anchor, self.source, self.target = network, anchor, source, target
        self.settings, self.seed, self.worker, self.workers = settings, seed, worker, workers
        self.device = network.input_mean.device
        self.labels = torch.from_numpy(source.emotion.astype(np.int64))
        self.anchor_parameters = [] if anchor is None else list(anchor.parameters())
        self.optimiser = torch.optim.AdamW(
            _parameter_groups(network, self.anchor_parameters, settings),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        self.steps = sampler.steps_in_epoch(source.emotion, settings.batch_size)

    def epoch(self, epoch: int) -> dict[str, float]:
        """All steps of one epoch; mean figures over them."""
        size = self.settings.batch_size
        source_clips = sampler.source_batches(self.source.emotion, size, self.seed, epoch)
        target_clips = np.zeros((self.steps, 0), dtype=np.int64)
        if self.anchor is not None:
            self.anchor.start_epoch(epoch, lambda data: run(self.network, data).probabilities)
            target_clips = sampler.target_batches(len(self.target), self.steps, size, self.seed, epoch)
        logs, views, waited = [], [], 0.0
        for step in range(self.steps):
            figures, *sides = self.step(epoch, step, source_clips[step], target_clips[step])
            waited += figures.pop("data_seconds")
            logs.append(figures)
            if step >= self.steps - _STEPS_DESCRIBED:
                views.append(sides)
        described = [
            torch.cat([sides[side].phones.detach()[sides[side].vowels()] for sides in views])
            for side in (0, 1)
            if views[0][side] is not None
        ]
        return {
            **{name: float(np.nanmean([figures[name] for figures in logs])) for name in logs[0] if _known(logs, name)},
            **diagnostics.describe(described[0], described[1] if len(described) == 2 else None),
            "steps": self.steps,
            "data_seconds": waited,
        }

    def step(self, epoch: int, step: int, source_clips: np.ndarray, target_clips: np.ndarray):
        """One optimiser step on one global batch -> (figures, source View, target View | None)."""
        started = time.perf_counter()
        sides = [(self.source, source_clips)] + ([(self.target, target_clips)] if len(target_clips) else [])
        own = [(data, clips[sampler.worker_share(len(clips), self.worker, self.workers)]) for data, clips in sides]
        batch = make_batch(own, self.device, self.network.tuned)
        masks = self._masks(sides, sampler.dropout_seed(self.seed, epoch, step))
        waited = time.perf_counter() - started

        self.network.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16"):
            output = self.network(batch, masks)
        views = self._views(sides, own, output)
        emotion_loss = functional.cross_entropy(views[0].logits, self.labels[source_clips].to(self.device))
        loss, figures = emotion_loss, {}
        if self.anchor is not None:
            progress = (epoch * self.steps + step) / (self.settings.epochs * self.steps)
            anchor_loss, figures = self.anchor.loss(views[0], views[1], progress)
            loss = emotion_loss + anchor_loss
        if not torch.isfinite(loss):
            raise self.diverged(f"in epoch {epoch + 1}, step {step + 1}")
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        parallel.sum_gradients(self.network.parameters(), self.workers)
        parallel.sum_gradients(self.anchor_parameters, self.workers, divide=True)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip_gradient)
        self.optimiser.step()
        figures |= {"loss": float(loss.detach()), "emotion_loss": float(emotion_loss.detach()), "data_seconds": waited}
        return figures, views[0], views[1] if len(views) == 2 else None

    def diverged(self, where: str) -> AgserError:
        """The error of a fit whose loss is no number any more."""
        return AgserError(
            f"{self.source.corpus} -> {self.target.corpus}, {self.settings.method}, seed {self.seed}: the loss is no "
            f"number any more {where}; lower train.learning_rate or train.anchor.gamma, or set train.precision=float32"
            + (", or lower train.encoder_learning_rate" if self.settings.fine_tune else "")
        )

    def _masks(self, sides, seed: int) -> Masks:
        """Dropout masks of the global batch (all source, then all target), of which this worker keeps its rows."""
        phone_rows, clip_rows, phones, clips = [], [], 0, 0
        for data, chosen in sides:
            share = sampler.worker_share(len(chosen), self.worker, self.workers)
            ends = np.concatenate([[0], np.cumsum(data.lengths[chosen])])
            phone_rows.append(np.arange(phones + ends[share.start], phones + ends[share.stop]))
            clip_rows.append(np.arange(clips + share.start, clips + share.stop))
            phones, clips = phones + int(ends[-1]), clips + len(chosen)
        rows = (torch.from_numpy(np.concatenate(part)).to(self.device) for part in (phone_rows, clip_rows))
        phone, clip = rows
        return Masks(self.settings.network, seed, phone, phones, clip, clips)

    def _views(self, sides, own, output: Output) -> list[View]:
        """The outputs of the whole batch, corpus by corpus."""
        views, first_clip, first_phone = [], 0, 0
        for (data, clips), (_, own_clips) in zip(sides, own, strict=True):
            shares = [clips[sampler.worker_share(len(clips), worker, self.workers)] for worker in range(self.workers)]
            clip_sizes, phone_sizes = [len(part) for part in shares], [int(data.lengths[part].sum()) for part in shares]
            last_clip, last_phone = first_clip + len(own_clips), first_phone + phone_sizes[self.worker]
            per_clip = (
                parallel.gather(values[first_clip:last_clip].float(), clip_sizes, self.worker)
                for values in (output.logits, output.clips, output.inputs)
            )
            phones = parallel.gather(output.phones[first_phone:last_phone].float(), phone_sizes, self.worker)
            logits, pooled, inputs = per_clip
            views.append(View(data, clips, phones_of(data.offsets, clips), logits, pooled, phones, inputs))
            first_clip, first_phone = last_clip, last_phone
        return views


def _parameter_groups(network: EmotionNetwork, anchor: list[torch.nn.Parameter], settings: TrainSettings) -> list[dict]:
    """Of the optimiser: the head with the anchor, and what of the encoder is trained, at a rate of its own."""
    top = [] if network.top is None else list(network.top.parameters())
    of_top = set(map(id, top))
    head = [parameter for parameter in network.parameters() if id(parameter) not in of_top]
    groups = [{"params": [*head, *anchor]}]
    return groups + [{"params": top, "lr": settings.encoder_learning_rate}] if top else groups


def _new_network(source: SpeechData, settings: TrainSettings, seed: int, top: TopLayers | None) -> EmotionNetwork:
    """The head's weights drawn from seed, inputs standardised by the source training clips; `top` is pretrained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = EmotionNetwork(source.n_layers, source.dimension, len(source.classes), settings.network, top)
    for buffer, values in zip((network.input_mean, network.input_deviation), moments(source), strict=True):
        buffer.copy_(torch.from_numpy(values))
    return network


def _dev_figures(network: EmotionNetwork, dev: SpeechData) -> dict[str, float]:
    """UAR and mean cross-entropy on the labelled clips of source dev."""
    network.eval()
    labelled = dev.emotion >= 0
    probabilities, truth = run(network, dev).probabilities[labelled], dev.emotion[labelled].astype(np.int64)
    counts = metrics.confusion(truth, probabilities.argmax(1), len(dev.classes))
    likelihood = np.maximum(probabilities[np.arange(len(truth)), truth], 1e-12)
    return {"dev_uar": metrics.uar(counts), "dev_loss": float(-np.log(likelihood).mean())}


def _state(run_: _Run, progress: _Progress) -> dict:
    return {
        "settings": run_.settings.model_dump(),
        "seed": run_.seed,
        "network": run_.network.state_dict(),
        "anchor": None if run_.anchor is None else run_.anchor.state_dict(),
        "optimiser": run_.optimiser.state_dict(),
        "progress": dict(vars(progress)),
    }


def _restore(state: dict, run_: _Run, progress: _Progress) -> None:
    same = {**state["settings"], "epochs": run_.settings.epochs} == run_.settings.model_dump()
    if not same or state["seed"] != run_.seed:
        raise ConfigError(
            "the checkpoint is of other settings or another seed; start anew or give those it was made with"
        )
    run_.network.load_state_dict(state["network"])
    if run_.anchor is not None:
        run_.anchor.load_state_dict(state["anchor"])
    run_.optimiser.load_state_dict(state["optimiser"])
    vars(progress).update(copy.deepcopy(state["progress"]))


def _known(logs: list[dict], name: str) -> bool:
    return any(not np.isnan(figures[name]) for figures in logs)
