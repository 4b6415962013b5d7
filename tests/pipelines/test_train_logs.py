"""What the callbacks of Ray Train hand on, without Ray."""

import struct

import pytest

from agser_core.errors import ConfigError
from agser_core.storage import Location
from pipelines.train_logs import callbacks_for

EPOCHS = [{"epoch": epoch, "loss": 1.5 - epoch, "method": "ag"} for epoch in range(3)]


def events(folder: Location) -> list[tuple[int, str, float]]:
    """(step, name, value) of every scalar in TensorBoard's files: records of length, checksum, event, checksum."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for file in folder.list():
        content, place = file.read_bytes(), 0
        while place < len(content):
            (size,) = struct.unpack_from("<Q", content, place)
            event = Event.FromString(content[place + 12 : place + 12 + size])
            found += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
            place += size + 16
    return found


def test_tensorboard_gets_every_epoch_and_a_run_that_goes_on_adds_to_it(tmp_path):
    folder = Location.parse(tmp_path / "logs")
    for epochs in (EPOCHS[:2], EPOCHS[2:]):
        [callback] = callbacks_for(["tensorboard"], folder, "name", {})
        for figures in epochs:
            callback.after_report(None, [figures], None)
    assert sorted(events(folder)) == [(0, "loss", 1.5), (1, "loss", 0.5), (2, "loss", -0.5)]


def test_mlflow_gets_one_run(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(tmp_path))
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # no server in a test
    for epochs in (EPOCHS[:2], EPOCHS[2:]):
        [callback] = callbacks_for(["mlflow"], Location.parse(tmp_path), "name", {"method": "ag"})
        for figures in epochs:
            callback.after_report(None, [figures], None)
    client = mlflow.MlflowClient(str(tmp_path))
    [run] = client.search_runs([client.get_experiment_by_name("agser").experiment_id])
    assert run.data.params == {"method": "ag"}
    assert [metric.value for metric in client.get_metric_history(run.info.run_id, "loss")] == [1.5, 0.5, -0.5]


def test_mlflow_that_is_not_installed_is_said_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"agser\[mlflow\]"):
        callbacks_for(["mlflow"], Location.parse(tmp_path), "name", {})
