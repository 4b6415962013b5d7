"""Run: the whole chain of stages as one job, each doing only what is missing."""

import time

from agser_core.experiment import Experiment
from pipelines import analyse, cluster, evaluate, extract, report, train
from pipelines.ray_session import ray_session
from pipelines.stage import say, stage_command

CHAIN = {
    "extract": extract.run,
    "cluster": cluster.run,
    "analyse": analyse.run,
    "train": train.run,
    "evaluate": evaluate.run,
    "report": report.run,
}


def run(experiment: Experiment) -> int | None:
    """Run extract, cluster, analyse, train, evaluate and report, one after another, on one Ray session.

    Each stage skips what is done. The first stage that fails ends the job with its exit code.
    """
    with ray_session(experiment.ray):
        for name, stage in CHAIN.items():
            started = time.monotonic()
            if code := stage(experiment):
                return code
            say(f"--- {name} took {time.monotonic() - started:.0f} s")
    return None


main = stage_command("run", "ray")(run)

if __name__ == "__main__":
    main()
