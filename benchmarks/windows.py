"""What it costs a model not to know the phones: predictions from windows beside those from aligned phones.

    python -m benchmarks.windows tune_configs/experiments/ravdess_emodb.yaml corpora.ravdess.path=... [more]

The corpora must be extracted (and clustered, if they were filmed). Every direction and fold is trained once as the
experiment says, seed 0, inputs normalised per corpus, and tested on the same clips three times: with their aligned
phones; with windows normalised as aligned phones are; with windows normalised by windows of 64 training clips, as an
exported model does it. Prints the table of docs/bundle.md: mean UAR over the folds in percent.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
import torch

from agser_core.bundle.model import Statistics, one_clip
from agser_core.bundle.sound import read_clip
from agser_core.bundle.windows import speech_windows
from agser_core.errors import ClipError
from agser_core.evaluation.loading import load_fold
from agser_core.evaluation.matrix import cells, run_cell, training_partitions
from agser_core.experiment import Experiment, load_experiment
from agser_core.extracted import extracted_corpora
from agser_core.ser import metrics
from agser_core.ser.dataset import moments
from agser_core.ser.prediction import load_network
from agser_core.speech import load_encoder, pool
from agser_core.storage import Location

HEARD = 64  # training clips whose windows give statistics


def windows_of_all(experiment: Experiment) -> dict[str, dict[str, np.ndarray]]:
    """Vectors of the windows of every clip that can be predicted, float32 [windows, layers, dimension], by corpus."""
    corpora, speech = extracted_corpora(experiment), experiment.extract.speech
    encoder = load_encoder(speech.encoder, layers=speech.layers, device=speech.device)
    lengths = [corpus.segments.select(["start", "end"]).to_pandas() for corpus in corpora.values()]
    window = float(np.median(np.concatenate([(table["end"] - table["start"]).to_numpy() for table in lengths])))
    heard: dict[str, dict[str, np.ndarray]] = {name: {} for name in corpora}
    for name, corpus in corpora.items():
        for clip in corpus.clips.itertuples():
            try:
                with Location(clip.audio_uri).local_copy() as path:
                    waveform, _ = read_clip(path)
                spoken = speech_windows(waveform, window)
            except ClipError:  # silent or too long for a prediction
                continue
            (frames,) = encoder.encode([waveform])
            heard[name][clip.clip_id] = pool(frames, encoder.frame_rate, spoken).astype(np.float16).astype(np.float32)
    return heard


def compare(experiment: Experiment) -> pd.DataFrame:
    """UAR of each direction and fold: aligned, windows as aligned phones, windows by their own statistics."""
    heard, rows = windows_of_all(experiment), []
    settings = experiment.train.fit_settings().model_copy(update={"normalise": "corpus"})
    for number in range(experiment.split.folds):
        fold = load_fold(experiment, number)
        for cell in cells(list(fold.data), [settings.method], [0], folds=[number]):
            result = run_cell(cell, fold.data, fold.partitions, settings)
            network = load_network(result.fit.weights, result.fit.settings)
            target = fold.data[cell.target]
            train = np.flatnonzero(np.isin(fold.partitions[cell.target], training_partitions(settings.train_on_dev)))
            chosen = np.random.default_rng(0).permutation(train)[:HEARD]
            own = [heard[cell.target][name] for name in target.clip_id[chosen] if name in heard[cell.target]]
            statistics = {
                "as aligned": Statistics(*moments(target.take(train))),
                "own": Statistics.of(np.concatenate(own)),
            }
            test = result.predictions[result.predictions["clip_id"].isin(heard[cell.target].keys())]
            truth = test["emotion"].map(target.classes.index).to_numpy()
            found = {"aligned": test["predicted"].map(target.classes.index).to_numpy()}
            for name, (centre, scale) in statistics.items():
                clips = [(heard[cell.target][clip] - centre) / scale for clip in test["clip_id"]]
                with torch.inference_mode():
                    found[name] = np.array([int(network(one_clip(torch.from_numpy(c))).logits.argmax()) for c in clips])
            counts = {name: metrics.confusion(truth, labels, len(target.classes)) for name, labels in found.items()}
            uars = {name: 100 * metrics.uar(table) for name, table in counts.items()}
            rows.append({"direction": cell.direction, "clips": len(test), **uars})
    return pd.DataFrame(rows)


def main() -> None:
    """Train, hear, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="of the experiment")
    parser.add_argument("overrides", nargs="*", help="such as train.epochs=9")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = compare(load_experiment(arguments.config, tuple(arguments.overrides)))
    table = found.groupby("direction", sort=False).agg(
        {"clips": "sum", "aligned": "mean", "as aligned": "mean", "own": "mean"}
    )
    print("| from -> to | clips | aligned | windows, statistics of aligned phones | windows, their own statistics |")
    print("|---|---|---|---|---|")
    for row in table.itertuples():
        print(f"| {row[0]} | {row.clips} | {row.aligned:.1f} | {row[3]:.1f} | {row.own:.1f} |")


if __name__ == "__main__":
    main()
