"""What headers alone give away of the label."""

from __future__ import annotations

import numpy as np
import pytest

from videoproc.corpus.giveaway import header_only


@pytest.fixture
def corpus(make_video):
    """corpus(width_of, groups=...): videos of `a` and `b` by turns, ten of one label a group."""

    def make(width_of, *, groups: int = 20, **more):
        rng = np.random.default_rng(0)
        return [
            make_video(
                f"{g}-{i}",
                label=label,
                group=f"cam{g}",
                codec="h264",
                width=width_of(label, g),
                height=480,
                fps=25.0,
                duration_s=float(rng.uniform(2, 4)),
                **more,
            )
            for g in range(groups)
            for label in ["ab"[g % 2]]
            for i in range(10)
        ]

    return make


def test_a_width_that_is_the_label_is_found_and_named(corpus):
    found = header_only(corpus(lambda label, _: 640 if label == "a" else 1280))
    assert (found.accuracy, found.gives_away, found.best_field) == (1.0, True, "resolution")
    assert found.alone["resolution"] == 1.0
    assert found.alone["codec"] <= 0.5
    assert (found.videos, found.groups, found.majority_share) == (200, 20, 0.5)


def test_a_width_that_names_only_its_group_gives_nothing_away(corpus):
    """Random folds would tell every label: each camera has a width of its own, and one label."""
    found = header_only(corpus(lambda _, g: 640 + 2 * ((7 * g) % 20)))
    assert not found.gives_away
    assert found.lead_interval[0] < 0 < found.interval[0] < found.accuracy < found.interval[1]


def test_where_one_label_is_common_the_lead_is_over_its_share(corpus, make_video):
    common = corpus(lambda *_: 640, groups=20)[::2] + [
        make_video(f"more{i}", label="a", width=640, height=480, fps=25.0, duration_s=3.0)
        for i in range(300)
    ]
    found = header_only(common)
    assert (found.majority_label, found.majority_share) == ("a", 350 / 400)
    assert found.accuracy > 0.8
    assert not found.gives_away


def test_the_order_of_the_videos_changes_nothing(corpus):
    videos = corpus(lambda label, g: 640 if label == "a" or g % 3 else 1280)
    assert header_only(videos) == header_only(videos[::-1])


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_with_fewer_than_two_groups_a_label_nothing_is_measured(corpus, groups):
    assert header_only(corpus(lambda *_: 640, groups=groups)) is None


def test_a_label_of_a_single_video_does_not_stop_the_measure(corpus, make_video, recwarn):
    rare = make_video("rare", label="c", width=640, height=480, fps=25.0, duration_s=3.0)
    found = header_only([*corpus(lambda label, _: 640 + 2 * (label == "a")), rare])
    assert (found.videos, found.folds) == (201, 5)
    assert not recwarn


def test_what_cannot_be_read_or_has_no_single_label_is_left_out(corpus):
    videos = corpus(lambda *_: 640)
    others = corpus(lambda *_: 1280, labels=("a", "b")) + corpus(lambda *_: 640, error="cut short")
    assert header_only([*videos, *others]) == header_only(videos)
