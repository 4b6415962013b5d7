"""A study whose trials do what their point says: go well, raise, hang, eat memory, lose their process.

    python faulty_study.py FOLDER [--address ADDRESS] [--trials N] [--pause SECONDS] [--seconds LIMIT]

Prints what became of each trial. Everything but the trials' own work is the real thing.
"""

import argparse
import ctypes
import os
import time

import pipelines  # noqa: F401  (sets what Ray reads when it is imported)
from agser_core.experiment import RaySettings
from agser_core.ser.settings import TrainSettings
from agser_core.storage import Location
from agser_core.tuning.limits import within_limits
from agser_core.tuning.record import TrialStore
from agser_core.tuning.space import parse_space
from agser_core.tuning.study import LimitSettings, StudySettings
from agser_core.tuning.yaml_lines import Document
from pipelines.ray_session import ray_session
from pipelines.tune_trials import run_trials

SPACE = """
network.dropout: {low: 0.0, high: 0.5}
network.width: {choice: [64, 128, 256]}
"""


def trainable_of(limits: LimitSettings, pause: float, faults: dict[int, str], marks: str):
    """faults: number of a trial -> raise, hang (holding the interpreter), eat, die, once (dies the first time only)."""

    def trial(config: dict) -> None:
        import numpy as np
        from ray import tune

        number, fault = config["number"], faults.get(config["number"])
        with open(os.path.join(marks, f"{number}.{time.time_ns()}"), "w"):
            pass  # counts the tries
        with within_limits(limits):
            for epoch in range(1, 4):
                time.sleep(pause)
                if epoch == 2 and fault == "raise":
                    raise ValueError("a setting that can't be")
                if epoch == 2 and fault == "hang":
                    ctypes.PyDLL(None).sleep(600)  # native code that keeps the interpreter to itself
                if epoch == 2 and fault == "eat":
                    np.ones((100, 1024, 1024, 128))  # 100 GiB
                tries = [name for name in os.listdir(marks) if name.startswith(f"{number}.")]
                if epoch == 2 and (fault == "die" or fault == "once" and len(tries) == 1):
                    os._exit(1)
                score = (1 - (config["point"]["network.dropout"] - 0.2) ** 2) * epoch / 3
                by_direction = {"a->b": score}
                report = {"epoch": epoch, "score": score, "dev_uar": 0.5, "by_direction": by_direction, "seconds": 1.0}
                tune.report({**report, "fits": [], "criteria": {"a->b": {}}} if epoch == 3 else report)

    return trial


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--address")
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--pause", type=float, default=0.1)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--faults", default="", help="such as 2:raise,3:hang")
    arguments = parser.parse_args()
    faults = dict(part.split(":") for part in arguments.faults.split(",") if part)
    base, document = TrainSettings(), Document(SPACE, "space.yaml")
    space = parse_space([(document, (), document.content)], base)
    settings = StudySettings(
        name="faulty",
        experiment="none",
        trials=arguments.trials,
        scheduler="none",
        startup_trials=4,
        limits={"seconds": arguments.seconds, "memory_gb": 2, "retries": 1},
        resources={"cpus": 1},
    )
    marks = os.path.join(arguments.folder, "tries")
    os.makedirs(marks, exist_ok=True)
    trainable = trainable_of(
        settings.limits, arguments.pause, {int(number): fault for number, fault in faults.items()}, marks
    )
    with ray_session(RaySettings(address=arguments.address)):
        import ray

        records = run_trials(trainable, settings, space, base, TrialStore(Location.parse(arguments.folder)))
        end = time.monotonic() + 30
        while ray.available_resources().get("CPU", 0) < ray.cluster_resources()["CPU"] and time.monotonic() < end:
            time.sleep(0.2)
        free = ray.available_resources().get("CPU", 0) == ray.cluster_resources()["CPU"]
    for record in records:
        print(f"trial {record.number} {record.state} {'; '.join(record.tries)}")
    print(f"CPUs given back: {free}")


if __name__ == "__main__":
    main()
