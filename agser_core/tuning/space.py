"""The search space: which settings of a fit are searched, over what, and when each counts.

A space is a mapping from a setting of the group `train` to a range or a list:

    learning_rate: {low: 3.0e-4, high: 3.0e-3, log: true}
    anchor.form:   {choice: [triplet, prototype]}
    anchor.tau:    {low: 0.05, high: 0.5, log: true, when: {anchor.form: prototype}}

Whether a number is whole follows from the setting. `when` names settings of the space that decide whether this one is
drawn; where it is not, the experiment's own value stands.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from agser_core.errors import ConfigError
from agser_core.ser.settings import TrainSettings
from agser_core.tuning.yaml_lines import Document

Value = bool | int | float | str | None
_NOT_SEARCHED = {"seed": "seeds are a list of the study", "network": "name one of its settings: network.width"}


class _Parameter(BaseModel):
    """One entry of a space as it stands in the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    choice: list[Value] | None = Field(None, min_length=1, description="the values to choose from")
    low: float | None = Field(None, description="least value, included")
    high: float | None = Field(None, description="greatest value, included")
    log: bool = Field(False, description="draw evenly in the logarithm")
    step: float | None = Field(None, gt=0, description="distance of the values, from low on")
    when: dict[str, Value | list[Value]] = Field(
        default_factory=dict, description="drawn only where these settings have one of these values"
    )

    @model_validator(mode="after")
    def _one_kind(self) -> _Parameter:
        if self.choice is not None:
            if self.low is not None or self.high is not None or self.log or self.step:
                raise ValueError("give either choice, or low and high")
            if any(value in self.choice[:place] for place, value in enumerate(self.choice)):
                raise ValueError("a value is given twice")
        elif self.low is None or self.high is None:
            raise ValueError("give low and high, or choice")
        elif not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise ValueError("low and high must be finite")
        elif self.low >= self.high:
            raise ValueError(f"the range from {self.low:g} to {self.high:g} is empty; low must be under high")
        elif self.log and self.low <= 0:
            raise PydanticCustomError("low", f"log of {self.low:g}: must be above 0 where log is true")
        elif self.log and self.step:
            raise ValueError("step and log exclude each other")
        return self


@dataclass(frozen=True)
class Parameter:
    """One searched setting. Either `choices`, or a range; `conditions` by name of an earlier parameter."""

    name: str  # dotted, below `train`
    choices: tuple[Value, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    whole: bool = False
    conditions: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)

    def applies(self, drawn: Mapping[str, Value]) -> bool:
        """Whether it is drawn, given what was drawn before."""
        return all(name in drawn and drawn[name] in allowed for name, allowed in self.conditions.items())


class Chooser(Protocol):
    """Who draws: Optuna's trials have these methods."""

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Value: ...

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float: ...

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int: ...


@dataclass(frozen=True)
class SearchSpace:
    """Parameters in an order in which conditions come before what depends on them."""

    parameters: tuple[Parameter, ...]

    def draw(self, chooser: Chooser) -> dict[str, Value]:
        """One point: values of the parameters that apply."""
        drawn: dict[str, Value] = {}
        for parameter in self.parameters:
            if parameter.applies(drawn):
                drawn[parameter.name] = _draw(parameter, chooser)
        return drawn

    def point_of(self, settings: TrainSettings) -> dict[str, Value]:
        """The point at which given settings stand; values outside the space are kept as they are."""
        point: dict[str, Value] = {}
        for parameter in self.parameters:
            if parameter.applies(point):
                point[parameter.name] = _value_at(settings, parameter.name)
        return point

    def contains(self, point: Mapping[str, Value]) -> bool:
        """Whether a point could have been drawn."""
        wanted = {parameter.name for parameter in self.parameters if parameter.applies(point)}
        return set(point) == wanted and all(
            _inside(parameter, point[parameter.name]) for parameter in self.parameters if parameter.name in point
        )

    def settings(self, base: TrainSettings, point: Mapping[str, Value]) -> TrainSettings:
        """Settings of a fit at a point: `base` with the point's values in place. Raises ConfigError for bad values."""
        content = base.model_dump()
        for name, value in point.items():
            *groups, last = name.split(".")
            place = content
            for group in groups:
                place = place[group]
            place[last] = value
        try:
            return TrainSettings.model_validate(content)
        except ValidationError as error:
            detail = error.errors()[0]
            where = ".".join(map(str, detail["loc"]))
            raise ConfigError(f"{where}: {detail['msg'][0].lower()}{detail['msg'][1:]}") from None

    def describe(self) -> list[dict]:
        """One plain dict a parameter, for records and pages."""
        return [
            {
                "name": parameter.name,
                "choices": list(parameter.choices),
                "low": parameter.low,
                "high": parameter.high,
                "log": parameter.log,
                "step": parameter.step,
                "whole": parameter.whole,
                "when": {name: list(values) for name, values in parameter.conditions.items()},
            }
            for parameter in self.parameters
        ]


def parse_space(parts: Sequence[tuple[Document, tuple[str, ...], Mapping]], base: TrainSettings) -> SearchSpace:
    """The union of the spaces of several files; a later one replaces an entry of an earlier one.

    parts: (file, path of the mapping in it, the mapping). base: settings of everything that is not searched.
    Raises ConfigError with file, line and field: unknown setting, empty range, log of zero, a value that the setting
    refuses, a condition on something that is not searched or never has that value, conditions in a circle.
    """
    entries: dict[str, tuple[Document, tuple, _Parameter]] = {}
    for document, path, content in parts:
        if not isinstance(content, Mapping):
            raise document.fault(path, "expected a mapping from settings to ranges")
        for name, entry in content.items():
            place = (*path, str(name))
            if not isinstance(entry, Mapping):
                raise document.fault(place, "expected {low: ..., high: ...} or {choice: [...]}")
            entries[str(name)] = (document, place, _parsed(document, place, entry))
    parameters = [
        _parameter(document, place, name, entry, entries, base) for name, (document, place, entry) in entries.items()
    ]
    return SearchSpace(_ordered(parameters, entries))


def _parsed(document: Document, place: tuple, entry: Mapping) -> _Parameter:
    try:
        return _Parameter.model_validate(dict(entry))
    except ValidationError as error:
        detail = error.errors()[0]
        inside = tuple(part for part in (*detail["loc"], detail["type"]) if part in entry)[:1]
        if detail["type"] == "extra_forbidden":
            known = list(_Parameter.model_fields)
            raise document.fault(
                (*place, *detail["loc"]), f"unknown key; {_hint(str(detail['loc'][-1]), known)}"
            ) from None
        raise document.fault((*place, *inside), detail["msg"].removeprefix("Value error, ")) from None


def _parameter(
    document: Document, place: tuple, name: str, entry: _Parameter, entries: Mapping, base: TrainSettings
) -> Parameter:
    kind = _setting_type(document, place, name)
    whole = int in kind and float not in kind and bool not in kind
    conditions = {
        other: tuple(allowed) if isinstance(allowed, list) else (allowed,) for other, allowed in entry.when.items()
    }
    for other, allowed in conditions.items():
        if other not in entries:
            raise document.fault((*place, "when", other), f"is not searched here; {_hint(other, list(entries))}")
        offered = entries[other][2].choice
        if offered is None:
            raise document.fault((*place, "when", other), "is a range; conditions need a setting with choices")
        if not any(value in offered for value in allowed):
            raise document.fault(
                (*place, "when", other), f"never is {_join(allowed)}; its choices are {_join(offered)}"
            )
    if entry.choice is not None:
        made = Parameter(name, choices=tuple(entry.choice), conditions=conditions)
        ends = entry.choice
    else:
        if not kind & {int, float}:
            raise document.fault(place, "is no number: give choice")
        if whole and any(value != int(value) for value in (entry.low, entry.high, entry.step or 1)):
            raise document.fault(place, "is a whole number: low, high and step must be whole")
        made = Parameter(
            name,
            low=entry.low,
            high=entry.high,
            log=entry.log,
            step=entry.step,
            whole=whole,
            conditions=conditions,
        )
        ends = [int(entry.low), int(entry.high)] if whole else [entry.low, entry.high]
    for value in ends:
        try:
            SearchSpace(()).settings(base, {name: value})
        except ConfigError as error:
            raise document.fault(place, f"{value!r} is refused: {error}") from None
    return made


def _setting_type(document: Document, place: tuple, name: str) -> set[type]:
    """The types that a setting takes. Raises where there is no such setting."""
    model: type[BaseModel] = TrainSettings
    *groups, last = name.split(".")
    for group in groups:
        annotation = model.model_fields[group].annotation if group in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            raise document.fault(place, f"unknown setting; {_hint(name, searchable())}")
        model = annotation
    if name in _NOT_SEARCHED or (name == "anchor"):
        raise document.fault(place, _NOT_SEARCHED.get(name, "name one of its settings: anchor.gamma"))
    if last not in model.model_fields:
        raise document.fault(place, f"unknown setting; {_hint(name, searchable())}")
    annotation = model.model_fields[last].annotation
    return set(get_args(annotation)) or {annotation}


def searchable() -> list[str]:
    """Every setting that a space may name."""
    found = []

    def collect(model: type[BaseModel], prefix: str) -> None:
        for name, info in model.model_fields.items():
            if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
                collect(info.annotation, f"{prefix}{name}.")
            elif prefix + name not in _NOT_SEARCHED:
                found.append(prefix + name)

    collect(TrainSettings, "")
    return found


def _ordered(parameters: list[Parameter], entries: Mapping) -> tuple[Parameter, ...]:
    ordered: list[Parameter] = []
    waiting = list(parameters)
    while waiting:
        there = {parameter.name for parameter in ordered}
        ready = [parameter for parameter in waiting if set(parameter.conditions) <= there]
        if not ready:
            document, place, _ = entries[waiting[0].name]
            raise document.fault(
                (*place, "when"), f"conditions in a circle: {', '.join(parameter.name for parameter in waiting)}"
            )
        ordered += ready
        waiting = [parameter for parameter in waiting if parameter not in ready]
    return tuple(ordered)


def _draw(parameter: Parameter, chooser: Chooser) -> Value:
    if parameter.choices:
        return chooser.suggest_categorical(parameter.name, parameter.choices)
    if parameter.whole:
        step = int(parameter.step or 1)
        return chooser.suggest_int(
            parameter.name, int(parameter.low), int(parameter.high), step=step, log=parameter.log
        )
    return chooser.suggest_float(parameter.name, parameter.low, parameter.high, step=parameter.step, log=parameter.log)


def _inside(parameter: Parameter, value: Value) -> bool:
    if parameter.choices:
        return value in parameter.choices
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and parameter.low <= value <= parameter.high
        and (not parameter.whole or value == int(value))
        and (not parameter.step or abs((value - parameter.low) / parameter.step % 1 - 0.5) > 0.5 - 1e-9)
    )


def _value_at(settings: TrainSettings, name: str) -> Value:
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _hint(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if not near:  # the last part alone, as in `gamma` for `anchor.gamma`
        near = [other for other in known if other.split(".")[-1] == name.split(".")[-1]][:1]
    return f"did you mean {near[0]!r}?" if near else f"known here: {_join(known)}"


def _join(values: Sequence) -> str:
    return ", ".join(map(str, values))
