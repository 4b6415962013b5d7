import subprocess
import sys

import pytest

from agser_core.errors import StorageError
from agser_core.storage import Location
from agser_core.storage_faults import explain, insist


def test_local_round_trip_and_listing(tmp_path):
    root = Location.parse(tmp_path)
    root.join("a", "one.txt").write_text("1")
    root.join("a", "b", "two.txt").write_text("2")
    assert [file.name for file in root.join("a").list()] == ["one.txt"]
    assert [file.name for file in root.join("a").list(recursive=True)] == ["two.txt", "one.txt"]
    assert [folder.name for folder in root.join("a").folders()] == ["b"]
    assert root.join("a", "one.txt").read_text() == "1"
    assert root.join("a").is_folder() and not root.join("c").exists()
    assert root.join("c").list() == []


def test_a_failed_write_leaves_the_old_content_and_no_other_file(tmp_path, monkeypatch):
    file = Location.parse(tmp_path / "table")
    file.write_bytes(b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="No space left on device"):
        file.write_bytes(b"new")
    assert file.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["table"]


def test_what_a_killed_writer_left_is_not_listed(tmp_path):
    program = (
        "import os, sys; from agser_core.storage import Location;"
        "os.fsync = lambda _: os.kill(os.getpid(), 9);"
        "Location.parse(sys.argv[1]).join('unit.json').write_text('{}')"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)]).returncode == -9
    (tmp_path / ".clip.wav").write_text("hidden, but whole")
    assert len(list(tmp_path.iterdir())) == 2
    assert [file.name for file in Location.parse(tmp_path).list()] == [".clip.wav"]


def test_uris():
    location = Location.parse("s3://bucket/prefix/")
    assert (location.join("x", "y.parquet").path, location.is_local) == ("bucket/prefix/x/y.parquet", False)
    assert location.join("x").parent == location
    with pytest.raises(StorageError, match="gs://bucket"):
        Location.parse("gs://bucket")


def test_a_missing_file_is_named():
    with pytest.raises(StorageError, match="/no/such/file"):
        Location.parse("/no/such/file").read_bytes()


@pytest.mark.parametrize(
    "message, kind, passing",
    [
        ("AWS Error EXPIRED_TOKEN during PutObject operation: The provided token has expired.", "expired", False),
        ("AWS Error ACCESS_DENIED during HeadObject operation: No response body.", "denied", False),
        ("AWS Error INVALID_ACCESS_KEY_ID during ListObjectsV2 operation: not in our records", "denied", False),
        ("AWS Error UNKNOWN (HTTP status 301) during HeadObject operation", "wrong region", False),
        ("AWS Error UNKNOWN (HTTP status 400) AuthorizationHeaderMalformed: region", "wrong region", False),
        ("AWS Error SLOW_DOWN during ListObjectsV2 operation: reduce your rate", "throttled", True),
        ("AWS Error UNKNOWN (HTTP status 503) during HeadObject operation", "throttled", True),
        ("AWS Error INTERNAL_FAILURE during GetObject operation", "broken on its side", True),
        ("AWS Error NETWORK_CONNECTION during ListObjectsV2: curlCode: 7, Couldn't connect", "unreachable", True),
    ],
)
def test_refusals_are_told_apart(message, kind, passing):
    fault = explain(OSError(message))
    assert (fault.kind, fault.passing) == (kind, passing)


def test_what_may_pass_is_tried_again_and_the_rest_is_not(monkeypatch):
    waited, calls = [], []
    monkeypatch.setattr("time.sleep", waited.append)

    def fails(error: OSError, times: int):
        calls.append(error)
        if len(calls) <= times:
            raise error
        return "done"

    assert insist(lambda: fails(OSError(5, "Input/output error"), 3), "read", "x") == "done"
    assert waited == [0.5, 1, 2]
    calls.clear()
    with pytest.raises(StorageError, match="could not read x, denied"):
        insist(lambda: fails(PermissionError(13, "Permission denied"), 1), "read", "x")
    assert len(calls) == 1 and len(waited) == 3
