"""What every stage's command has in common: the experiment file, overrides, help, errors without a traceback."""

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click
from pydantic import BaseModel

from agser_core.errors import AgserError
from agser_core.experiment import Experiment, load_experiment

SAMPLE = Path(__file__).parents[1] / "tune_configs" / "experiments" / "sample.yaml"
EXIT_BUDGET, EXIT_ERROR = 1, 2


def stage_command(name: str, *groups: str, options: Sequence[Callable] = ()) -> Callable:
    """Turn a stage's `run(experiment)` into its command; the help is its docstring and the given groups of settings.

    options: of click, for what is not of the experiment; `run` gets them by name.

    The function returns the exit code: None or 0 where all went well, EXIT_BUDGET where more failed than allowed.
    """

    def decorate(function: Callable[..., int | None]) -> click.Command:
        @click.command(name, help=function.__doc__, epilog=_explain(groups))
        @click.option(
            "-c",
            "--config",
            default=str(SAMPLE),
            metavar="FILE",
            help="Experiment file. Default: the embedded sample's.",
        )
        @click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
        @functools.wraps(function)
        def command(config: str, overrides: tuple[str, ...], **given) -> None:
            try:
                sys.exit(function(load_experiment(config, overrides), **given))
            except AgserError as error:
                click.echo(f"error: {getattr(error, 'cause', error)}", err=True)  # without Ray's traceback of a task
                sys.exit(EXIT_ERROR)

        return functools.reduce(lambda made, option: option(made), options, command)

    return decorate


def say(message: str) -> None:
    """One line for whoever watches: at once, also through a pipe or a job log."""
    click.echo(message)
    sys.stdout.flush()


def _explain(groups: tuple[str, ...]) -> str:
    lines = ["\b", "Settings of this stage (key = default):"]
    for group in groups:
        lines += describe(Experiment.model_fields[group].annotation, group)
    return "\n".join(lines)


def describe(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Lines `key = default  what it is` of a group of settings and the groups in it."""
    lines = []
    for name, field in model.model_fields.items():
        key = f"{prefix}.{name}" if prefix else name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            lines += describe(field.annotation, key)
            continue
        default = "(required)" if field.is_required() else field.get_default(call_default_factory=True)
        lines.append(f"  {key} = {default}" + (f"  {field.description}" if field.description else ""))
    return lines
