"""Follow a training run elsewhere: callbacks of Ray Train that hand each epoch's figures to TensorBoard or MLflow.

They run in Ray Train's controller, not in the workers, and see what rank 0 reported.
"""

import importlib.util
import os
import tempfile
import time
import uuid
from numbers import Number
from pathlib import Path

from ray.train import UserCallback

from agser_core.errors import ConfigError
from agser_core.storage import Location


def callbacks_for(followers: list[str], folder: Location, run_name: str, settings: dict) -> list[UserCallback]:
    """The callbacks of `ray.train_logs`. folder: where TensorBoard's files go. settings: MLflow's parameters."""
    if "mlflow" in followers and importlib.util.find_spec("mlflow") is None:
        raise ConfigError("ray.train_logs names mlflow, which is not installed: pip install 'agser[mlflow]'")
    makers = {
        "tensorboard": lambda: TensorBoardLog(folder),
        "mlflow": lambda: MLflowLog(os.environ.get("MLFLOW_TRACKING_URI"), run_name, settings),
    }
    return [makers[name]() for name in followers]


class TensorBoardLog(UserCallback):
    """Scalars of every epoch as TensorBoard's event files, local or on S3: `tensorboard --logdir FOLDER`.

    A run that goes on adds a file; TensorBoard joins them.
    """

    def __init__(self, folder: Location):
        self.folder, self.writer = folder, None

    def after_report(self, run_context, metrics, checkpoint) -> None:
        """Write the epoch and store the file anew: an object on S3 can't be appended to."""
        from tensorboardX.event_file_writer import EventsWriter  # its SummaryWriter writes later, from a thread
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        if self.writer is None:
            self.place = tempfile.TemporaryDirectory()
            self.writer = EventsWriter(f"{self.place.name}/events", f".{uuid.uuid4().hex}")  # never a file before
        for name, value in _scalars(metrics[0]).items():
            event = Event(step=metrics[0]["epoch"], wall_time=time.time(), summary=scalar(name, value))
            self.writer.write_event(event)
        self.writer.flush()
        for file in Path(self.place.name).iterdir():
            self.folder.join(file.name).write_bytes(file.read_bytes())


class MLflowLog(UserCallback):
    """Metrics of every epoch as one MLflow run in the experiment `agser`; a training that goes on goes on there too."""

    def __init__(self, tracking_uri: str | None, run_name: str, settings: dict):
        self.tracking_uri, self.run_name, self.settings, self.run_id = tracking_uri, run_name, settings, None

    def after_report(self, run_context, metrics, checkpoint) -> None:
        """Log the epoch."""
        from mlflow import MlflowClient

        client = MlflowClient(self.tracking_uri)
        if self.run_id is None:
            self.run_id = self._run(client)
        for name, value in _scalars(metrics[0]).items():
            client.log_metric(self.run_id, name, value, step=metrics[0]["epoch"])

    def _run(self, client) -> str:
        """The run of this name, or a new one."""
        known = client.get_experiment_by_name("agser")
        experiment = known.experiment_id if known else client.create_experiment("agser")
        runs = client.search_runs([experiment], f"attributes.run_name = '{self.run_name}'")
        if runs:
            return runs[0].info.run_id
        run = client.create_run(experiment, run_name=self.run_name)
        for name, value in self.settings.items():
            client.log_param(run.info.run_id, name, value)
        return run.info.run_id


def _scalars(metrics: dict) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items() if isinstance(value, Number) and name != "epoch"}
