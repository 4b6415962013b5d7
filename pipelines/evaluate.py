"""Evaluate: directions x methods x seeds as parallel Ray tasks; each cell is committed by itself."""

import json

import pandas as pd
import pyarrow as pa

from agser_core.chain import cells_output, evaluate_output
from agser_core.evaluation.loading import FoldData, load_fold, why_not_trained
from agser_core.evaluation.matrix import ALL_EMOTIONS, Cell, cells, run_cell
from agser_core.evaluation.summary import confusion_table, summarise
from agser_core.experiment import Experiment
from agser_core.extracted import extracted_corpora
from agser_core.outputs import StageOutput
from agser_core.ser.settings import TrainSettings
from agser_core.ser.styles import style_analysis
from agser_core.storage import Location
from agser_core.tables import read_parquet, write_parquet
from pipelines.progress import Progress
from pipelines.stage import say, stage_command


def run_and_store(cell: Cell, fold: FoldData, settings: TrainSettings, folder: str, device: str) -> None:
    """One Ray task: run a cell, write its tables, then its commit mark."""
    from pipelines.ray_session import limit_threads

    limit_threads()
    result = run_cell(cell, fold.data, fold.partitions, settings, device=device)
    place = Location(folder)
    write_parquet(
        pa.Table.from_pandas(result.predictions, preserve_index=False), place.join(f"{cell.name}.predictions")
    )
    write_parquet(pa.Table.from_pandas(result.history, preserve_index=False), place.join(f"{cell.name}.history"))
    mark = {
        "chosen_epoch": result.chosen_epoch,
        "warnings": result.warnings,
        "seconds": result.seconds,
        "direction": cell.direction,
        "method": cell.method,
        "seed": cell.seed,
        "fold": cell.fold,
        "task": cell.task,
    }
    place.join(f"{cell.name}.json").write_text(json.dumps(mark))


def _run_missing(experiment: Experiment, wanted: list[Cell], todo: list[Cell], folder: Location) -> None:
    import ray

    from pipelines.ray_session import cluster_cpus, ray_session

    progress = Progress("evaluate", "fits", len(wanted), already=len(wanted) - len(todo))
    with ray_session(experiment.ray):
        data, loaded = None, None  # one fold in the object store at a time
        gpus = experiment.ray.evaluate_gpus
        task = ray.remote(run_and_store).options(
            num_cpus=experiment.ray.evaluate_cpus, num_gpus=gpus or None, max_retries=2
        )
        device = "cuda" if gpus else "cpu"
        running, left = [], sorted(todo, key=lambda cell: cell.fold)
        while running or left:
            # A queue in the driver, so that a long matrix does not flood Ray's. It grows with the cluster.
            while left and len(running) < 2 * max(1, round(cluster_cpus() / experiment.ray.evaluate_cpus)):
                cell = left.pop(0)
                if cell.fold != loaded:
                    data, loaded = ray.put(load_fold(experiment, cell.fold)), cell.fold
                running.append(task.remote(cell, data, experiment.train.fit_settings(), folder.uri, device))
            finished, running = ray.wait(running)
            ray.get(finished)
            progress.add(len(finished))


def _commit(experiment: Experiment, output: StageOutput, wanted: list[Cell], folder: Location) -> pd.DataFrame:
    def joined(suffix: str) -> pa.Table:
        tables = [read_parquet([folder.join(f"{cell.name}.{suffix}")]) for cell in wanted]
        return pa.concat_tables(tables, promote_options="permissive")

    predictions = joined("predictions")
    marks = [{"cell": cell.name, **json.loads(folder.join(f"{cell.name}.json").read_text())} for cell in wanted]
    settings = experiment.evaluate
    frame = predictions.to_pandas()
    summary = summarise(frame, settings.baseline, draws=settings.bootstrap)
    keys = ["direction", "task", "method"]
    seconds = pd.DataFrame(marks).groupby(keys)["seconds"].mean().rename("fit_seconds")
    summary = summary.merge(seconds, on=keys, validate="one_to_one")
    output.write_table("predictions", predictions)
    output.write_table("history", joined("history"))
    output.write_table("cells", pa.Table.from_pylist(marks))
    output.write_table("summary", pa.Table.from_pandas(summary, preserve_index=False))
    output.write_table("confusion", pa.Table.from_pandas(confusion_table(frame), preserve_index=False))
    nodes, edges = _styles(experiment)
    output.write_table("styles", pa.Table.from_pandas(nodes, preserve_index=False))
    output.write_table("style_edges", pa.Table.from_pandas(edges, preserve_index=False))
    fit_seconds = round(sum(mark["seconds"] for mark in marks), 3)
    output.commit(fit_seconds=fit_seconds, fine_tune=experiment.train.fine_tune)
    return summary


def _styles(experiment: Experiment) -> tuple[pd.DataFrame, pd.DataFrame]:
    clips = pd.concat(corpus.clips for corpus in extracted_corpora(experiment).values())
    languages = clips.drop_duplicates(["corpus", "speaker"]).set_index(["corpus", "speaker"])["language"].to_dict()
    corpora, neighbours = load_fold(experiment, 0).data.values(), experiment.train.anchor.neighbours
    return style_analysis(corpora, languages, neighbours, seed=0)


def run(experiment: Experiment) -> None:
    """Run directions x methods x seeds and compare.

    Every cell trains on the source, chooses its epoch on source dev and tests on the target's test speakers. Writes the
    predictions, the learning curves and a summary with intervals. The same command again runs only the missing cells.
    """
    if reason := why_not_trained(experiment, experiment.evaluate.methods):
        say(f"evaluate: {reason}")
        return
    output, settings = evaluate_output(experiment), experiment.evaluate
    if output.is_complete():
        say(f"evaluate: done before, nothing to do ({output.folder.uri})")
        return
    wanted = cells(
        list(experiment.corpora),
        settings.methods,
        settings.seeds,
        folds=range(experiment.split.folds),
        directions=settings.directions,
        tasks=settings.tasks,
    )
    folder = cells_output(experiment).folder
    there = {file.name for file in folder.list()}
    todo = [cell for cell in wanted if f"{cell.name}.json" not in there]
    if todo:
        _run_missing(experiment, wanted, todo, folder)
    summary = _commit(experiment, output, wanted, folder)
    for row in summary.itertuples():
        low, high = 100 * row.uar_low, 100 * row.uar_high
        method = row.method if row.task == ALL_EMOTIONS else f"{row.method}, {row.task}"
        say(f"evaluate: {row.direction:24} {method:16} UAR {100 * row.uar_mean:5.1f} % [{low:.1f}, {high:.1f}]")
    say(f"evaluate: {output.folder.uri}")


main = stage_command("evaluate", "split", "train", "evaluate", "ray")(run)

if __name__ == "__main__":
    main()
