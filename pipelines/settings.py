"""Explain every key of an experiment file."""

import click

from agser_core.experiment import CorpusSettings, Experiment
from pipelines.stage import describe


@click.command("settings")
def main() -> None:
    """Every key of an experiment file, with its default and what it means."""
    click.echo(
        "\n".join(describe(Experiment) + ["Each corpus of corpora.NAME:"] + describe(CorpusSettings, "corpora.NAME"))
    )


if __name__ == "__main__":
    main()
