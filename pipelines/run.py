"""Run: the whole chain of stages as one job, each doing only what is missing."""

import functools
import time

import click

from agser_core.experiment import Experiment
from pipelines import analyse, cluster, evaluate, extract, plan, report, train
from pipelines.ray_session import cluster_cpus, ray_session
from pipelines.stage import say, stage_command

AFTER_EXTRACTION = {
    "cluster": cluster.run,
    "analyse": analyse.run,
    "train": train.run,
    "evaluate": evaluate.run,
    "report": report.run,
}


def run(experiment: Experiment, price_per_hour: float | None = None, plan_only: bool = False) -> int | None:
    """Run extract, cluster, analyse, train, evaluate and report, one after another, on one Ray session.

    Prints the plan first: what is done, what will run, and the time and cost to expect, from the rates of earlier
    outputs where there are some. Each stage skips what is done. The first stage that fails ends the job with its exit
    code.
    """
    with ray_session(experiment.ray):
        corpora = [extract.plan_corpus(experiment, name) for name in experiment.corpora]
        say(f"run: the plan for {experiment.name} -> {experiment.output}")
        for line in plan.lines(plan.plan_run(experiment, corpora, cluster_cpus()), price_per_hour):
            say(line)
        if plan_only:
            return None
        stages = {"extract": functools.partial(extract.run_plans, plans=corpora), **AFTER_EXTRACTION}
        for name, stage in stages.items():
            started = time.monotonic()
            if code := stage(experiment):
                return code
            say(f"--- {name} took {time.monotonic() - started:.0f} s")
    return None


_PRICE = click.option(
    "--price-per-hour", type=float, metavar="PRICE", help="Of one core; the plan then tells the cost."
)
_PLAN = click.option("--plan", "plan_only", is_flag=True, help="Print the plan and stop.")
main = stage_command("run", "ray", options=(_PRICE, _PLAN))(run)

if __name__ == "__main__":
    main()
