"""The marks of a study on S3."""

import pandas as pd
import pyarrow as pa

from agser_core.tables import write_parquet
from agser_core.tuning.record import TrialRecord, TrialStore


def test_marks_and_predictions_come_back(bucket):
    store = TrialStore(bucket)
    assert store.read() == ({}, {})
    for number in range(3):
        store.asked(number, {"epochs": number, "method": "ag"})
    curve = [{"epoch": 1, "score": 0.5, "dev_uar": 0.5, "by_direction": {"a->b": 0.5}, "seconds": 1.0}]
    record = TrialRecord(1, {"epochs": 1, "method": "ag"}, "finished", curve, tries=["worker lost"])
    frame = pd.DataFrame({"clip_id": ["x", "y"], "probability_anger": [0.25, 0.75]})
    write_parquet(pa.Table.from_pandas(frame, preserve_index=False), store.predictions_at(1))
    store.commit(record)
    ended, waiting = TrialStore(bucket).read()
    assert ended == {1: record} and waiting == {0: {"epochs": 0, "method": "ag"}, 2: {"epochs": 2, "method": "ag"}}
    assert store.predictions(1).equals(frame)
