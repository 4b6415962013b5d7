"""The image is the lock's, the manifest runs what `make submit` runs, and the files' commands start a cluster."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import agser_core
from agser_core.experiment import load_experiment
from pipelines.submit import entrypoint

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M))


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_linter_has_nothing_to_say():
    linter = Path(sys.executable).with_name("hadolint")
    linted = subprocess.run([linter, ROOT / "Dockerfile"], capture_output=True, text=True)
    assert linted.returncode == 0, linted.stdout


def test_every_dependency_of_the_image_is_pinned_by_the_lock():
    pinned = {normal(name) for name in PINS} | {"torch"}
    wanted = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["sample"] + ["boto3"]
    assert {normal(Requirement(line).name) for line in wanted} <= pinned
    assert '-c constraints.txt -e ".[sample]" boto3' in DOCKERFILE
    (torch,) = re.findall(r"torch==(\S+)", DOCKERFILE)
    (wanted,) = [Requirement(line) for line in PROJECT["dependencies"] if line.startswith("torch")]
    assert torch in wanted.specifier and importlib.metadata.version("torch").split("+")[0] == torch


def test_what_is_installed_here_is_what_the_lock_pins():
    """The tests ran with the versions that the image gets."""
    for requirement in map(Requirement, PROJECT["dependencies"]):
        if requirement.name != "torch":
            pin = {normal(name): version for name, version in PINS.items()}[normal(requirement.name)]
            assert importlib.metadata.version(requirement.name) == pin and pin in requirement.specifier


def test_everything_the_dockerfile_copies_is_let_through():
    copied = {name for line in re.findall(r"^COPY --\S+ (.*)", DOCKERFILE, re.M) for name in line.split()[:-1]}
    let_through = set(re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.M))
    assert copied == let_through and all((ROOT / name).exists() for name in copied)


@pytest.fixture(scope="module")
def job() -> dict:
    (job,) = [d for d in yaml.safe_load_all((ROOT / "deploy" / "rayjob.yaml").read_text()) if d["kind"] == "RayJob"]
    return job


def test_the_manifest_runs_what_make_submit_runs(job):
    command = job["spec"]["entrypoint"].split()
    config, overrides = command[5], tuple(command[6:])
    assert command == entrypoint("run", config, overrides)
    experiment = load_experiment(str(ROOT / config), overrides)
    assert experiment.output.startswith("s3://") and all(
        c.path.startswith("s3://") for c in experiment.corpora.values()
    )


def test_the_manifest_is_of_the_form_that_kuberay_reads(job):
    """By KubeRay's reference of ray.io/v1; a cluster of Kubernetes would be needed for more."""
    assert job["apiVersion"] == "ray.io/v1"
    cluster = job["spec"]["rayClusterSpec"]
    assert set(job["spec"]) == {
        "entrypoint",
        "backoffLimit",
        "shutdownAfterJobFinishes",
        "ttlSecondsAfterFinished",
        "rayClusterSpec",
    }
    assert cluster["rayVersion"] == PINS["ray"] and cluster["authOptions"] == {"mode": "token"}
    assert cluster["enableInTreeAutoscaling"] and cluster["autoscalerOptions"]["version"] == "v2"
    groups = {group["groupName"]: group for group in cluster["workerGroupSpecs"]}
    assert all(group["minReplicas"] == group["replicas"] == 0 < group["maxReplicas"] for group in groups.values())
    assert all(isinstance(v, str) for v in cluster["headGroupSpec"]["rayStartParams"].values())
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    for pod in [cluster["headGroupSpec"], *groups.values()]:
        (container,) = pod["template"]["spec"]["containers"]
        assert container["image"] == f"agser:{agser_core.__version__}"
        assert container["resources"]["requests"] == container["resources"]["limits"]  # else Ray counts the node's CPUs


def test_the_manifest_asks_for_the_nodes_of_the_launcher_file(job, launcher_file):
    types = launcher_file["available_node_types"]
    for group in job["spec"]["rayClusterSpec"]["workerGroupSpecs"]:
        resources = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        twin = types[f"{group['groupName']}-spot"]
        assert int(resources["cpu"]) == twin["resources"]["CPU"] and group["maxReplicas"] == twin["max_workers"]
        assert int(resources.get("nvidia.com/gpu", 0)) == twin["resources"].get("GPU", 0)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="`ray stop` needs processes of its own")
def test_the_start_commands_of_both_node_types_make_a_cluster(launcher_file, home, short_folder):
    """Head and worker on one machine, in an empty environment, alone in their process and network space."""
    (home / "ray_bootstrap_config.yaml").write_text(yaml.safe_dump(launcher_file))
    head, worker = launcher_file["head_start_ray_commands"], launcher_file["worker_start_ray_commands"][1:]
    count = "import ray; ray.init('auto', log_to_driver=False); print('nodes', sum(n['Alive'] for n in ray.nodes()))"
    script = " && ".join(["ip link set lo up", *head, *worker, f'python -c "{count}"', "ray stop"])
    environment = {
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin",
        "RAY_AUTH_MODE": "token",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_HEAD_IP": "127.0.0.1",
        "RAY_TMPDIR": short_folder,
        "LANG": "C.UTF-8",
    }
    apart = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--net", "bash", "-c", script]
    done = subprocess.run(apart, env=environment, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0 and "nodes 2" in done.stdout, f"{done.stdout}\n{done.stderr}"
