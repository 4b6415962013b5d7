"""The committed loss sequences of small fits; `python tests/ser/golden_curves.py` makes them anew after a change that
is meant to move them."""

import json
from pathlib import Path

from agser_core.evaluation.planted import Sizes, planted_pair
from agser_core.ser.settings import AnchorSettings, NetworkSettings, TrainSettings
from agser_core.ser.trainer import fit

FILE = Path(__file__).with_name("golden_curves.json")
METHODS = ("none", "ag-triplet", "ag-prototype", "ag-attention", "sapa+coral")


def curves() -> dict[str, dict[str, list[float]]]:
    """Loss and source-dev loss of each epoch, by method, on a hundred planted clips."""
    pair = planted_pair("info", 0, Sizes((90, 4), (40, 2), (90, 4), (60, 3)))
    train, dev = (pair.source.take(pair.source_partition == name) for name in ("train", "dev"))
    target = pair.target.take(pair.target_partition == "train").without_labels()
    network = NetworkSettings(width=16, heads=2, feed_forward=24, classifier=8, transformer_layers=1, dropout=0.1)
    found = {}
    for method in METHODS:
        settings = TrainSettings(
            method=method, epochs=3, network=network, anchor=AnchorSettings(detach_source=False), learning_rate=1e-3
        )
        history = fit(train, dev, target, settings, seed=0).history
        found[method] = {name: [figures[name] for figures in history] for name in ("loss", "dev_loss")}
    return found


if __name__ == "__main__":
    FILE.write_text(json.dumps(curves(), indent=1) + "\n")
