"""Which point of the space is tried next: Optuna's samplers behind ask and tell, going on from recorded trials."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import optuna

from agser_core.tuning.space import Parameter, SearchSpace, Value

optuna.logging.set_verbosity(optuna.logging.WARNING)


class PointSearch:
    """Asks points by number, learns from what became of them. Greater scores are better.

    Each suggestion depends on the seed, its number and the trials told so far, nothing else: a search that goes on
    from records makes the suggestions that it would have made.
    """

    def __init__(self, space: SearchSpace, kind: Literal["tpe", "random"], *, startup_trials: int = 10, seed: int = 0):
        self.space, self.kind, self.startup_trials, self.seed = space, kind, startup_trials, seed
        self._study = optuna.create_study(direction="maximize")
        self._running: dict[int, optuna.Trial] = {}

    def ask(self, number: int) -> dict[str, Value]:
        """A new point."""
        self._study.sampler = self._sampler(number)
        trial = self._study.ask()
        self._running[number] = trial
        return self.space.draw(trial)

    def tell(
        self,
        number: int,
        point: Mapping[str, Value],
        state: Literal["finished", "stopped", "failed"],
        scores: Sequence[float] = (),
    ) -> None:
        """What became of a point. scores: after each epoch; the last one is the point's.

        A stopped trial counts with its last score; a failed one as worse than all others, so that a search does not
        run into the same wall again. Points that this search did not propose, such as those of an earlier process, are
        learned from where the space contains them.
        """
        finished = state == "finished" and np.isfinite(scores[-1])
        scores = [] if state == "failed" or not np.isfinite(scores[-1]) else [float(score) for score in scores]
        outcome = optuna.trial.TrialState.COMPLETE if finished else optuna.trial.TrialState.PRUNED
        value = scores[-1] if finished else None
        trial = self._running.pop(number, None)
        if trial is not None:
            for epoch, score in enumerate(() if finished else scores, start=1):
                trial.report(score, epoch)
            self._study.tell(trial, value, outcome)
        elif self.space.contains(point):
            self._study.add_trial(
                optuna.trial.create_trial(
                    state=outcome,
                    value=value,
                    params=dict(point),
                    distributions={
                        parameter.name: distribution(parameter)
                        for parameter in self.space.parameters
                        if parameter.name in point
                    },
                    intermediate_values=dict(enumerate(scores, start=1)),
                )
            )

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        if self.kind == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.samplers.TPESampler(
                n_startup_trials=self.startup_trials,
                multivariate=True,  # the settings of an optimiser depend on each other
                group=True,  # so that conditional settings are modelled where they are drawn
                seed=seed,
            )


def distribution(parameter: Parameter) -> optuna.distributions.BaseDistribution:
    """A parameter as Optuna's distribution, as its suggestion methods would make it."""
    if parameter.choices:
        return optuna.distributions.CategoricalDistribution(parameter.choices)
    if parameter.whole:
        low, high, step = int(parameter.low), int(parameter.high), int(parameter.step or 1)
        return optuna.distributions.IntDistribution(low, high, log=parameter.log, step=step)
    return optuna.distributions.FloatDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step)
