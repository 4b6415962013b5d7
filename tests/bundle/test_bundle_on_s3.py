"""Bundle, clips and output on S3."""

import json

import boto3
import pytest
import soundfile
from click.testing import CliRunner
from moto.server import ThreadedMotoServer

from agser_core import storage
from agser_core.bundle.files import CARD, WEIGHTS
from pipelines import cli


@pytest.fixture
def bucket(monkeypatch):
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    values = {"ENDPOINT_URL": f"http://{host}:{port}", "REGION": "us-east-1", "EC2_METADATA_DISABLED": "true"}
    for name, value in {**values, "ACCESS_KEY_ID": "anyone", "SECRET_ACCESS_KEY": "anything"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    storage._filesystem.cache_clear()
    client = boto3.client("s3", endpoint_url=values["ENDPOINT_URL"], region_name="us-east-1")
    client.create_bucket(Bucket="clips")
    yield client
    server.stop()
    storage._filesystem.cache_clear()


def test_everything_may_lie_on_s3(bucket, write, speech, tmp_path):
    path = write()
    for name in ("bundle.json", WEIGHTS, CARD):
        bucket.upload_file(f"{path}/{name}", "clips", f"model/{name}")
    soundfile.write(tmp_path / "good.wav", speech, 16000)
    bucket.upload_file(str(tmp_path / "good.wav"), "clips", "in/good.wav")
    asked = ["predict", "s3://clips/model", "s3://clips/in", "s3://clips/gone.wav", "--format", "jsonl"]
    result = CliRunner().invoke(cli.main, [*asked, "--output", "s3://clips/out.jsonl"])
    assert result.exit_code == 1, result.output
    text = bucket.get_object(Bucket="clips", Key="out.jsonl")["Body"].read().decode()
    good, gone = (json.loads(line) for line in text.splitlines())
    assert good["file"] == "s3://clips/in/good.wav" and good["error"] is None
    assert "no object s3://clips/gone.wav" in gone["error"]
    local = CliRunner().invoke(cli.main, ["predict", path, str(tmp_path / "good.wav"), "--format", "jsonl"])
    assert json.loads(local.stdout)["probabilities"] == good["probabilities"]
