"""The console script `agser`: one subcommand a stage, loaded when it is called, so that `--help` is quick."""

import importlib

import click

from agser_core import __version__

STAGES = {
    "sample": "Make the two generated corpora with a known answer.",
    "extract": "Decode clips, track mouths, set phone times, encode speech.",
    "cluster": "Cluster mouth movements into gestures with soft-DTW k-means.",
    "analyse": "Measure what the gestures of two corpora share.",
    "train": "Train one anchored model with Ray Train.",
    "evaluate": "Run directions x methods x seeds and compare.",
    "tune": "Search settings over all directions; name the winner.",
    "report": "Write the report as one HTML page.",
    "run": "All of the above from extract on, as one job.",
    "card": "Write a data card of every extracted corpus.",
    "export": "Write the trained model as a bundle to take away.",
    "predict": "Predict files with such a bundle.",
    "check": "Try every location from every node, compare versions.",
    "corpus": "Show what an adapter finds in a folder.",
    "settings": "Explain every key of an experiment file.",
}


class _Stages(click.Group):
    def list_commands(self, context: click.Context) -> list[str]:
        return list(STAGES)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in STAGES:
            return None
        return importlib.import_module(f"pipelines.{name}").main

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Stages, in the order of a run"):
            formatter.write_dl(list(STAGES.items()))


@click.group(cls=_Stages)
@click.version_option(__version__)
def main() -> None:
    """Mouth gestures as anchors for speech emotion recognition across corpora.

    Every stage reads one experiment file (the embedded sample's where none is given) and tables that earlier stages
    wrote, and writes tables. The same command again does only what is missing.

    \b
    agser extract                                        the sample
    agser extract -c my.yaml                             an experiment of yours
    agser cluster -c my.yaml cluster.n_clusters=8        with a key overridden
    """


if __name__ == "__main__":
    main()
