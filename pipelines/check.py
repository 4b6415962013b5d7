"""Check: can every node reach every location of the experiment, and do all run the same versions?"""

import uuid
from collections.abc import Callable
from importlib.metadata import version

from agser_core import __version__
from agser_core.errors import StorageError
from agser_core.experiment import Experiment
from agser_core.speech.encoder import encoder_folder
from agser_core.storage import Location
from pipelines.stage import EXIT_ERROR, say, stage_command

PACKAGES = ("ray", "numpy", "pyarrow", "torch", "transformers", "mediapipe", "av")


def locations(experiment: Experiment) -> dict[str, bool]:
    """Every location of an experiment, and whether it is written to."""
    found = {Location.parse(corpus.path).uri: False for corpus in experiment.corpora.values()}
    encoder = encoder_folder(experiment.extract.speech.encoder)
    for place in (experiment.extract.mouth.openface_folder, experiment.extract.phones.dictionary, encoder):
        if place:
            found[Location.parse(place).uri] = False
    return {**found, Location.parse(experiment.output).uri: True}


def try_location(uri: str, written: bool) -> dict[str, str]:
    """What came of each action on a location: "ok", or what was refused and what to do about it.

    An output is tried with a small file that is removed again. An input is listed, and its first file read.
    """
    place = Location.parse(uri)
    if written:
        probe = place.join(f".agser-check-{uuid.uuid4().hex}")
        actions: dict[str, Callable[[], object]] = {
            "write": lambda: probe.write_text("agser"),
            "list": place.list,
            "read": probe.read_bytes,
            "delete": probe.delete,
        }
    else:
        actions = {"list": lambda: _first_file(place), "read": lambda: _first_file(place).read_start()}
    return {name: _tried(action) for name, action in actions.items()}


def _first_file(place: Location) -> Location:
    """The location itself where it is a file, else the first file found below it, folder by folder."""
    if not place.is_folder():
        if not place.exists():
            raise StorageError(f"there is nothing at {place.uri}: correct the path, or fetch the corpus")
        return place
    folders = [place]
    while folders:
        folder = folders.pop(0)
        if files := folder.list():
            return files[0]
        folders += folder.folders()
    raise StorageError(f"there is no file below {place.uri}")


def _tried(action: Callable[[], object]) -> str:
    try:
        action()
    except StorageError as error:
        return str(error)
    return "ok"


def check_node(places: dict[str, bool]) -> dict:
    """What one node finds: its versions, and the outcome of each action on each location."""
    import platform
    import socket

    versions = {"python": platform.python_version(), "agser": __version__, **{name: version(name) for name in PACKAGES}}
    tried = {uri: try_location(uri, written) for uri, written in places.items()}
    return {"host": socket.gethostname(), "versions": versions, "locations": tried}


def check_nodes(experiment: Experiment) -> dict[str, dict]:
    """`check_node` on every living node of the cluster, by node id. Ray must be connected."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
    task = ray.remote(num_cpus=0)(check_node)
    there = [task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)) for node in nodes]
    return dict(zip(nodes, ray.get([on_node.remote(locations(experiment)) for on_node in there]), strict=True))


def run(experiment: Experiment) -> int | None:
    """Try every location of the experiment from every node, and compare the nodes' versions.

    Lists and reads the corpora; writes, lists, reads and deletes a small file in the output. The exit code is 2 where
    anything is refused or versions differ.
    """
    from pipelines.ray_session import ray_session

    with ray_session(experiment.ray):
        found = check_nodes(experiment)
    faults = 0
    for node, result in found.items():
        say(f"node {node[:8]} ({result['host']}): " + ", ".join(f"{k} {v}" for k, v in result["versions"].items()))
        for uri, actions in result["locations"].items():
            say(
                f"  {uri}: "
                + ", ".join(f"{name} {'ok' if said == 'ok' else 'REFUSED'}" for name, said in actions.items())
            )
            refused = [said for said in actions.values() if said != "ok"]
            faults += len(refused)
            for said in dict.fromkeys(refused):
                say(f"    {said}")
    differing = _differing({node: result["versions"] for node, result in found.items()})
    for name, versions in differing.items():
        say(f"versions of {name} differ: {', '.join(versions)}: install the same on every node")
    if faults or differing:
        return EXIT_ERROR
    say(f"check: {len(found)} node{'s' * (len(found) > 1)}, {len(locations(experiment))} locations, all well")
    return None


def _differing(versions: dict[str, dict[str, str]]) -> dict[str, list[str]]:
    """The versions of each package that the nodes don't agree on."""
    names = {name for found in versions.values() for name in found}
    by_package = {name: sorted({found.get(name, "missing") for found in versions.values()}) for name in sorted(names)}
    return {name: found for name, found in by_package.items() if len(found) > 1}


main = stage_command("check", "ray")(run)

if __name__ == "__main__":
    main()
