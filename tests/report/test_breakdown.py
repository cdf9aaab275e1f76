from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from videoproc.report.breakdown import breakdown


def parts(values: list[float], **same: Any) -> list[dict[str, Any]]:
    return [
        {"source": f"camera {i}", "accuracy": value}
        | {"clips": 10 + i, "videos": 2, "labels": 2}
        | same
        for i, value in enumerate(values)
    ]


def names(figure: Figure, panel: int = 0) -> list[str]:
    return [label.get_text() for label in figure.axes[panel].get_yticklabels()]


def draw(rows: list[dict[str, Any]], **asked: Any) -> Figure:
    return breakdown(rows, by="source", value="accuracy", overall=0.5, **asked)


def test_the_worst_part_stands_on_top_with_its_clips_and_videos() -> None:
    assert names(draw(parts([0.9, 0.2, 0.5]))) == [
        "camera 1  (11 clips of 2 videos)",
        "camera 2  (12 clips of 2 videos)",
        "camera 0  (10 clips of 2 videos)",
    ]


def test_where_less_is_better_the_worst_is_the_highest() -> None:
    assert names(draw(parts([0.9, 0.2]), maximise=False))[0].startswith("camera 0")


def test_of_very_many_parts_the_worst_and_the_largest_are_shown() -> None:
    figure = draw(parts([i / 100 for i in range(100)]))
    assert [axes.get_title() for axes in figure.axes] == [
        "the 12 worst of 100",
        "the 12 largest of 100",
    ]
    assert names(figure)[0].startswith("camera 0 ")
    assert {name.split()[1] for name in names(figure, 1)} == {str(i) for i in range(88, 100)}


def test_a_part_of_one_label_is_told_from_one_of_several() -> None:
    rows = parts([0.5, 0.6])
    rows[0]["labels"] = 1
    (legend,) = draw(rows).legends
    shown = {text.get_text() for text in legend.get_texts()}
    assert shown == {"several labels", "one label only", "all clips: 0.5"}


def test_a_sentence_stands_above_all_of_it() -> None:
    figure = draw(parts([0.5]), title="One answer a source could reach 0.9.")
    assert figure.get_suptitle() == "One answer a source could reach 0.9."


def test_the_end_of_a_long_name_is_kept() -> None:
    rows = parts([0.5], clips=1, videos=1)
    rows[0]["source"] = "s3://a/very/long/way/to/some/folder/camera 7.mp4"
    (name,) = names(draw(rows))
    assert name.startswith("…")
    assert name.endswith("folder/camera 7.mp4  (1 clip)")
