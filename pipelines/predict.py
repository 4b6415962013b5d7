"""Predict: a bundle and files to labels, in this process for a few files, by Ray Data for many."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import json
import sys
from collections.abc import Iterator

import click

from agser_core.bundle.inputs import Item, find_items
from agser_core.bundle.rows import FORMATS
from agser_core.errors import AgserError
from agser_core.storage import Location
from pipelines.stage import EXIT_BUDGET, EXIT_ERROR, say

_FEW = 200  # files that are predicted in this process: starting Ray takes as long
_FILES_PER_UNIT = 50  # that are committed together


@dataclasses.dataclass(frozen=True)
class Request:
    """What is asked of every file. encoder, like, enrol: as `load_model` and `Model.enrolled` take them."""

    bundle: str
    encoder: str | None
    like: str | None
    enrol: tuple[str, ...]
    embedding: bool
    emphasis: bool

    def load(self):
        """The model, with the statistics of the enrolled clips, and what a row tells."""
        from agser_core.bundle.model import load_model
        from agser_core.bundle.rows import Wanted, read_waveforms

        model = load_model(self.bundle, encoder=self.encoder, like=self.like)
        if self.enrol:
            model = model.enrolled(list(read_waveforms(find_items(self.enrol))))
        return model, Wanted(self.embedding, self.emphasis)


class UnitPredictor:
    """A Ray Data actor: predicts units of files and writes each one's rows; the file of a unit is its commit mark."""

    def __init__(self, request: Request, folder: str):
        import torch

        from pipelines.ray_session import limit_threads

        limit_threads()
        torch.set_num_threads(1)
        (self.model, self.wanted), self.folder = request.load(), Location(folder)

    def __call__(self, row: dict) -> dict:
        from agser_core.bundle.rows import predict_item, write_rows

        items = [Item(**item) for item in json.loads(row["items"])]
        rows = [predict_item(self.model, item, self.wanted) for item in items]
        write_rows(rows, "parquet", self.model.classes, self.wanted, self.folder.join(f"{row['unit']}.parquet"))
        return {"done": len(rows), "failed": sum(row["error"] is not None for row in rows)}


@click.command("predict")
@click.argument("bundle")
@click.argument("files", nargs=-1, required=True)
@click.option("--format", "kind", type=click.Choice(FORMATS), default="table", help="Of the rows. Default: table.")
@click.option("--output", metavar="FILE", help="Where the rows go, local or s3://. Default: printed.")
@click.option("--phones", "emphasis", is_flag=True, help="Tell how much each phone counted.")
@click.option("--embedding", is_flag=True, help="Tell the clip's vector.")
@click.option("--transcript", metavar="TEXT", help="What is said, for a single file.")
@click.option("--language", default="en", metavar="CODE", help="Of the transcript, ISO 639-1. Default: en.")
@click.option("--enrol", multiple=True, metavar="FILES", help="Clips of the same speaker or room, to be normalised by.")
@click.option("--like", metavar="CORPUS", help="Normalise as this corpus of the bundle. Default: its target.")
@click.option("--encoder", metavar="PATH", help="Where the encoder's weights lie here.")
@click.option("--ray/--no-ray", "by_ray", default=None, help=f"Default: Ray for more than {_FEW} files.")
@click.option("--address", help="A running Ray cluster. Default: RAY_ADDRESS, or one started here.")
def main(bundle, files, kind, output, emphasis, embedding, transcript, language, enrol, like, encoder, by_ray, address):
    """Predict the emotion of FILES with a BUNDLE that `agser export` wrote.

    FILES are sound or video files, folders of them, and tables (CSV, Parquet) with a column `file` and, where known,
    `transcript`, `language` and `phones` (a TextGrid); local or on s3://. With a transcript or a TextGrid the network
    hears aligned phones, without one windows as long as a median phone: the column `phones` says which.

    A file that can't be predicted becomes a row with its error; the exit code is then 1. Many files go through Ray; the
    same command after a crash goes on where it stopped.
    """
    try:
        items = find_items(files)
        if transcript:
            if len(items) != 1:
                raise AgserError("--transcript is of one file; give a table with a column 'transcript' for several")
            items = [dataclasses.replace(items[0], transcript=transcript, language=language)]
        request = Request(str(Location.parse(bundle).uri), encoder, like, enrol, embedding, emphasis)
        many = len(items) > _FEW if by_ray is None else by_ray
        failed = _on_ray(request, items, kind, output, address) if many else _here(request, items, kind, output)
        sys.exit(EXIT_BUDGET if failed else 0)
    except AgserError as error:
        click.echo(f"error: {getattr(error, 'cause', error)}", err=True)
        sys.exit(EXIT_ERROR)


def _here(request: Request, items: list[Item], kind: str, output: str | None) -> int:
    """Predict in this process; returns how many files failed."""
    from agser_core.bundle.rows import predict_item

    with _loaded_to_stay():
        model, wanted = request.load()
    _warn(model.differences)
    failed = 0

    def rows() -> Iterator[dict]:
        nonlocal failed
        for item in items:
            row = predict_item(model, item, wanted)
            failed += row["error"] is not None
            yield row

    _deliver(rows(), kind, output, model.classes, wanted)
    return failed


@contextlib.contextmanager
def _loaded_to_stay() -> Iterator[None]:
    """What is loaded here stays until the process ends: the garbage collector need not walk through it, neither now
    nor at the end. Of 3.2 s for one file that saves 1.2."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _on_ray(request: Request, items: list[Item], kind: str, output: str | None, address: str | None) -> int:
    """Predict units of files as rows of Ray Data, each committed by itself, then join them in the given order.

    A unit is named by its rows, by the files in them and those enrolled as they are (local ones), by the bundle and by
    the code: what a crash left counts where all of that is the same. The model is loaded here too, so that what is
    wrong with the request shows before Ray starts.
    """
    if output is None:
        raise AgserError(f"for {len(items)} files name --output FILE, so that a crash loses nothing; or give --no-ray")
    from agser_core.fingerprint import code_version, fingerprint

    model, wanted = request.load()
    _warn(model.differences)
    facts, target = model.facts, Location.parse(output)
    identity = {
        **dataclasses.asdict(request),
        "files": facts.files,
        "created": facts.created,
        "code": code_version("bundle/model", "bundle/rows"),
        "enrolled": [Location(item.uri).stamp() for item in find_items(request.enrol)] if request.enrol else [],
    }
    work = Location(f"{target.uri}.work").join(fingerprint(identity))
    groups = [items[start : start + _FILES_PER_UNIT] for start in range(0, len(items), _FILES_PER_UNIT)]
    units = [_unit(number, group) for number, group in enumerate(groups)]
    there = {file.name for file in work.list()}
    todo = [unit for unit in units if f"{unit['unit']}.parquet" not in there]
    if todo:
        _predict_missing(request, todo, len(items), work, address)
    failed = 0

    def rows() -> Iterator[dict]:
        nonlocal failed
        for row in _joined(work, units, facts.classes):
            failed += row["error"] is not None
            yield row

    _deliver(rows(), kind, output, facts.classes, wanted)
    work.parent.filesystem.delete_dir(work.parent.path)
    return failed


def _unit(number: int, items: list[Item]) -> dict:
    from agser_core.fingerprint import fingerprint

    stamps = [Location(uri).stamp() for item in items for uri in (item.uri, item.phones_uri) if uri]
    text = json.dumps([dataclasses.asdict(item) for item in items])
    return {"unit": fingerprint([number, text, stamps]), "items": text}


def _predict_missing(request: Request, todo: list[dict], total: int, work: Location, address: str | None) -> None:
    import ray.data

    from agser_core.experiment import RaySettings
    from pipelines.progress import Progress
    from pipelines.ray_session import cluster_cpus, ray_session

    left = sum(len(json.loads(unit["items"])) for unit in todo)
    progress = Progress("predict", "files", total, already=total - left)
    with ray_session(RaySettings(address=address)):
        workers = min(cluster_cpus(), len(todo))
        results = ray.data.from_items(todo, override_num_blocks=min(len(todo), 32 * workers)).map(
            UnitPredictor,
            fn_constructor_kwargs={"request": request, "folder": work.uri},
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=1,
        )
        for row in results.iter_rows():
            progress.add(row["done"], row["failed"])


def _joined(work: Location, units: list[dict], classes: list[str]) -> Iterator[dict]:
    from agser_core.bundle.rows import nested
    from agser_core.tables import read_parquet

    for unit in units:
        for row in read_parquet([work.join(f"{unit['unit']}.parquet")]).to_pylist():
            yield nested(row, classes)


def _deliver(rows: Iterator[dict], kind: str, output: str | None, classes: list[str], wanted) -> None:
    from agser_core.bundle.rows import json_lines, text_lines, write_rows

    if output is not None:
        write_rows(rows, kind, classes, wanted, Location.parse(output))
        say(f"predict: {Location.parse(output).uri}")
        return
    if kind == "parquet":
        raise AgserError("Parquet can't be printed: name --output FILE")
    for line in json_lines(rows) if kind == "jsonl" else text_lines(rows, classes):
        say(line)


def _warn(differences: tuple[str, ...]) -> None:
    for difference in differences:
        click.echo(f"note: {difference}", err=True)


if __name__ == "__main__":
    main()
