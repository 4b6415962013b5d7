import pytest
from s3_server import BUCKET, Server

from agser_core import storage


@pytest.fixture(scope="module")
def server():
    """An S3 server on loopback with one bucket."""
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def sign_in(server, monkeypatch):
    """A function (key, secret, region=None) after which this process asks the server with that key."""

    def change(key: str = "anyone", secret: str = "anything", region: str | None = None) -> None:
        for name, value in server.environment(key, secret).items():
            monkeypatch.setenv(name, value)
        if region:
            monkeypatch.setenv("AWS_REGION", region)
        storage._filesystem.cache_clear()

    yield change
    server.refuse = server.every = 0
    server.mind_who_asks(False)
    storage._filesystem.cache_clear()


@pytest.fixture
def bucket(sign_in, request) -> storage.Location:
    """An empty folder on S3, one a test."""
    sign_in()
    return storage.Location.parse(f"s3://{BUCKET}/{request.node.name}")
