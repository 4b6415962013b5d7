"""Corpus: what an adapter finds in a folder, before anything is extracted."""

import click

from agser_core import corpora
from agser_core.errors import AgserError, ClipError, ConfigError
from agser_core.storage import Location
from pipelines.stage import EXIT_ERROR, say


@click.command("corpus")
@click.argument("adapter")
@click.argument("path")
@click.argument("options", nargs=-1, metavar="[OPTION=VALUE]...")
@click.option("--hours", is_flag=True, help="Open every file for its length, too; that takes a while on S3.")
def main(adapter: str, path: str, options: tuple[str, ...], hours: bool) -> None:
    """Show what the adapter ADAPTER finds at PATH, which is a local folder or s3://bucket/prefix.

    Counts of clips, speakers, labels and folds, what is missing, and the files that can't be taken with the reason.

    \b
    agser corpus crema_d data/CREMA-D
    agser corpus ravdess s3://speech/ravdess modality=audio_visual
    """
    try:
        corpus = corpora.read(adapter, path, **dict(_option(option) for option in options))
        say(corpora.describe_text(corpus))
        if hours:
            say(f"  {'hours':18} {_hours(corpus)}")
    except AgserError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(EXIT_ERROR) from None


def _option(text: str) -> tuple[str, object]:
    from agser_core.experiment import override_value

    key, separator, value = text.partition("=")
    if not separator:
        raise ConfigError(f"option {text!r}: write it as option=value, for example modality=audio_visual")
    return key, override_value(text, value)


def _hours(corpus: corpora.Corpus) -> str:
    """Hours of media as the files declare them, and how many declare nothing."""
    from agser_core import media

    seconds, unreadable = 0.0, 0
    for clip in corpus.clips:
        try:
            with Location.parse(clip.audio_uri).local_copy() as path:
                seconds += media.probe(path).duration
        except ClipError:
            unreadable += 1
    return f"{seconds / 3600:.2f}" + (f", without {unreadable} files that can't be opened" if unreadable else "")


if __name__ == "__main__":
    main()
