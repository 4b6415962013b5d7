"""Storage on S3: a round trip, overload, and refusals that say what to do."""

import pytest

from agser_core import storage_faults, tables
from agser_core.corpora.clip import Clip
from agser_core.errors import StorageError
from agser_core.experiment import Experiment, ExtractSettings
from agser_core.isolation import IsolatedExtractor
from agser_core.storage import Location
from pipelines.extract import plan_corpus


def test_round_trip(bucket):
    bucket.join("a", "one.txt").write_text("1")
    bucket.join("a", "b", "two.txt").write_text("2")
    assert [file.name for file in bucket.join("a").list()] == ["one.txt"]
    assert [file.name for file in bucket.list(recursive=True)] == ["two.txt", "one.txt"]
    assert [folder.name for folder in bucket.join("a").folders()] == ["b"]
    assert bucket.join("a").is_folder() and bucket.join("a", "one.txt").size() == 1
    with bucket.join("a", "one.txt").local_copy() as path:
        assert open(path).read() == "1"
    bucket.join("a", "one.txt").delete()
    assert not bucket.join("a", "one.txt").exists() and bucket.join("nothing").list() == []


def test_a_table_survives_overload(bucket, server):
    """More refusals in a row than the S3 client tries by itself."""
    table = tables.from_rows([{"clip_id": "a", "reason": "r"}], tables.ERRORS)
    server.refuse, refused = 5, server.refused
    tables.write_parquet(table, bucket.join("errors.parquet"))
    server.refuse = 5
    assert tables.read_parquet([bucket.join("errors.parquet")]).equals(table)
    assert server.refused == refused + 10


def test_overload_that_lasts_ends_with_a_message(bucket, server, monkeypatch):
    monkeypatch.setattr(storage_faults, "WAITS", (0.01,))
    server.refuse = 1000
    with pytest.raises(StorageError, match=r"could not list s3://.*2 times, throttled: .*Remedy: use fewer workers"):
        bucket.list()


def test_a_revoked_key(bucket, server, sign_in):
    bucket.join("before.txt").write_text("1")
    key, secret = server.new_key()
    server.mind_who_asks()
    sign_in(key, secret)
    bucket.join("allowed.txt").write_text("1")
    server.delete_key(key, key, secret)
    for action in (bucket.list, lambda: bucket.join("new.txt").write_text("2")):
        with pytest.raises(StorageError, match=r"denied: .*Remedy: the access key is unknown, revoked"):
            action()
    with pytest.raises(StorageError, match=r"denied: .*Remedy: are the credentials right"):
        bucket.join("before.txt").read_bytes()  # S3 gives no reason here


def test_a_bucket_that_does_not_exist(sign_in):
    sign_in()
    with pytest.raises(StorageError, match="no such bucket: .*Remedy: create the bucket"):
        Location.parse("s3://nobody-made-this/x").write_text("1")


def test_a_clip_on_storage_that_refuses_ends_the_stage_and_one_that_is_gone_does_not(bucket, server, sign_in):
    sign_in()
    clip = Clip("a", "test", "test-anna", bucket.join("a.wav").uri, transcript="hello")
    extractor = IsolatedExtractor(ExtractSettings())
    (row,) = extractor.extract([clip]).errors.to_pylist()
    extractor.close()
    assert (row["step"], row["reason"]) == ("read", f"there is no file {clip.audio_uri}")
    server.mind_who_asks()
    extractor = IsolatedExtractor(ExtractSettings())
    with pytest.raises(StorageError, match=r"could not .* s3://.*/a.wav, denied"):
        extractor.extract([clip])
    extractor.close()


@pytest.mark.parametrize("count", [3, 60])
def test_planning_asks_as_often_for_many_clips_as_for_few(bucket, server, count):
    """Listings, one for each folder, and never a question a clip."""
    for i in range(count):
        bucket.join("media", f"{i}.wav").write_text("x")
    rows = "".join(f"media/{i}.wav,anna\n" for i in range(count))
    bucket.join("clips.csv").write_text(f"file,speaker\n{rows}")
    corpora = {"c": {"adapter": "manifest", "path": bucket.uri}}
    experiment, asked = Experiment(name="x", output=bucket.join("run").uri, corpora=corpora), server.seen
    plan = plan_corpus(experiment, "c")
    assert len(plan.corpus.clips) == count and server.seen - asked < 12
