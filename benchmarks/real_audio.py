"""Real speech, English to German and back: every method on RAVDESS and EMO-DB beside the classic SVM.

    make bench-real-audio RAVDESS=data/ravdess EMODB=data/emodb

Extracts both corpora and runs the evaluation matrix with inputs z-normalised per speaker, per corpus and not at all,
by the stages' own code; what is done already is not done again. The peer is an SVM (RBF, C = 1, balanced classes) on
the 88 functionals of eGeMAPS (opensmile, in an environment of its own), on the same clips and folds. Prints the tables
of docs/results.md and the bars; exit code 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from agser_core.chain import evaluate_output
from agser_core.corpora.clip import CLASSES
from agser_core.evaluation.summary import summarise
from agser_core.experiment import Experiment, load_experiment
from agser_core.extracted import ExtractedCorpus, extracted_corpora
from pipelines import evaluate, extract

SVM = "SVM on eGeMAPS"
EVERYWHERE = ("none", "pseudo_labels")
"""Methods that are run on raw and corpus-normalised inputs too."""

# (normalisation, direction, least UAR in percent); across corpora it is the best method but `none` that counts
BARS = [
    ("none", "ravdess->ravdess", 65),
    ("speaker", "ravdess->ravdess", 72),
    ("none", "emodb->emodb", 80),
    ("speaker", "emodb->emodb", 86),
    ("speaker", "ravdess->emodb", 55),
    ("speaker", "emodb->ravdess", 55),
]

_FUNCTIONALS = """
import sys, opensmile, pandas
smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
files = sys.stdin.read().split("\\n")
pandas.concat([smile.process_file(file) for file in files]).to_csv(sys.stdout, index=False)
"""


def functionals(files: list[str], python: str) -> np.ndarray:
    """eGeMAPS functionals of audio files, float64 [n, 88], by an interpreter that has opensmile."""
    done = subprocess.run([python, "-c", _FUNCTIONALS], input="\n".join(files), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{python} can't compute eGeMAPS; `pip install opensmile` there.\n{done.stderr[-800:]}")
    return pd.read_csv(io.StringIO(done.stdout)).to_numpy()


def scaled(vectors: np.ndarray, clips: pd.DataFrame, partition: pd.Series, normalise: str) -> np.ndarray:
    """The functionals normalised as the network's inputs are: not, by the training clips, by each speaker's clips."""
    if normalise == "none":
        return vectors
    if normalise == "corpus":
        return StandardScaler().fit(vectors[(partition != "test").to_numpy()]).transform(vectors)
    found = np.empty_like(vectors)
    for speaker in clips["speaker"].unique():
        own = (clips["speaker"] == speaker).to_numpy()
        found[own] = StandardScaler().fit_transform(vectors[own])
    return found


def svm(experiment: Experiment, corpora: dict[str, ExtractedCorpus], vectors: dict[str, np.ndarray]) -> pd.DataFrame:
    """Predictions of the classic baseline on the same clips and folds, trained on all but the test speakers."""
    rows = []
    for source in corpora:
        for target in corpora:
            for fold in range(experiment.split.folds):
                inputs, held = {}, {}
                for name in {source, target}:
                    partition = corpora[name].partition(experiment.split, fold)
                    inputs[name] = scaled(vectors[name], corpora[name].clips, partition, experiment.train.normalise)
                    held[name] = (partition == "test").to_numpy()
                scaler = StandardScaler().fit(inputs[source][~held[source]])
                model = SVC(C=1.0, class_weight="balanced").fit(
                    scaler.transform(inputs[source][~held[source]]), corpora[source].clips["emotion"][~held[source]]
                )
                test = corpora[target].clips[held[target]]
                predicted = model.predict(scaler.transform(inputs[target][held[target]]))
                sure = {f"probability_{name}": (predicted == name).astype(float) for name in CLASSES}
                rows.append(
                    pd.DataFrame(
                        {
                            "clip_id": test["clip_id"].to_numpy(),
                            "speaker": test["speaker"].to_numpy(),
                            "emotion": test["emotion"].to_numpy(),
                            "predicted": predicted,
                            "direction": f"{source}->{target}",
                            "task": "all",
                            "method": SVM,
                            "seed": 0,
                            **sure,
                        }
                    )
                )
    return pd.concat(rows, ignore_index=True)


def table(direction: str, found: pd.DataFrame) -> list[str]:
    """One direction as Markdown."""
    lines = [
        f"\n### {direction}\n",
        "| inputs normalised | method | seeds | UAR % | 95 % interval | sd of seeds | to `none` | p (Holm) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in found[found["direction"] == direction].itertuples():
        difference = "" if pd.isna(row.difference) else f"{100 * row.difference:+.1f}"
        p = "" if pd.isna(row.p_holm) else f"{row.p_holm:.2f}"
        spread = "" if pd.isna(row.uar_sd) else f"{100 * row.uar_sd:.1f}"
        lines.append(
            f"| {row.normalise} | {row.method} | {row.seeds} | {100 * row.uar_mean:.1f} | {100 * row.uar_low:.1f} to "
            f"{100 * row.uar_high:.1f} | {spread} | {difference} | {p} |"
        )
    return lines


def bars(found: pd.DataFrame) -> list[tuple[bool, str]]:
    """Each bar: whether it holds, and in words."""
    verdicts = []
    for normalise, direction, least in BARS:
        source, target = direction.split("->")
        rows = found[(found["direction"] == direction) & (found["normalise"] == normalise) & (found["method"] != SVM)]
        rows = rows[rows["method"] == "none"] if source == target else rows[rows["method"] != "none"]
        best = rows.loc[rows["uar_mean"].idxmax()]
        value = 100 * best["uar_mean"]
        held = value >= least
        verdicts.append(
            (
                held,
                f"{'holds' if held else 'MISSED'} {direction}, {normalise}: {best['method']} {value:.1f}, bar {least}",
            )
        )
    return verdicts


def main() -> None:
    """Run what is missing, print everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="tune_configs/experiments/ravdess_emodb.yaml")
    parser.add_argument("--ravdess", required=True, help="folder of RAVDESS' audio files")
    parser.add_argument("--emodb", required=True, help="folder of EMO-DB with wav/ and lablaut/")
    parser.add_argument("--output", default="runs/ravdess_emodb", help="where the stages write")
    parser.add_argument(
        "--opensmile", default=os.environ.get("AGSER_OPENSMILE_PYTHON", ".venv-opensmile/bin/python"), metavar="PYTHON"
    )
    arguments = parser.parse_args()
    where = (f"corpora.ravdess.path={arguments.ravdess}", f"corpora.emodb.path={arguments.emodb}")
    rows = []
    vectors: dict[str, np.ndarray] = {}
    for normalise in ("speaker", "corpus", "none"):
        overrides = (*where, f"output={arguments.output}", f"train.normalise={normalise}")
        if normalise != "speaker":
            overrides += (f"evaluate.methods=[{', '.join(EVERYWHERE)}]",)
        experiment = load_experiment(arguments.config, overrides)
        extract.run(experiment)
        evaluate.run(experiment)
        corpora = extracted_corpora(experiment)
        for name, corpus in corpora.items():
            if name not in vectors:
                vectors[name] = functionals(list(corpus.clips["audio_uri"]), arguments.opensmile)
        ours = evaluate_output(experiment).table("summary").to_pandas()
        rows += [found.assign(normalise=normalise) for found in (ours, summarise(svm(experiment, corpora, vectors)))]
    found = pd.concat(rows, ignore_index=True)
    for direction in found["direction"].unique():
        print("\n".join(table(direction, found)))
    verdicts = bars(found)
    print("\nBars\n")
    for _, words in verdicts:
        print(words)
    sys.exit(0 if all(held for held, _ in verdicts) else 1)


if __name__ == "__main__":
    main()
