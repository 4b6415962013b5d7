"""Sample: render the generated corpora, clips in parallel as Ray tasks."""

import json
from collections import deque

from agser_core.corpora.sample.generate import render, video_file, write_manifest
from agser_core.corpora.sample.plan import STYLES, ClipSpec, plan
from agser_core.experiment import Experiment
from agser_core.fingerprint import code_version
from agser_core.storage import Location
from pipelines.progress import Progress
from pipelines.stage import say, stage_command

_CLIPS_AT_ONCE = 8  # of one speaker, whose face a worker invents once


def _render(specs: list[ClipSpec], folder: str) -> int:
    from pipelines.ray_session import limit_threads

    limit_threads()
    for spec in specs:
        render(spec, folder)
    return len(specs)


def run(experiment: Experiment) -> None:
    """Make the two generated corpora with a known answer.

    Two audiovisual corpora of invented speakers, as mp4 with a manifest; the truth (phone times, lips, gestures) lies
    beside them, for the report. The same settings make the same clips.
    """
    settings = experiment.sample
    folder = Location.parse(settings.folder)
    made = {**settings.model_dump(exclude={"folder"}), "code": code_version("corpora/sample")}
    mark = folder.join("made.json")
    if mark.exists() and json.loads(mark.read_text()) == made:
        say(f"sample: made before, nothing to do ({folder.uri})")
        return
    if mark.exists():
        mark.delete()  # from here on the folder holds clips of two kinds, until all are made anew
    specs = [spec for name in STYLES for spec in plan(name, settings.seed, settings.speakers, settings.sentences)]
    _render_all(experiment, specs, folder.uri)
    write_manifest(specs, folder.uri)
    mark.write_text(json.dumps(made))
    say(f"sample: {len(specs)} clips, such as {folder.join(specs[0].corpus, video_file(specs[0])).uri}")


def _render_all(experiment: Experiment, specs: list[ClipSpec], folder: str) -> None:
    import ray

    from pipelines.ray_session import cluster_cpus, ray_session

    groups = deque(specs[i : i + _CLIPS_AT_ONCE] for i in range(0, len(specs), _CLIPS_AT_ONCE))
    progress = Progress("sample", "clips", len(specs))
    with ray_session(experiment.ray):
        task, running = ray.remote(_render).options(num_cpus=1), []
        while groups or running:
            while groups and len(running) < 2 * cluster_cpus():
                running.append(task.remote(groups.popleft(), folder))
            finished, running = ray.wait(running)
            for rendered in ray.get(finished):
                progress.add(rendered)


main = stage_command("sample", "sample", "ray")(run)

if __name__ == "__main__":
    main()
