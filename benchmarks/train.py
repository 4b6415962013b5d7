"""Training with Ray Train beside a plain single-process PyTorch loop of the same model and data; the sample's matrix.

    python -m benchmarks.train [--matrix]

Planted corpora of CREMA-D's size (7,500 clips to train on, as many of the target), the default network and method. The
loops do the same: all steps of an epoch, then source dev; the one of Ray Train also logs, reports and stores a
checkpoint every epoch. Compared are warm epochs (the first is left out). The last line is JSON.

--matrix: also the default evaluation matrix of the sample job, from extracted corpora, in minutes.
Exit code 1 where a bar is missed: ratio >= 0.95 with one worker, less than 5 % of the time spent on data.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

import pipelines  # noqa: F401  (sets what Ray reads when it is imported)
from agser_core.evaluation.matrix import split
from agser_core.evaluation.planted import Sizes, planted_pair
from agser_core.ser import sampler
from agser_core.ser.anchors import View, build_anchor
from agser_core.ser.batches import make_batch
from agser_core.ser.dataset import SpeechData, moments, phones_of
from agser_core.ser.network import EmotionNetwork, Masks
from agser_core.ser.prediction import run
from agser_core.ser.settings import TrainSettings

LEAST_RATIO, MOST_DATA = 0.95, 0.05


def parts(clips: int) -> tuple[SpeechData, SpeechData, SpeechData]:
    """Source train and dev, target train."""
    sizes = Sizes((clips, 70), (max(clips // 8, 40), 10), (clips, 70), (100, 10))
    pair, settings = planted_pair("info", 0, sizes), TrainSettings()
    here = split(pair.source, pair.source_partition, settings.normalise)
    there = split(pair.target, pair.target_partition, settings.normalise)
    return here["train"], here["dev"], there["train"].without_labels()


def plain_loop(settings: TrainSettings, clips: int) -> float:
    """Steps a second in warm epochs of a loop as one would write it for one process."""
    torch.set_num_threads(1)
    source, dev, target = parts(clips)
    network = EmotionNetwork(source.n_layers, source.dimension, len(source.classes), settings.network)
    network.input_mean, network.input_deviation = map(torch.from_numpy, moments(source))
    anchor = build_anchor(settings, source, target, 0)
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    labels, seconds = torch.from_numpy(source.emotion.astype(np.int64)), []
    steps = sampler.steps_in_epoch(source.emotion, settings.batch_size)
    for epoch in range(settings.epochs):
        started = time.perf_counter()
        network.train()
        source_clips = sampler.source_batches(source.emotion, settings.batch_size, 0, epoch)
        target_clips = sampler.target_batches(len(target), steps, settings.batch_size, 0, epoch)
        for step, sides in enumerate(zip(source_clips, target_clips, strict=True)):
            batch = make_batch([(source, sides[0]), (target, sides[1])])
            rows, columns = torch.arange(len(batch.clip)), torch.arange(batch.n_clips)
            masks = Masks(settings.network, step, rows, len(rows), columns, len(columns))
            output = network(batch, masks)
            views, clip, phone = [], 0, 0
            for data, chosen in zip((source, target), sides, strict=True):
                own = phones_of(data.offsets, chosen)
                which, what = slice(clip, clip + len(chosen)), slice(phone, phone + len(own))
                fields = output.logits[which], output.clips[which], output.phones[what], output.inputs[which]
                views.append(View(data, chosen, own, *fields))
                clip, phone = which.stop, what.stop
            loss = functional.cross_entropy(views[0].logits, labels[sides[0]]) + anchor.loss(*views, 0.5)[0]
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip_gradient)
            optimiser.step()
        network.eval()
        run(network, dev)
        seconds.append(time.perf_counter() - started)
    return steps / float(np.mean(seconds[1:]))


def ray_worker(config: dict) -> None:
    """The loop of `agser train` on the same clips; its figures into a file."""
    from ray import train

    from pipelines.train import fit_in_worker

    data = parts(config["clips"])
    started = time.perf_counter()
    result = fit_in_worker(*data, TrainSettings.model_validate(config["settings"]), 0)
    whole = time.perf_counter() - started
    if train.get_context().get_world_rank() == 0:
        Path(config["file"]).write_text(json.dumps({"whole": whole, "history": result.history}))


def ray_loop(settings: TrainSettings, clips: int, workers: int) -> dict[str, float]:
    """Steps a second in warm epochs with reports and checkpoints, and the share of the time that went into data."""
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        TorchTrainer(
            ray_worker,
            train_loop_config={"settings": settings.model_dump(), "clips": clips, "file": str(file)},
            scaling_config=ScalingConfig(num_workers=workers, resources_per_worker={"CPU": 0.9}),
            run_config=RunConfig(name="bench", storage_path=folder),
        ).fit()
        found = json.loads(file.read_text())
    history = found["history"]
    epochs = np.array([figures["seconds"] for figures in history])
    between = (found["whole"] - epochs.sum()) / len(epochs)  # set-up, reports and checkpoints, a part of each epoch
    warm = epochs[1:].mean() + between
    data = np.mean([figures["data_seconds"] for figures in history[1:]])
    return {"steps_per_second": history[0]["steps"] / warm, "data_share": data / warm, "between_share": between / warm}


def matrix_minutes() -> float:
    """The default evaluation matrix of the sample job, extraction and clustering not counted."""
    from agser_core.experiment import load_experiment
    from pipelines import cluster, evaluate, extract, sample
    from pipelines.stage import SAMPLE

    with tempfile.TemporaryDirectory() as folder:
        overrides = [f"output={folder}/run", f"sample.folder={folder}/data"]
        overrides += [f"corpora.{name}.path={folder}/data/{name}" for name in ("alder", "birch")]
        experiment = load_experiment(str(SAMPLE), tuple(overrides))
        for stage in (sample, extract, cluster):
            stage.run(experiment)
        started = time.perf_counter()
        evaluate.run(experiment)
        return (time.perf_counter() - started) / 60


def main() -> None:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=4, help="of each loop, the first is left out")
    parser.add_argument("--clips", type=int, default=7500, help="training clips of either corpus")
    parser.add_argument("--matrix", action="store_true", help="also time the sample's evaluation matrix")
    arguments = parser.parse_args()

    from agser_core.experiment import RaySettings
    from pipelines.ray_session import ray_session

    settings = TrainSettings(epochs=arguments.epochs)
    plain = [plain_loop(settings, arguments.clips)]
    with ray_session(RaySettings()):
        one, two = ray_loop(settings, arguments.clips, 1), ray_loop(settings, arguments.clips, 2)
    plain.append(plain_loop(settings, arguments.clips))  # before and after: the machine may have changed its pace
    found = {
        "benchmark": "train",
        "plain_steps_per_second": float(np.mean(plain)),
        "plain_spread": float(np.ptp(plain) / np.mean(plain)),
        **{f"ray_{name}": value for name, value in one.items()},
        "ratio": one["steps_per_second"] / float(np.mean(plain)),
        "two_workers_over_one": two["steps_per_second"] / one["steps_per_second"],
    }
    if arguments.matrix:
        found["matrix_minutes"] = matrix_minutes()
    found["holds"] = bool(found["ratio"] >= LEAST_RATIO and one["data_share"] < MOST_DATA)
    print(json.dumps({name: round(value, 4) if isinstance(value, float) else value for name, value in found.items()}))
    sys.exit(0 if found["holds"] else 1)


if __name__ == "__main__":
    main()
