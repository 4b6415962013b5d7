"""Does anchoring do on planted corpora what it must? Worlds x normalisations x methods x seeds, paired intervals, bars.

    python -m benchmarks.known_answer --seeds 10 --output runs/known_answer

One process a CPU, one thread each; a fit takes 4 to 6 seconds of one CPU. A stopped run goes on where it was: finished
fits are read from OUTPUT/fits-<hash of the code>.csv. At the end OUTPUT has rows.parquet (a row of the tables each),
bars.json, known_answer.md and known_answer.svg. Exit code 1 where a bar is missed; the last line is JSON.

Every seed is another pair of corpora and another initialisation, so the intervals (Student's t over seeds, paired) are
over worlds. Margins, temperatures and weights were fixed on other seeds, from 100 on.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy import stats

from agser_core.evaluation.matrix import Cell, run_cell
from agser_core.evaluation.planted import PlantedPair, planted_layers, planted_pair
from agser_core.fingerprint import code_version
from agser_core.ser import metrics
from agser_core.ser.settings import AnchorSettings, NetworkSettings, TrainSettings

NETWORK = NetworkSettings(width=64, feed_forward=128, classifier=64, transformer_layers=1)  # enough for 64 dimensions
PLANTED_CLASSES = 4
TOLERANCE = 1.0  # points of UAR within which two rows count as equal where they must be


@dataclass(frozen=True)
class Row:
    """One method on one world with one normalisation. anchor: fields of `AnchorSettings` other than the defaults."""

    world: str
    normalise: str
    method: str
    anchor: tuple[tuple[str, object], ...] = ()

    @property
    def name(self) -> str:
        """Unique within world and normalisation."""
        return " ".join([self.method, *(f"{field}={value}" for field, value in self.anchor)])


def _rows() -> list[Row]:
    def rows(world: str, normalise: str, *methods: str) -> list[Row]:
        return [Row(world, normalise, method) for method in methods]

    forms = ("attention", "triplet", "prototype")
    keyed = [f"{method}-{form}" for form in forms for method in ("ag", "pa", "random_clusters")]
    found = rows("info", "corpus", "none", *keyed, "hard_ag-attention", "hard_ag-triplet", "mean_matching", "coral")
    found += [Row("info", "corpus", "ag-triplet", (("margin", 0.2),))]
    found += rows("info", "none", "none", *keyed, "mean_matching", "coral")
    for normalise in ("corpus", "none"):
        found += rows("void", normalise, "none", *(f"ag-{form}" for form in forms))
        found += rows("phone", normalise, "none", "ag-attention", "pa-attention", "ag-triplet", "pa-triplet")
    found += rows("same", "corpus", "none", "ag-attention", "pa-attention", "ag-triplet", "pa-triplet")
    found += rows("layers", "none", "none", "la", "coral")
    found += rows("styles", "corpus", "none", "sapa", "pa", "coral", "pseudo_labels")
    return found


ROWS = _rows()

# (world, normalisation, row, less row, least mean difference, greatest), in points of UAR
BARS = [
    *(
        ("info", "corpus", f"ag-{form}", other, 8, np.inf)
        for form in ("attention", "triplet")
        for other in ("none", f"pa-{form}", f"random_clusters-{form}")
    ),
    *(("info", "corpus", f"ag-{form}", f"hard_ag-{form}", 0, np.inf) for form in ("attention", "triplet")),
    ("void", "corpus", "ag-attention", "none", -TOLERANCE, TOLERANCE),
    ("void", "corpus", "ag-triplet", "none", -TOLERANCE, TOLERANCE),
    ("same", "corpus", "ag-attention", "pa-attention", -TOLERANCE, TOLERANCE),
    ("layers", "none", "la", "none", 0, np.inf),
    ("layers", "none", "la", "coral", 0, np.inf),
    ("styles", "corpus", "sapa", "none", 0, np.inf),
    ("styles", "corpus", "sapa", "pa", 0, np.inf),
]


def decides(row: Row) -> bool:
    """Whether a bar looks at this row, or it is the `none` beside one: every table has differences to it."""
    return any((row.world, row.normalise) == bar[:2] and row.name in (*bar[2:4], "none") for bar in BARS)


@lru_cache(2)
def planted(world: str, seed: int) -> PlantedPair:
    """The corpora of one world."""
    return planted_layers(seed) if world == "layers" else planted_pair(world, seed)


def run(row: Row, seed: int) -> dict:
    """One fit and its figures."""
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)  # the guards' warnings are expected of the control rows, and counted here
    pair = planted(row.world, seed)
    anchor = AnchorSettings(**dict(row.anchor))
    settings = TrainSettings(normalise=row.normalise, network=NETWORK, anchor=anchor, batch_size=64)
    data = {"source": pair.source, "target": pair.target}
    partitions = {"source": pair.source_partition, "target": pair.target_partition}
    result = run_cell(Cell("source", "target", row.method, seed), data, partitions, settings)
    classes = {name: index for index, name in enumerate(pair.source.classes)}
    truth, predicted = (result.predictions[column].map(classes) for column in ("emotion", "predicted"))
    last = result.history.iloc[-1]
    return {
        "world": row.world,
        "normalise": row.normalise,
        "name": row.name,
        "seed": seed,
        "uar": 100 * metrics.uar(metrics.confusion(truth, predicted, PLANTED_CLASSES)),
        "dev_uar": 100 * result.history["dev_uar"][result.chosen_epoch],
        "epoch": result.chosen_epoch,
        "active_share_first": result.history.get("active_share", pd.Series([np.nan])).iloc[0],
        "active_share_last": last.get("active_share", np.nan),
        "separation_last": last.get("separation", np.nan),
        "effective_rank_target": last.get("effective_rank_target", np.nan),
        "mean_cosine_target": last.get("mean_cosine_target", np.nan),
        "gap": last.get("gap", np.nan),
        "warnings": len(result.warnings),
        "seconds": result.seconds,
    }


def paired(table: pd.DataFrame, world: str, normalise: str, name: str, other: str) -> dict[str, float]:
    """Mean difference of two rows over the seeds both have, with the 95 % interval of Student's t and the seeds won."""
    part = table[(table["world"] == world) & (table["normalise"] == normalise)]
    wide = part.pivot(index="seed", columns="name", values="uar")
    difference = (wide[name] - wide[other]).dropna()
    half = stats.t.ppf(0.975, len(difference) - 1) * difference.std(ddof=1) / np.sqrt(len(difference))
    mean = difference.mean()
    won = int((difference > 0).sum())
    return {"difference": mean, "low": mean - half, "high": mean + half, "won": won, "seeds": len(difference)}


def summarise(fits: pd.DataFrame) -> pd.DataFrame:
    """One line a row: mean and deviation over seeds, difference to `none`, the guards' figures."""
    order = {(row.world, row.normalise, row.name): place for place, row in enumerate(ROWS)}
    lines = []
    for (world, normalise, name), own in fits.groupby(["world", "normalise", "name"], sort=False):
        figures = own.drop(columns=["world", "normalise", "name", "seed"]).mean().add_prefix("mean_")
        line = {"world": world, "normalise": normalise, "name": name, "uar_sd": own["uar"].std()}
        lines.append(line | dict(figures) | paired(fits, world, normalise, name, "none"))
    table = pd.DataFrame(lines)
    place = [order[key] for key in zip(table["world"], table["normalise"], table["name"], strict=True)]
    return table.iloc[np.argsort(place)].reset_index(drop=True)


def judge(fits: pd.DataFrame) -> list[dict]:
    """The bars, and whether each holds."""
    found = []
    for world, normalise, name, other, least, greatest in BARS:
        figures = paired(fits, world, normalise, name, other)
        wanted = f"{least:g} to {greatest:g}" if np.isfinite(greatest) else f"over {least:g}"
        found.append(
            {"world": world, "normalise": normalise, "name": name, "less": other, "wanted": wanted, **figures}
            | {"holds": bool(least <= figures["difference"] <= greatest)}
        )
    return found


def markdown(table: pd.DataFrame, bars: list[dict]) -> str:
    """Bars and rows as the docs show them."""
    lines = [
        "| world | inputs | row | less | difference [95 %] | seeds won | wanted | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for bar in bars:
        words = f"{bar['difference']:+.1f} [{bar['low']:+.1f}, {bar['high']:+.1f}] | {bar['won']} of {bar['seeds']}"
        lines.append(
            f"| {bar['world']} | {_inputs(bar['normalise'])} | `{bar['name']}` | `{bar['less']}` | {words} | "
            f"{bar['wanted']} | {'holds' if bar['holds'] else '**missed**'} |"
        )
    lines += [
        "",
        "| world | inputs | row | UAR (sd) | to `none` [95 %] | active share, first -> last epoch | effective rank |",
    ]
    lines.append("|---|---|---|---|---|---|---|")
    for row in table.itertuples():
        active = f"{row.mean_active_share_first:.2f} -> {row.mean_active_share_last:.2f}"
        lines.append(
            f"| {row.world} | {_inputs(row.normalise)} | `{row.name}` | {row.mean_uar:.1f} ({row.uar_sd:.1f}) | "
            f"{row.difference:+.1f} [{row.low:+.1f}, {row.high:+.1f}] | "
            f"{'' if np.isnan(row.mean_active_share_first) else active} | "
            f"{'' if np.isnan(row.mean_effective_rank_target) else f'{row.mean_effective_rank_target:.1f}'} |"
        )
    return "\n".join(lines) + "\n"


def _inputs(normalise: str) -> str:
    return "normalised" if normalise == "corpus" else "raw"


def draw(table: pd.DataFrame, path: Path) -> None:
    """Difference to `none` of every row with its interval: a panel a world, colour = normalisation."""
    from agser_core.report.drawing import FADED, OKABE_ITO, style

    with style():
        import matplotlib.pyplot as plt

        worlds = list(dict.fromkeys(table["world"]))
        names = {world: list(dict.fromkeys(table[(table["world"] == world)]["name"]))[1:] for world in worlds}
        heights = [len(names[world]) for world in worlds]
        canvas, axes = plt.subplots(
            len(worlds), 1, figsize=(7.4, 0.27 * sum(heights) + 0.55 * len(worlds)), sharex=True,
            gridspec_kw={"height_ratios": heights}, layout="constrained",
        )  # fmt: skip
        for axis, world in zip(axes, worlds, strict=True):
            for number, (normalise, colour) in enumerate(zip(("corpus", "none"), OKABE_ITO, strict=False)):
                part = table[(table["world"] == world) & (table["normalise"] == normalise)].set_index("name")
                part = part.reindex(names[world])
                place = np.arange(len(part)) + 0.22 * (number - 0.5)
                axis.hlines(place, part["low"], part["high"], color=colour)
                label = "inputs normalised per corpus" if normalise == "corpus" else "raw inputs"
                axis.plot(part["difference"], place, "o", markersize=4, color=colour, label=label)
            axis.axvline(0, color=FADED, linewidth=1, linestyle=":")
            axis.set_yticks(np.arange(len(names[world])), names[world])
            axis.set_ylim(len(names[world]) - 0.5, -0.5)
            axis.set_title(f"world {world}", loc="left")
        axes[-1].set_xlabel("target UAR less that of none, points; 95 % interval over seeds")
        canvas.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
        canvas.savefig(path, metadata={"Date": None})
        plt.close(canvas)


def report(table: pd.DataFrame, bars: list[dict]) -> None:
    """Print all rows beside `none`, then the bars."""
    for (world, normalise), part in table.groupby(["world", "normalise"], sort=False):
        print(f"\n{world}, inputs normalised: {normalise}")
        for row in part.itertuples():
            print(
                f"  {row.name:28s} UAR {row.mean_uar:5.1f} (sd {row.uar_sd:3.1f})"
                f"  to none {row.difference:+5.1f} [{row.low:+5.1f}, {row.high:+5.1f}] won {row.won:2d}/{row.seeds}"
                f"  active {row.mean_active_share_first:.2f}->{row.mean_active_share_last:.2f}"
                f"  rank {row.mean_effective_rank_target:4.1f}  cosine {row.mean_mean_cosine_target:.2f}"
            )
    print("\nbars (points of UAR)")
    for bar in bars:
        print(
            f"  {'holds ' if bar['holds'] else 'MISSED'} {bar['world']} {bar['normalise']}: "
            f"{bar['name']} - {bar['less']}: {bar['difference']:+.1f} [{bar['low']:+.1f}, {bar['high']:+.1f}], "
            f"won {bar['won']}; wanted {bar['wanted']}"
        )


def fit_missing(rows: list[Row], seeds: list[int], file: Path, workers: int) -> pd.DataFrame:
    """Run what FILE does not have yet, a line a fit; the whole table."""
    done = pd.read_csv(file, keep_default_na=False, na_values=[""]) if file.exists() else pd.DataFrame()
    known = set() if done.empty else set(zip(done.world, done.normalise, done.name, done.seed, strict=True))
    order = sorted(rows, key=lambda row: (not decides(row), row.world, row.normalise))  # what the bars need comes first
    jobs = [(row, seed) for first in (True, False) for seed in seeds for row in order if decides(row) is first]
    jobs = [job for job in jobs if (job[0].world, job[0].normalise, job[0].name, job[1]) not in known]
    started = time.perf_counter()
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        running = [pool.submit(run, *job) for job in jobs]
        for number, future in enumerate(as_completed(running), 1):
            pd.DataFrame([future.result()]).to_csv(file, mode="a", header=not file.exists(), index=False)
            if number % 20 == 0 or number == len(jobs):
                print(f"{number} of {len(jobs)} fits after {time.perf_counter() - started:.0f} s", flush=True)
    table = pd.read_csv(file, keep_default_na=False, na_values=[""])
    return table[table["seed"].isin(seeds)]


def main() -> None:
    """Run what is missing, print and write everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="pairs of corpora")
    parser.add_argument("--first-seed", type=int, default=0, help="seeds from here on")
    parser.add_argument("--bars-only", action="store_true", help="only the rows that a bar looks at")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--output", type=Path, default=Path("runs/known_answer"), help="folder of the results")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    seeds = list(range(arguments.first_seed, arguments.first_seed + arguments.seeds))
    fits = fit_missing(
        [row for row in ROWS if decides(row) or not arguments.bars_only],
        seeds,
        arguments.output / f"fits-{code_version('evaluation/matrix', 'evaluation/planted')}.csv",
        arguments.workers,
    )
    table, bars = summarise(fits), judge(fits)
    table.to_parquet(arguments.output / "rows.parquet", index=False)
    (arguments.output / "bars.json").write_text(json.dumps(bars, indent=1))
    (arguments.output / "known_answer.md").write_text(markdown(table, bars))
    draw(table, arguments.output / "known_answer.svg")
    report(table, bars)
    missed = [f"{bar['world']} {bar['name']} - {bar['less']}" for bar in bars if not bar["holds"]]
    print(json.dumps({"benchmark": "known_answer", "seeds": len(seeds), "fits": len(fits), "missed": missed}))
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
