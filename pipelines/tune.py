"""Tune: search the settings of a fit over all directions at once, then fit the winner with Ray Train."""

import contextlib
import sys
import time
from pathlib import Path

import click
import pandas as pd
import pyarrow as pa

from agser_core.chain import train_output, tune_output
from agser_core.errors import AgserError, ConfigError
from agser_core.evaluation.loading import FoldData, load_fold, why_not_trained
from agser_core.fingerprint import fingerprint
from agser_core.outputs import StageOutput
from agser_core.tuning import posthoc
from agser_core.tuning.importance import importance
from agser_core.tuning.page import StudyFigures, study_page
from agser_core.tuning.record import TrialRecord, TrialStore, best, curve_table, fit_table, trial_table
from agser_core.tuning.study import Study, StudySettings, load_study
from agser_core.tuning.trial import TrialPlan, hide_labels
from agser_core.tuning.winner import as_yaml, winning_experiment
from pipelines import train
from pipelines.stage import EXIT_BUDGET, EXIT_ERROR, describe, say

SAMPLE = Path(__file__).parents[1] / "tune_configs" / "sample.yaml"
_BEST = 10  # trials in the table of the best


def run(study: Study) -> int | None:
    """Run the trials that are missing, name the winner, fit it with several seeds, then look at the target's labels."""
    experiment, settings = study.experiment, study.settings
    methods = _methods(study)
    if reason := why_not_trained(experiment, methods):
        say(f"tune: {reason}")
        return None
    output = tune_output(experiment, study.identity())
    if output.is_complete() and _covers(output.manifest(), settings):
        say(f"tune: done before, nothing to do ({output.folder.uri})")
        return None
    folds = {fold: load_fold(experiment, fold, study.fine_tunes) for fold in settings.folds}
    started = time.time()
    records = _trials(study, folds, output)
    winner = best(records)
    if winner is None:
        reasons = sorted({record.tries[-1] for record in records if record.tries})
        raise AgserError("no trial finished with a score: " + "; ".join(reasons[:3] or ["none is a number"]))
    finals = _final_fits(study, winner)
    figures = _figures(study, folds, records, finals, TrialStore(output.folder))
    _commit(study, output, records, figures, time.time() - started)
    _say_results(figures, winner, output)
    return EXIT_BUDGET if any(record.state == "failed" for record in records) else None


def _methods(study: Study) -> list[str]:
    searched = next((one.choices for one in study.space.parameters if one.name == "method"), None)
    return list(searched or [study.experiment.train.method])


def _covers(manifest: dict, settings: StudySettings) -> bool:
    return manifest["trials"] >= settings.trials and set(settings.final_seeds) <= set(manifest["final_seeds"])


def _trials(study: Study, folds: dict[int, FoldData], output: StageOutput) -> list[TrialRecord]:
    store, settings = TrialStore(output.folder), study.settings
    ended, _ = store.read()
    if all(number in ended for number in range(settings.trials)):
        return [ended[number] for number in range(settings.trials)]
    from pipelines.ray_session import ray_session
    from pipelines.tune_trials import TrialJob, run_trials, trainable_of

    plan = TrialPlan.of(study.directions, settings.folds, settings.seeds, settings.objective, settings.target_clips)
    base = study.experiment.train.fit_settings()
    job = TrialJob(plan, base, study.space, output.folder.uri, settings.limits)
    with ray_session(study.experiment.ray):
        trainable = trainable_of(hide_labels(folds, study.directions), job)
        return run_trials(trainable, settings, study.space, base, store)


def _write_winners(study: Study, records: list[TrialRecord], output: StageOutput) -> None:
    """winner.yaml, and winner.SOURCE.TARGET.yaml for the best of each direction: no name of a corpus has a dot."""
    for direction in (None, *(f"{source}->{target}" for source, target in study.directions)):
        record = best(records, direction)
        score = record.score if direction is None else record.curve[-1]["by_direction"][direction]
        name = "winner.yaml" if direction is None else f"winner.{direction.replace('->', '.')}.yaml"
        over = direction or "all directions"
        heading = f"Trial {record.number} of the study {study.settings.name}: the best {study.settings.objective} over "
        heading += f"{over}, {score:.4f}.\nTrain it with: agser train -c {name}"
        output.folder.join(name).write_text(as_yaml(_winning(study, record, direction), heading))


def _winning(study: Study, record: TrialRecord, direction: str | None, seed: int = 0):
    source, target = study.directions[0]
    return winning_experiment(
        study.experiment,
        study.space,
        record.point,
        direction or f"{source}->{target}",
        study.settings.folds[0],
        seed,
    )


def _final_fits(study: Study, winner: TrialRecord) -> pd.DataFrame:
    """The winner with every final seed in every direction, by `agser train`; its test figures come after the choice."""
    from pipelines.ray_session import ray_session

    rows = []
    with ray_session(study.experiment.ray) if study.settings.final_seeds else contextlib.nullcontext():
        for source, target in study.directions:
            for seed in study.settings.final_seeds:
                experiment = _winning(study, winner, f"{source}->{target}", seed)
                train.run(experiment)
                output = train_output(experiment)
                manifest = output.manifest()
                rows.append(
                    {
                        "direction": f"{source}->{target}",
                        "seed": seed,
                        "chosen_epoch": manifest["chosen_epoch"],
                        "test_uar": manifest["test_uar"],
                        "output": output.folder.uri,
                    }
                )
    return pd.DataFrame(rows, columns=["direction", "seed", "chosen_epoch", "test_uar", "output"])


def _figures(
    study: Study, folds: dict[int, FoldData], records: list[TrialRecord], finals: pd.DataFrame, store: TrialStore
) -> StudyFigures:
    """All that the study shows; from here on the target's labels are read."""
    names = [parameter.name for parameter in study.space.parameters]
    finished = [record for record in records if record.state == "finished"]
    data = next(iter(folds.values())).data
    predictions = posthoc.labelled_predictions(
        {record.number: store.predictions(record.number) for record in finished}, data
    )
    uars = posthoc.target_uars(predictions)
    ranking = None
    if len(finished) >= posthoc.FEWEST_TRIALS:
        ranking = posthoc.criterion_ranking({record.number: record.criteria for record in finished}, uars)
    leading = sorted(finished, key=lambda record: -record.score)[:_BEST]
    shown = [record.number for record in leading]
    default = 0 if any(record.number == 0 for record in finished) else shown[0]
    found, explained = importance(records, study.space.parameters)
    return StudyFigures(
        name=study.settings.name,
        objective=study.settings.objective,
        search=study.settings.search,
        scheduler=study.settings.scheduler,
        parameters=study.space.describe(),
        trials=trial_table(records, names).merge(
            uars.groupby("trial")["target_uar"].mean().reset_index(), on="trial", how="left"
        ),
        curves=curve_table(records),
        fits=fit_table(records),
        importance=found,
        explained=explained,
        best=posthoc.best_with_intervals(predictions, shown, default),
        ranking=ranking,
        finals=finals,
    )


def _commit(
    study: Study, output: StageOutput, records: list[TrialRecord], figures: StudyFigures, seconds: float
) -> None:
    tables = {
        "trials": figures.trials,
        "curves": figures.curves,
        "fits": figures.fits,
        "importance": figures.importance,
        "best": figures.best,
        "ranking": figures.ranking,
        "finals": figures.finals,
    }
    # A study that grows commits again: in parts of other names, so that until then readers have the tables of before.
    part = f"{len(records)}-trials-{fingerprint(study.settings.final_seeds)}"
    for name, table in tables.items():
        if table is not None:
            output.write_table(name, pa.Table.from_pandas(_plain(table), preserve_index=False), part)
    output.folder.join("trials.csv").write_text(figures.trials.to_csv(index=False))
    output.folder.join("study.html").write_text(study_page(figures))
    _write_winners(study, records, output)
    states = [record.state for record in records]
    output.commit(
        trials=len(records),
        states={state: states.count(state) for state in ("finished", "stopped", "failed")},
        final_seeds=study.settings.final_seeds,
        winner=best(records).number,
        explained=figures.explained,
        trial_seconds=round(sum(record.seconds for record in records), 3),
        study_seconds=round(seconds, 3),
    )


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """Columns of one type each, as Parquet wants them: a searched setting may be a word in one trial, missing in
    another."""
    mixed = [name for name in table if table[name].dtype == object and table[name].map(type).nunique() > 1]
    return table.assign(
        **{name: table[name].map(lambda value: None if value is None else str(value)) for name in mixed}
    )


def _say_results(figures: StudyFigures, winner: TrialRecord, output: StageOutput) -> None:
    say(f"tune: winner: trial {winner.number}, {figures.objective} {winner.score:.4f}")
    for name, value in winner.point.items():
        say(f"tune:   {name} = {value}")
    for row in figures.best.itertuples():
        if row.trial in (0, winner.number):
            who = "winner " if row.trial == winner.number else "default"
            interval = f"[{100 * row.uar_low:.1f}, {100 * row.uar_high:.1f}]"
            say(f"tune: {row.direction:24} {who} target UAR {100 * row.uar_mean:5.1f} % {interval}")
    for direction, part in figures.finals.groupby("direction", sort=False):
        mean, deviation = 100 * part["test_uar"].mean(), 100 * part["test_uar"].std()
        say(f"tune: {direction:24} final fits: {mean:.1f} % (sd {deviation:.1f}, {len(part)} seeds)")
    say(f"tune: {output.folder.join('study.html').uri}")
    say(f"tune: train the winner with: agser train -c {output.folder.join('winner.yaml').uri}")


@click.command("tune", epilog="\n".join(["\b", "Keys of a study file (key = default):", *describe(StudySettings)]))
@click.option("-c", "--config", metavar="STUDY", help="The study file, where it is not the first argument.")
@click.argument("arguments", nargs=-1, metavar="[STUDY] [KEY=VALUE]...")
def main(config: str | None, arguments: tuple[str, ...]) -> None:
    """Search the settings of a fit over all corpus directions at once.

    Reads a study file (the embedded sample's where none is given; ready ones lie in tune_configs/): what is searched,
    on which experiment, by which criterion. Trials run on Ray Tune and see no target label. The same command goes on
    where it was. Writes all trials as tables and CSV, the winner as an experiment file for `agser train`, a page. Keys
    of the study and of the experiment can be overridden: trials=8 train.epochs=5.
    """
    given = next((argument for argument in arguments[:1] if "=" not in argument), None)
    try:
        if config and given:
            raise ConfigError(f"two study files: {config} and {given}")
        overrides = arguments[1:] if given else arguments
        sys.exit(run(load_study(config or given or str(SAMPLE), tuple(overrides))))
    except AgserError as error:
        click.echo(f"error: {getattr(error, 'cause', error)}", err=True)
        sys.exit(EXIT_ERROR)


if __name__ == "__main__":
    main()
