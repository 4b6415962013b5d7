"""Several nodes: the work spreads over them, the tables are those of one node, and losing a node changes nothing."""

import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import yaml

from agser_core.chain import evaluate_output, extract_output, tune_output
from agser_core.experiment import RaySettings, load_experiment
from agser_core.gestures.fit_log import FitLog
from agser_core.gestures.kmeans import SoftDTWKMeans
from agser_core.gestures.segments import SegmentSource
from agser_core.softdtw.statistics import BLOCK
from agser_core.storage import Location
from agser_core.tuning.study import load_study
from pipelines.distributed_kmeans import ActorShards
from pipelines.ray_session import ray_session

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow

SMALL = {
    "name": "small",
    "sample": {"speakers": 3, "sentences": 1},
    "extract": {"clips_per_unit": 1},
    "split": {"groups": 3, "test_groups": 1},
    "cluster": {"n_clusters": 4, "restarts": 1},
    "train": {"epochs": 3, "batch_size": 8, "network": {"width": 32, "feed_forward": 32, "heads": 2}},
    "evaluate": {"methods": ["none", "ag"], "seeds": [0, 1], "bootstrap": 50},
    "ray": {"extract_workers": 3, "extract_memory_gb": 0.5},
}

STUDY = {
    "name": "small",
    "space": {"learning_rate": {"low": 1e-3, "high": 1e-2, "log": True}, "method": {"choice": ["none", "ag"]}},
    "trials": 6,
    "seeds": [0],
    "final_seeds": [],
    "search": "random",
    "scheduler": "none",
    "objective": "infomax",
}


@dataclass
class Experiment:
    """An experiment file whose stages run as commands, on the cluster at an address or on one of their own."""

    config: Path
    address: str = ""

    def start(self, *command: str) -> subprocess.Popen:
        faults = str(ROOT / "tests" / "pipelines" / "faults")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([faults, str(ROOT)]), "RAY_ADDRESS": self.address}
        return subprocess.Popen(
            [sys.executable, "-m", *command],
            env={name: value for name, value in environment.items() if value},
            cwd=self.config.parent,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def stage(self, name: str, *overrides: str) -> subprocess.Popen:
        return self.start("pipelines.cli", name, "-c", str(self.config), *overrides)

    def search(self, *overrides: str) -> subprocess.Popen:
        return self.start("pipelines.cli", "tune", str(self.study()), *overrides)

    def study(self) -> Path:
        """Six trials whose points do not depend on which of them ends first."""
        file = self.config.parent / "study.yaml"
        if not file.exists():
            file.write_text(yaml.safe_dump({**STUDY, "experiment": self.config.name}))
        return file

    def searched(self, name: str, *overrides: str) -> pd.DataFrame:
        study = load_study(str(self.study()), overrides)
        return tune_output(study.experiment, study.identity()).table(name).to_pandas()

    def table(self, name: str, *overrides: str) -> pd.DataFrame:
        experiment = load_experiment(str(self.config), overrides)
        output = evaluate_output(experiment) if name in EVALUATED else extract_output(experiment, "alder")
        return by_key(output.table(name).to_pandas())


EXTRACTED = {"clips": ["clip_id"], "tracks": ["clip_id"], "segments": ["clip_id", "position"]}
EXTRACTED |= {"phone_vectors": ["clip_id", "position"]}
EVALUATED = ("predictions", "history", "summary")
SEARCHED = ("trials", "curves", "fits", "best")
NO_RESULT = ("seconds", "tries_failed")  # ends of columns: how long it took, what was tried again


def by_key(table: pd.DataFrame) -> pd.DataFrame:
    """In an order that does not depend on who wrote which part."""
    table = table[[name for name in table if not name.endswith(NO_RESULT)]]
    keys = [name for name in table if not isinstance(table[name].iloc[0], np.ndarray)]
    return table.sort_values(keys, ignore_index=True)


def finished(job: subprocess.Popen) -> str:
    printed, _ = job.communicate(timeout=400)
    assert job.returncode == 0, printed
    return printed


def wait_until(condition, seconds: float = 200) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.2)


class Nodes:
    """A head and two workers, one CPU each, with the State API to ask where things ran."""

    def __init__(self):
        from ray.cluster_utils import Cluster

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        head = {"num_cpus": 1, "include_dashboard": True, "dashboard_port": port, "object_store_memory": 200_000_000}
        self.cluster, self.dashboard = Cluster(initialize_head=True, head_node_args=head), f"http://127.0.0.1:{port}"
        self.workers = [self.add(), self.add()]

    def add(self):
        node = self.cluster.add_node(num_cpus=1, object_store_memory=200_000_000)
        self.cluster.wait_for_nodes()
        return node

    def lose_one(self) -> None:
        self.cluster.remove_node(self.workers.pop(), allow_graceful=False)

    def refill(self) -> None:
        self.workers += [self.add() for _ in range(2 - len(self.workers))]

    def of_actors(self, name: str) -> dict[str, str]:
        """Node by actor id of all actors of such a class so far."""
        from ray.util.state import list_actors

        actors = list_actors(address=self.dashboard, detail=True, limit=1000, raise_on_missing_output=False)
        return {actor.actor_id: actor.node_id for actor in actors if name in actor.class_name}

    def of_tasks(self, name: str) -> dict[str, str]:
        from ray.util.state import list_tasks

        tasks = list_tasks(address=self.dashboard, detail=True, limit=1000, raise_on_missing_output=False)
        return {task.task_id: task.node_id for task in tasks if task.name == name and task.node_id}


@pytest.fixture(scope="module")
def nodes():
    nodes = Nodes()
    yield nodes
    nodes.cluster.shutdown()


@pytest.fixture(autouse=True)
def three_nodes(request):
    if "nodes" in request.fixturenames:
        request.getfixturevalue("nodes").refill()


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """A function (address) -> Experiment with an output of its own; all share the clips."""
    data = tmp_path_factory.mktemp("data")

    def experiment(address: str = "") -> Experiment:
        folder = tmp_path_factory.mktemp("run")
        corpora = {name: {"adapter": "sample", "path": str(data / name)} for name in ("alder", "birch")}
        content = {**SMALL, "output": str(folder / "run"), "corpora": corpora}
        content["sample"] = {**SMALL["sample"], "folder": str(data)}
        (folder / "experiment.yaml").write_text(yaml.safe_dump(content))
        return Experiment(folder / "experiment.yaml", address)

    finished(experiment().stage("sample"))
    return experiment


@pytest.fixture(scope="module")
def alone(make) -> Experiment:
    """All on one node, with one worker where there are several elsewhere."""
    single = make()
    finished(single.stage("extract", "ray.extract_workers=1"))
    for stage in ("cluster", "evaluate"):
        finished(single.stage(stage))
    return single


@pytest.fixture(scope="module")
def spread(make, nodes) -> Experiment:
    """Extracted and clustered on three nodes."""
    several = make(nodes.cluster.address)
    before = set(nodes.of_actors("UnitExtractor"))
    finished(several.stage("extract"))
    several.ran_on = {node for actor, node in nodes.of_actors("UnitExtractor").items() if actor not in before}
    finished(several.stage("cluster"))
    return several


def test_extraction_spreads_and_writes_the_same_tables(alone, spread):
    assert len(spread.ran_on) == 3
    for name in EXTRACTED:
        pd.testing.assert_frame_equal(spread.table(name), alone.table(name))


def test_extraction_survives_a_lost_node(alone, make, nodes):
    several = make(nodes.cluster.address)
    job = several.stage("extract")
    wait_until(lambda: len(list(several.config.parent.glob("run/extract/alder/*/units/*.json"))) >= 2)
    nodes.lose_one()
    finished(job)
    for name in EXTRACTED:
        pd.testing.assert_frame_equal(several.table(name), alone.table(name))


def test_evaluation_spreads_and_gives_the_same_figures(alone, spread, nodes):
    before = set(nodes.of_tasks("run_and_store"))
    finished(spread.stage("evaluate"))
    where = {node for task, node in nodes.of_tasks("run_and_store").items() if task not in before}
    assert len(where) == 3
    for name in EVALUATED:
        pd.testing.assert_frame_equal(spread.table(name), alone.table(name))


def test_evaluation_survives_a_lost_node(alone, spread, nodes):
    more = "evaluate.seeds=[0, 1, 2, 3]"
    job, seen = spread.stage("evaluate", more), len(list(spread.config.parent.glob("run/cells/*/*.json")))
    wait_until(lambda: len(list(spread.config.parent.glob("run/cells/*/*.json"))) > seen)
    nodes.lose_one()
    finished(job)
    finished(alone.stage("evaluate", more))
    for name in EVALUATED:
        pd.testing.assert_frame_equal(spread.table(name, more), alone.table(name, more))


def assert_same_search(one: Experiment, other: Experiment, *overrides: str) -> None:
    for name in SEARCHED:
        tables = [by_key(experiment.searched(name, *overrides)) for experiment in (one, other)]
        pd.testing.assert_frame_equal(*tables)


def test_a_search_spreads_and_finds_the_same(alone, spread, nodes):
    before = set(nodes.of_actors("ImplicitFunc"))
    finished(spread.search())
    where = {node for actor, node in nodes.of_actors("ImplicitFunc").items() if actor not in before}
    assert len(where) == 3
    finished(alone.search())
    assert_same_search(spread, alone)


def test_a_search_survives_a_lost_node(alone, spread, nodes):
    def ended() -> set[Path]:
        return set(spread.config.parent.glob("run/tune/*/trials/????.json"))

    more, seen = ("seed=1", "train.epochs=20"), ended()
    job = spread.search(*more)
    wait_until(lambda: ended() - seen)
    nodes.lose_one()
    finished(job)
    assert spread.searched("trials", *more)["tries_failed"].str.contains("worker lost").any()
    finished(alone.search(*more))
    assert_same_search(spread, alone, *more)


def table_of_segments(folder: Path) -> SegmentSource:
    """Three blocks of movements: as many as are needed for three workers."""
    rng, count = np.random.default_rng(0), 2 * BLOCK + 3000
    centres = rng.normal(0, 1, (5, 12, 24)).astype(np.float32)
    mouths = centres[rng.integers(0, 5, count)] + rng.normal(0, 0.3, (count, 12, 24)).astype(np.float32)
    names = [f"clip-{i}" for i in range(count)]
    table = {
        "clip_id": names,
        "corpus": ["planted"] * count,
        "position": pa.array(np.arange(count), pa.int32()),
        "n_frames": pa.array(np.full(count, 12), pa.int32()),
        "mouth": pa.array(list(mouths.reshape(count, -1)), pa.list_(pa.float32())),
    }
    pyarrow.parquet.write_table(pa.table(table), folder / "segments.parquet", row_group_size=4000)
    clips = pd.DataFrame({"partition": "train", "speaker": "anna"}, index=names)
    return SegmentSource.scan(Location.parse(folder).list(), clips)


def model() -> SoftDTWKMeans:
    return SoftDTWKMeans(6, init="k-means||", n_init=1, max_iter=4, random_state=0)


class Losing(FitLog):
    """Takes a node away after the first pass, and puts another in its place."""

    def __init__(self, nodes: Nodes):
        super().__init__()
        self.nodes = nodes

    def passed(self, run, progress):
        if progress.iteration == 1:
            self.nodes.lose_one()
            self.nodes.refill()
        super().passed(run, progress)


def test_clustering_spreads_and_gives_the_same_bits_even_without_one_node(nodes, tmp_path):
    (tmp_path / "table").mkdir()
    source = table_of_segments(tmp_path / "table")
    alone = model().fit(source.read(0, len(source)))
    with ray_session(RaySettings(address=nodes.cluster.address)):
        shards = ActorShards(source, 3)
        found = model().fit(shards)
        assert len(set(nodes.of_actors("ShardActor").values())) == 3
        assert found.to_json() == alone.to_json()
        shards.close()
        shards = ActorShards(source, 3)
        found = model().fit(shards, log=Losing(nodes))
        assert shards.replaced >= 1 and found.to_json() == alone.to_json()
        shards.close()
