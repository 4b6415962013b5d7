"""Which settings the score depends on: permutation importance in a forest over the trials."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance
from sklearn.model_selection import KFold

from agser_core.tuning.record import TrialRecord
from agser_core.tuning.space import Parameter

FEWEST_TRIALS = 10
_FOLDS, _TREES, _REPEATS = 5, 50, 5


def importance(records: Sequence[TrialRecord], parameters: Sequence[Parameter]) -> tuple[pd.DataFrame, float]:
    """How much worse a forest tells the score of unseen trials when one setting is shuffled among them.

    -> (one row a setting: importance = mean fall of R2 over folds and shuffles, deviation over folds; greatest first),
    and the R2 of the forest on unseen trials: near or under 0, the importances mean nothing. A setting that was not
    drawn gets a value of a trial that drew it, so that it tells nothing of the setting it hangs on. Trials that failed
    are left out; stopped ones count with their last score. Empty table and nan under FEWEST_TRIALS trials.
    """
    used = [record for record in records if record.curve and np.isfinite(record.score)]
    if len(used) < FEWEST_TRIALS:
        return pd.DataFrame(columns=["setting", "importance", "deviation"]), float("nan")
    epochs = [len(record.curve) for record in used]  # a stopped trial has a lower score for that: the forest knows
    inputs = np.column_stack([*(_column(used, parameter) for parameter in parameters), epochs])
    scores = np.array([record.score for record in used])
    if np.ptp(scores) == 0:
        return pd.DataFrame(columns=["setting", "importance", "deviation"]), float("nan")
    folds = KFold(_FOLDS, shuffle=True, random_state=0)
    falls, told = [], np.empty(len(scores))
    for train, test in folds.split(inputs):
        forest = RandomForestRegressor(_TREES, random_state=0).fit(inputs[train], scores[train])
        found = permutation_importance(
            forest, inputs[test], scores[test], scoring="neg_mean_squared_error", n_repeats=_REPEATS, random_state=0
        )
        falls.append(found.importances_mean / scores.var())
        told[test] = forest.predict(inputs[test])
    explained = 1 - ((scores - told) ** 2).mean() / scores.var()
    table = pd.DataFrame(
        {
            "setting": [parameter.name for parameter in parameters],
            "importance": np.mean(falls, axis=0)[:-1],
            "deviation": np.std(falls, axis=0, ddof=1)[:-1],
        }
    )
    return table.sort_values("importance", ascending=False, ignore_index=True), float(explained)


def _column(records: Sequence[TrialRecord], parameter: Parameter) -> np.ndarray:
    """Values of one setting as numbers: choices by their place, logarithms where the space has them."""
    values = [record.point.get(parameter.name) for record in records]
    if parameter.choices:
        places = {value: place for place, value in enumerate(parameter.choices)}
        numbers = np.array([places.get(value, np.nan) if value is not None else np.nan for value in values])
    else:
        numbers = np.array([np.nan if value is None else float(value) for value in values])
        numbers = np.log(numbers) if parameter.log else numbers
    drawn = numbers[~np.isnan(numbers)]
    stand_in = np.random.default_rng(0).choice(drawn, size=len(numbers)) if len(drawn) else np.zeros(len(numbers))
    return np.where(np.isnan(numbers), stand_in, numbers)
