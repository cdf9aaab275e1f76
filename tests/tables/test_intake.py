"""The driver commits what receipts promise, and nothing that they do not."""

from __future__ import annotations

import pytest

from videoproc.tables.intake import Intake


@pytest.fixture
def intake(table, dataset):
    return Intake(tables={"numbers": table}, dataset=dataset, recipe_id="r")


def receipt(shard=None, *, failures=(), **seconds):
    shards = [] if shard is None else [vars(shard) | {"table": "numbers"}]
    return {
        "num_rows": shard.num_rows if shard else 0,
        "bytes_fetched": 7,
        "shards": shards,
        "failures": list(failures),
        "seconds": [{"step": step, "seconds": value} for step, value in seconds.items()],
    }


FAILURE = {
    "video_id": "v",
    "uri": "v.mp4",
    "stage": "decode",
    "error_class": "Crash",
    "message": "SIGSEGV",
}


def take(intake, receipts):
    for _ in intake.take(receipts):
        pass


def test_bytes_fetched_add_up(intake):
    take(intake, [receipt(), receipt()])
    assert intake.bytes_fetched == 14


def test_shards_of_receipts_come_into_their_table(intake, table, shard_of):
    take(intake, [receipt(shard_of(table, "a", "b")), receipt(shard_of(table, "c"))])
    assert table.keys() == {"a", "b", "c"}
    assert (intake.num_rows, intake.committed["numbers"]) == (3, 3)


def test_what_was_in_already_is_not_counted_as_committed(intake, table, shard_of):
    table.append([shard_of(table, "a")])
    take(intake, [receipt(shard_of(table, "a", "b"))])
    assert intake.committed["numbers"] == 1


def test_failures_go_into_quarantine_and_are_counted_by_class(intake, dataset):
    take(intake, [receipt(failures=[FAILURE]), receipt(failures=[FAILURE | {"video_id": "w"}])])
    rows = dataset.quarantine.read().to_pylist()
    assert {(row["video_id"], row["recipe_id"]) for row in rows} == {("v", "r"), ("w", "r")}
    assert intake.failures == {"Crash": 2}


def test_seconds_add_up_by_step(intake, table, shard_of):
    take(intake, [receipt(shard_of(table, "a"), decode=1.0), receipt(decode=2.0, write=0.5)])
    assert (intake.seconds["decode"], intake.seconds["write"]) == (3.0, 0.5)


def test_rows_come_in_while_others_are_still_made(intake, table, shard_of):
    intake.commit_every_s = 0.0
    receipts = intake.take(receipt(shard_of(table, name)) for name in "abc")
    next(receipts)
    assert table.keys() == {"a"}


def test_what_was_done_before_a_bug_is_kept(intake, table, shard_of):
    def receipts():
        yield receipt(shard_of(table, "a"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        take(intake, receipts())
    assert table.keys() == {"a"}
