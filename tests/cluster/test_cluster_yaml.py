"""cluster.yaml is what `ray up` takes, closed to the world, and the image's."""

import copy
import json
import os
import re
import subprocess
from pathlib import Path

import boto3
import cfnlint.api
import cfnlint.decode.cfn_yaml
import jsonschema
import moto.ec2.models.instance_types
import pytest
import ray.autoscaler
from moto import mock_aws
from ray.autoscaler._private.commands import _bootstrap_config
from ray.autoscaler._private.providers import _get_node_provider
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
from ray.autoscaler.v2.utils import ResourceRequestUtil

import agser_core
from agser_core.experiment import RaySettings

ROOT = Path(__file__).parents[2]
WORKERS = {"cpu-spot", "cpu-on-demand", "gpu-spot", "gpu-on-demand"}


def test_the_launcher_file_passes_rays_own_checks(launcher_file):
    schema = json.loads((ROOT / ray.autoscaler.__path__[0] / "ray-schema.json").read_text())
    jsonschema.validate(launcher_file, schema)
    validate_config(prepare_config(copy.deepcopy(launcher_file)))


@pytest.mark.parametrize(
    "change",
    [
        {"head_node_type": "haed"},
        {"idle_timeout": 10},
        {"max_workers": "many"},
        {"provider": {}},
        {"docker": {"image": "agser:0.1.0", "container_name": "agser", "run_option": []}},
    ],
)
def test_those_checks_find_what_is_wrong(launcher_file, change):
    with pytest.raises((ValueError, KeyError, jsonschema.ValidationError)):
        validate_config(prepare_config({**copy.deepcopy(launcher_file), **change}))


def test_the_keys_of_google_cloud_pass_them_too(google_file):
    assert (
        google_file["provider"]["type"] == "gcp"
        and google_file["head_node_type"] in (google_file["available_node_types"])
    )
    validate_config(prepare_config(copy.deepcopy(google_file)))


def test_no_worker_is_kept_idle_and_nothing_is_installed_at_start(launcher_file):
    types = launcher_file["available_node_types"]
    assert set(types) == WORKERS | {"head"}
    assert all(types[name]["min_workers"] == 0 for name in WORKERS) and launcher_file["idle_timeout_minutes"] <= 15
    assert types["head"]["resources"] == {"CPU": 0}
    prepared = prepare_config(copy.deepcopy(launcher_file))
    assert prepared["setup_commands"] == prepared["head_setup_commands"] == prepared["worker_setup_commands"] == []


def test_the_image_is_this_versions_wherever_it_is_named(launcher_file):
    image = f"agser:{agser_core.__version__}"
    assert launcher_file["docker"]["image"] == image
    for file in ("cluster.yaml", "deploy/rayjob.yaml"):
        assert set(re.findall(r"agser:[\d.]+\d", (ROOT / file).read_text())) == {image}


def test_the_region_is_the_same_wherever_it_stands():
    for file in ("cluster.yaml", "deploy/rayjob.yaml"):
        text = (ROOT / file).read_text().split("# On Google Cloud")[0]
        assert set(re.findall(r"\b[a-z]{2}-[a-z]+-\d\b", text)) == {"us-west-2"}


def test_no_secret_stands_in_it():
    text = (ROOT / "cluster.yaml").read_text() + (ROOT / "deploy" / "aws.yaml").read_text()
    assert not re.search(r"AKIA|aws_(access|secret)|BEGIN [A-Z ]*KEY|password\s*:|[0-9a-f]{32}", text, re.I)


@pytest.fixture(scope="module")
def account(tmp_path_factory, launcher_file):
    """An AWS account after the one command of the docs: the stack of deploy/aws.yaml. Moto answers for AWS."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-west-2")
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        used = {entry["node_config"]["InstanceType"] for entry in launcher_file["available_node_types"].values()}
        types = moto.ec2.models.instance_types.INSTANCE_TYPES  # of which Ray asks for all, and moto takes long
        patch.setattr(moto.ec2.models.instance_types, "INSTANCE_TYPES", {name: types[name] for name in used})
        place = {"LocationConstraint": "us-west-2"}
        boto3.client("s3").create_bucket(Bucket="my-bucket", CreateBucketConfiguration=place)
        boto3.client("cloudformation").create_stack(
            StackName="agser",
            TemplateBody=(ROOT / "deploy" / "aws.yaml").read_text(),
            Parameters=[{"ParameterKey": "Bucket", "ParameterValue": "my-bucket"}],
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        yield boto3.client("ec2")


@pytest.fixture(scope="module")
def bootstrapped(account, launcher_file) -> dict:
    """What `ray up` makes of the file in that account: subnets, security group, key, the memory of each node type."""
    return _bootstrap_config(copy.deepcopy(launcher_file), no_config_cache=True)


def test_ray_up_launches_every_node_type_and_opens_no_port(account, bootstrapped):
    provider = _get_node_provider(bootstrapped["provider"], bootstrapped["cluster_name"], use_cache=False)
    for name, node_type in bootstrapped["available_node_types"].items():
        tags = {"ray-node-type": "worker", "ray-user-node-type": name, "ray-node-name": name, "ray-node-status": "new"}
        (node,) = provider.create_node(dict(node_type["node_config"]), {**tags, "ray-launch-config": ""}, 1)
        (instance,) = account.describe_instances(InstanceIds=[node])["Reservations"][0]["Instances"]
        assert instance["InstanceType"] == node_type["node_config"]["InstanceType"]
        assert (instance.get("InstanceLifecycle") == "spot") == name.endswith("spot")
        assert instance["IamInstanceProfile"]["Arn"].endswith("agser-head" if name == "head" else "agser-worker")
        assert [group["GroupName"] for group in instance["SecurityGroups"]] == ["agser"]
    groups = account.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["agser"]}])["SecurityGroups"]
    (group,) = groups
    rules = group["IpPermissions"]
    assert [pair["GroupId"] for rule in rules for pair in rule["UserIdGroupPairs"]] == [group["GroupId"]]
    assert all(not rule["IpRanges"] and not rule["Ipv6Ranges"] for rule in rules)


def test_the_roles_may_use_the_one_bucket_and_only_the_head_starts_nodes():
    stack = cfnlint.decode.cfn_yaml.load(ROOT / "deploy" / "aws.yaml")["Resources"]
    arn = "arn:${AWS::Partition}:s3:::${Bucket}"
    data = stack["Data"]["Properties"]["PolicyDocument"]["Statement"]
    assert [statement["Resource"]["Fn::Sub"] for statement in data] == [arn, f"{arn}/*"]
    head, worker = (stack[role]["Properties"] for role in ("HeadRole", "WorkerRole"))
    assert head["ManagedPolicyArns"] == worker["ManagedPolicyArns"] and "FullAccess" not in str(stack)
    assert "Policies" not in worker and [policy["PolicyName"] for policy in head["Policies"]] == ["autoscaling"]


def test_the_stack_passes_amazons_linter():
    faults = cfnlint.api.lint_file(ROOT / "deploy" / "aws.yaml", config=cfnlint.api.ManualArgs(regions=["us-west-2"]))
    assert [str(fault) for fault in faults] == []


def launched(config: dict, demand: dict, count: int, failed: tuple[str, ...] = ()) -> dict[str, int]:
    """The nodes that Ray's autoscaler starts for `count` tasks, where launches of some types failed of late."""
    types = AutoscalingConfig(config, skip_content_hash=True).get_node_type_configs()
    request = SchedulingRequest(
        disable_launch_config_check=True,
        node_type_configs=types,
        max_num_nodes=config["max_workers"],
        resource_requests=[ResourceRequestUtil.group_by_count([ResourceRequestUtil.make(demand)])[0]] * count,
        recoverable_resource_availabilities={name: 0.0 for name in failed},
    )
    reply = ResourceDemandScheduler().schedule(request)
    counts = {}
    for launch in reply.to_launch:
        counts[launch.instance_type] = counts.get(launch.instance_type, 0) + launch.count
    return counts


def test_the_autoscaler_prefers_spot_and_falls_back(bootstrapped):
    config = bootstrapped
    extraction = {"CPU": 1, "memory": RaySettings().extract_memory_gb * 2**30}
    assert launched(config, extraction, 96) == {"cpu-spot": 6}
    assert launched(config, extraction, 96, failed=("cpu-spot",)) == {"cpu-on-demand": 6}
    assert launched(config, {"CPU": 0.9, "GPU": 1}, 2) == {"gpu-spot": 2}
    assert launched(config, {"CPU": 0.9, "GPU": 1}, 2, failed=("gpu-spot",)) == {"gpu-on-demand": 2}
    assert sum(launched(config, extraction, 1000).values()) <= config["max_workers"]


def shell(command: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", "-c", command], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )


def test_the_image_is_pulled_from_the_accounts_own_registry(launcher_file, home, stub):
    stub("aws", prints="123456789012")
    stub("docker")
    (command,) = launcher_file["initialization_commands"]
    done = shell(command)
    assert done.returncode == 0, done.stderr
    registry, image = "123456789012.dkr.ecr.us-west-2.amazonaws.com", f"agser:{agser_core.__version__}"
    assert sorted(stub.calls()) == [
        "aws ecr get-login-password --region us-west-2",
        "aws sts get-caller-identity --query Account --output text",
        f"docker login --username AWS --password-stdin {registry}",
        f"docker pull {registry}/{image}",
        f"docker tag {registry}/{image} {image}",
    ]


def test_ssh_goes_through_session_manager_to_the_instance(launcher_file, home, stub):
    """Ray's own ssh, with the proxy command of the file: it must name the instance, not an address."""
    from ray.autoscaler._private.command_runner import SSHCommandRunner

    stub("aws")
    runner = SSHCommandRunner("", "i-0123456789abcdef0", None, launcher_file["auth"], "agser", subprocess, False)
    with pytest.raises(Exception, match="(?i)ssh|connection"):
        runner.run("uptime", timeout=5, exit_on_fail=False, silent=True)
    (call,) = set(stub.calls())
    assert call == (
        "aws ssm start-session --region us-west-2 --target i-0123456789abcdef0 "
        "--document-name AWS-StartSSHSession --parameters portNumber=22"
    )
