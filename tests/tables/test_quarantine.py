"""What failed is written down once, left alone, and tried again when asked."""

from __future__ import annotations

import json

import av

from videoproc.tables.quarantine import is_quarantined, quarantine_row, release


def failure(video_id="v", *, stage="decode", recipe_id="r", message="broken"):
    return quarantine_row(
        video_id=video_id,
        uri=f"/corpus/{video_id}.mp4",
        stage=stage,
        error_class="Crash",
        message=message,
        recipe_id=recipe_id,
    )


def test_a_failure_says_where_why_and_under_which_versions(dataset):
    dataset.quarantine.append_rows([failure(message="SIGSEGV")])
    (row,) = dataset.quarantine.read().to_pylist()
    assert (row["uri"], row["stage"], row["message"]) == ("/corpus/v.mp4", "decode", "SIGSEGV")
    assert json.loads(row["versions"])["av"] == av.__version__


def test_the_same_failure_twice_is_one_row(dataset):
    dataset.quarantine.append_rows([failure(message="first")])
    dataset.quarantine.append_rows([failure(message="second")])
    assert dataset.quarantine.read()["message"].to_pylist() == ["first"]


def test_only_the_same_work_is_quarantined(dataset):
    dataset.quarantine.append_rows([failure()])
    known = dataset.quarantine.keys()
    same = {"video_id": "v", "uri": "/corpus/v.mp4", "stage": "decode", "recipe_id": "r"}
    assert is_quarantined(known=known, **same)
    for other in (
        {"video_id": "w"},
        {"uri": "/moved/v.mp4"},
        {"stage": "index"},
        {"recipe_id": "s"},
    ):
        assert not is_quarantined(known=known, **(same | other))


def test_a_release_frees_one_stage_of_the_named_recipes(dataset):
    rows = [failure(stage=s, recipe_id=r) for s in ("decode", "index") for r in ("r", "s")]
    dataset.quarantine.append_rows(rows)
    release(dataset.quarantine, stage="decode", recipe_ids=["r"])
    left = {(row["stage"], row["recipe_id"]) for row in dataset.quarantine.read().to_pylist()}
    assert left == {("decode", "s"), ("index", "r"), ("index", "s")}


def test_what_was_released_may_fail_again(dataset):
    dataset.quarantine.append_rows([failure("v"), failure("w")])
    release(dataset.quarantine, stage="decode", recipe_ids=["r"])
    assert dataset.quarantine.append_rows([failure("v", message="again")]) == 1
    assert dataset.quarantine.read()["message"].to_pylist() == ["again"]
