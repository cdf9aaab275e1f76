"""What failed is written down, counted, left alone, and tried again when asked."""

from __future__ import annotations

import json

import av
import pytest

from videoproc.tables import quarantine
from videoproc.tables.quarantine import quarantine_id, quarantine_row


def failure(video_id="v", *, stage="decode", recipe_id="r", error_class="Crash", message="broken"):
    return quarantine_row(
        video_id=video_id,
        digest=f"digest of {video_id}",
        uri=f"/corpus/{video_id}.mp4",
        stage=stage,
        error_class=error_class,
        message=message,
        recipe_id=recipe_id,
    )


def id_of(video_id="v", *, stage="decode", recipe_id="r"):
    return quarantine_id(video_id, f"/corpus/{video_id}.mp4", stage, recipe_id)


@pytest.fixture
def table(dataset):
    return dataset.quarantine


def test_a_row_shows_no_signature_however_the_file_is_called():
    row = quarantine_row(
        video_id="v",
        digest="",
        uri="https://host/ann's video.mp4?key=2f",
        stage="index",
        error_class="OSError",
        message="HTTP 500",
    )
    assert row["uri"] == "https://host/ann's video.mp4"


def test_a_failure_says_where_why_and_under_which_versions(table):
    quarantine.put(table, [failure(message="SIGSEGV")])
    (row,) = table.read().to_pylist()
    assert (row["uri"], row["stage"], row["message"]) == ("/corpus/v.mp4", "decode", "SIGSEGV")
    assert (row["digest"], row["attempts"], row["retry"]) == ("digest of v", 1, False)
    assert row["first_time"] == row["last_time"]
    assert json.loads(row["versions"])["av"] == av.__version__


def test_a_second_failure_of_the_same_work_counts_and_keeps_the_first_time(table):
    first = failure(message="first") | {"first_time": "2026-01-01T00:00:00+00:00"}
    quarantine.put(table, [first])
    quarantine.put(table, [failure(message="second"), failure("w")])
    rows = {row["video_id"]: row for row in table.read().to_pylist()}
    assert (rows["v"]["attempts"], rows["v"]["message"]) == (2, "second")
    assert rows["v"]["first_time"] == "2026-01-01T00:00:00+00:00" < rows["v"]["last_time"]
    assert rows["w"]["attempts"] == 1


def test_only_the_same_work_is_held(table):
    quarantine.put(table, [failure()])
    assert quarantine.held(table) == {id_of(): "Crash"}
    others = {id_of("w"), id_of(stage="index"), id_of(recipe_id="s")}
    others.add(quarantine_id("v", "/moved/v.mp4", "decode", "r"))
    assert not others & set(quarantine.held(table))


def test_what_is_marked_for_a_retry_is_no_longer_held_and_still_there(table):
    quarantine.put(table, [failure("v"), failure("w")])
    quarantine.mark_for_retry(table, [id_of("v")])
    assert set(quarantine.held(table)) == {id_of("w")}
    assert [r["video_id"] for r in quarantine.chosen_for_retry(table, stage="decode")] == ["v"]
    assert table.read().num_rows == 2


def test_a_retry_that_fails_again_is_held_again(table):
    quarantine.put(table, [failure()])
    quarantine.mark_for_retry(table, [id_of()])
    quarantine.put(table, [failure(message="again")])
    assert set(quarantine.held(table)) == {id_of()}
    assert table.read()["attempts"].to_pylist() == [2]


def test_rows_are_chosen_by_stage_class_and_age(table):
    old = failure("old") | {"last_time": "2026-01-01T00:00:00+00:00"}
    rows = [
        old,
        failure("new"),
        failure("late", error_class="Timeout"),
        failure("i", stage="index"),
    ]
    quarantine.put(table, rows)

    def chosen(**by):
        return sorted(row["video_id"] for row in quarantine.choose(table, **by))

    assert chosen() == ["i", "late", "new", "old"]
    assert chosen(stage="index") == ["i"]
    assert chosen(error_class="Timeout") == ["late"]
    assert chosen(min_age_days=1.0) == ["old"]


def test_a_release_takes_rows_out(table):
    quarantine.put(table, [failure("v"), failure("w")])
    quarantine.release(table, [id_of("v")])
    assert table.read()["video_id"].to_pylist() == ["w"]


def test_nothing_is_committed_where_nothing_is_put_or_marked(table):
    quarantine.put(table, [failure()])
    version = table.version
    quarantine.put(table, [])
    quarantine.mark_for_retry(table, [])
    quarantine.release(table, [])
    assert table.version == version
