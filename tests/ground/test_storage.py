import pytest

from agser_core.errors import StorageError
from agser_core.storage import Location


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


def test_uris():
    location = Location.parse("s3://bucket/prefix/")
    assert (location.join("x", "y.parquet").path, location.is_local) == ("bucket/prefix/x/y.parquet", False)
    assert location.join("x").parent == location
    with pytest.raises(StorageError, match="gs://bucket"):
        Location.parse("gs://bucket")


def test_a_missing_file_is_named():
    with pytest.raises(StorageError, match="/no/such/file"):
        Location.parse("/no/such/file").read_bytes()
