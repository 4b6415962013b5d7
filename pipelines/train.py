"""Train: one anchored model with Ray Train, on any number of workers, resumed from its last epoch."""

import contextlib
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from agser_core.chain import train_output
from agser_core.errors import AgserError
from agser_core.evaluation.loading import load_fold, why_not_trained
from agser_core.evaluation.matrix import fit_parts
from agser_core.experiment import Experiment
from agser_core.outputs import StageOutput
from agser_core.ser import metrics
from agser_core.ser.dataset import SpeechData
from agser_core.ser.prediction import predict
from agser_core.ser.settings import TrainSettings
from agser_core.ser.trainer import FitResult, fit
from agser_core.storage import Location
from pipelines.stage import say, stage_command

_CHECKPOINT = "state.pt"


def direction_of(experiment: Experiment) -> tuple[str, str]:
    """Source and target corpus: the settings', or the first and the last corpus of the experiment."""
    names = list(experiment.corpora)
    source, _, target = (experiment.train.direction or f"{names[0]}->{names[-1]}").partition("->")
    return source, target


def train_worker(config: dict) -> None:
    """What each Ray Train worker runs: the same fit, its share of every batch."""
    from ray import train

    started = time.time()
    experiment = Experiment.model_validate(config["experiment"])
    source, target = direction_of(experiment)
    settings = experiment.train.fit_settings()
    fold = load_fold(experiment, experiment.train.fold)
    *trained, test = fit_parts(fold.data, fold.partitions, source, target, settings)
    result = fit_in_worker(*trained, settings, experiment.train.seed)
    if train.get_context().get_world_rank() == 0:
        output = train_output(experiment)
        output.started = started
        _store(output, result, test, _device())


def fit_in_worker(
    source_train: SpeechData, source_dev: SpeechData, target_train: SpeechData, settings: TrainSettings, seed: int
) -> FitResult:
    """`ser.trainer.fit` inside a Ray Train worker: goes on after the last checkpoint, reports and stores each epoch."""
    import torch
    from ray import train

    from pipelines.ray_session import limit_threads

    limit_threads()
    torch.set_num_threads(1)
    context = train.get_context()
    rank = context.get_world_rank()

    def on_epoch(epoch: int, figures: dict, state: dict) -> None:
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = None
            if rank == 0:
                torch.save(state, Path(folder) / _CHECKPOINT)
                checkpoint = train.Checkpoint.from_directory(folder)
            train.report({**figures, "epoch": epoch}, checkpoint=checkpoint)

    state = None
    if checkpoint := train.get_checkpoint():
        with checkpoint.as_directory() as folder:
            state = torch.load(Path(folder) / _CHECKPOINT, weights_only=True)
    return fit(
        source_train,
        source_dev,
        target_train,
        settings,
        seed,
        on_epoch=on_epoch,
        state=state,
        worker=rank,
        workers=context.get_world_size(),
        device=_device(),
    )


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _store(output: StageOutput, result: FitResult, test: SpeechData, device: str) -> None:
    from safetensors.torch import save

    probabilities = predict(result.weights, result.settings, test, device)
    counts = metrics.confusion(test.emotion, probabilities.argmax(1), len(test.classes))
    output.folder.join("weights.safetensors").write_bytes(save(result.weights))
    output.write_json("settings.json", result.settings.model_dump())
    output.write_table("history", pa.Table.from_pylist(result.history))
    output.commit(
        chosen_epoch=result.chosen_epoch,
        warnings=result.warnings,
        test_uar=float(metrics.uar(counts)),
        fine_tune=result.settings.fine_tune,
    )


def run(experiment: Experiment) -> None:
    """Train one anchored model with Ray Train.

    The direction, method and seed are settings of the group train. Every epoch leaves a checkpoint; the same command
    again goes on after the last one. Writes weights.safetensors, the learning curve and the test UAR.
    """
    if reason := why_not_trained(experiment, [experiment.train.method]):
        say(f"train: {reason}")
        return
    output, (source, target) = train_output(experiment), direction_of(experiment)
    if not output.is_complete():
        _fit_on_ray(experiment, output)
    manifest = output.manifest()
    for warning in manifest["warnings"]:
        say(f"train: warning: {warning}")
    how = f"{experiment.train.method}, seed {experiment.train.seed}, epoch {manifest['chosen_epoch'] + 1} kept"
    say(f"train: {source}->{target}, {how}: UAR {100 * manifest['test_uar']:.1f} % on the test speakers")
    say(f"train: {output.folder.uri}")


def _fit_on_ray(experiment: Experiment, output: StageOutput) -> None:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    from pipelines.ray_session import ray_session
    from pipelines.train_logs import callbacks_for

    settings, name = experiment.ray, output.folder.name
    callbacks = callbacks_for(
        settings.train_logs, output.folder.parent.join("tensorboard", name), name, experiment.train.model_dump()
    )
    # Less than a whole CPU a worker: workers that hold every CPU leave none for Ray's own tasks, and all wait for ever.
    resources = {"CPU": 0.9, **({"GPU": settings.train_gpus} if settings.train_gpus else {})}
    with ray_session(settings), _plain_errors():
        TorchTrainer(
            train_worker,
            train_loop_config={"experiment": json.loads(experiment.model_dump_json())},
            scaling_config=ScalingConfig(
                num_workers=settings.train_workers, resources_per_worker=resources, use_gpu=bool(settings.train_gpus)
            ),
            run_config=RunConfig(
                name=name,
                storage_path=_storage_path(output.folder.parent.join("ray")),
                failure_config=FailureConfig(max_failures=2),
                callbacks=callbacks,
            ),
        ).fit()


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    """What a user can mend in a worker is what the driver says, without Ray's wrapping."""
    from ray.train import WorkerGroupError

    try:
        yield
    except WorkerGroupError as error:
        for failure in error.worker_failures.values():
            cause = getattr(failure, "cause", failure)
            if isinstance(cause, AgserError):
                raise cause from None
        raise


def _storage_path(location: Location) -> str:
    return location.path if location.is_local else location.uri


main = stage_command("train", "split", "train", "ray")(run)

if __name__ == "__main__":
    main()
