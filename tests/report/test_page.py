from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from videoproc.report.night import Failure, ModelResult, Night
from videoproc.report.page import Mistake, Sheet, StillAndMoving, headline, render

EVIL = "<script>alert('x')</script>\"><img src=http://evil/x onerror=alert(1)>"


def night(**known: Any) -> Night:
    values = {"started": "2026-03-02T02:00:00+00:00", "dataset": "traffic", "code_version": "1.0"}
    return Night(**values | known)


def model(name: str = "cnn", accuracy: float = 0.75, **known: Any) -> ModelResult:
    values = {"run_id": "run1", "monitor": "accuracy", "trained_tonight": True}
    return ModelResult(model=name, metrics={"accuracy": accuracy, "loss": 0.5}, **values | known)


FULL = night(
    videos=12_000,
    hours=100.0,
    changes={"new": 10, "unchanged": 11_990},
    videos_decoded=10,
    hours_decoded=1.0,
    clips=100,
    busy_s=50.0,
    cores=4,
    seconds={"decode": 90.0, "write": 10.0},
    idle_s=100.0,
    phases={"index": 2.0, "extract": 60.0},
    failures=[
        Failure(
            stage="decode", error_class="Truncated", count=2, message="ends", example_uri="/a.mp4"
        )
    ],
    quarantine={"Truncated": 2},
    models=[model(), model("cnn_gru", 0.9)],
)


MISTAKE = Mistake(
    model="cnn",
    uri="/a",
    true="left",
    told="right",
    confidence=0.9,
    pictures=StillAndMoving(jpeg=b"x", webp=b"y"),
)


class Loaded(HTMLParser):
    """All tags of a page, and every place that a browser would fetch something from."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [str(v) for k, v in attrs if k in ("src", "href", "srcset", "data")]


def text_of(page: str) -> str:
    body = re.sub(r"<style>.*?</style>", "", page, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_the_page_loads_nothing_from_elsewhere_and_runs_no_script() -> None:
    page = render(
        FULL,
        sheets=[Sheet(caption="left", jpeg=b"x")],
        mistakes=[MISTAKE],
    )
    loaded = Loaded(page)
    assert "script" not in loaded.tags
    assert "link" not in loaded.tags
    assert loaded.sources, "the pictures"
    assert all(re.match("data:image/(jpeg|webp);base64,", source) for source in loaded.sources)
    assert "default-src 'none'" in page


def test_names_from_outside_are_text_and_never_markup() -> None:
    failure = Failure(
        stage=EVIL, error_class=EVIL, count=1, message=EVIL, example_uri=f"/corpus/{EVIL}"
    )
    page = render(
        night(
            dataset=EVIL, failures=[failure], quarantine={EVIL: 1}, models=[model(EVIL)], clips=1
        ),
        sheets=[Sheet(caption=EVIL, jpeg=b"x")],
        mistakes=[
            Mistake(model=EVIL, uri=EVIL, true=EVIL, told=EVIL, confidence=0.5, pictures=None)
        ],
    )
    plain = Loaded(render(night(clips=1)))
    loaded = Loaded(page)
    assert "script" not in loaded.tags
    assert loaded.tags.count("img") == plain.tags.count("img") + 1, "only the sheet's own"
    assert not [source for source in loaded.sources if "evil" in source]
    assert text_of(page).count("<script>alert('x')</script>") >= 10, "shown as it is written"


def test_a_mistake_moves_only_for_those_who_do_not_mind() -> None:
    page = render(FULL, mistakes=[MISTAKE])
    moving, still = re.findall(r"<img[^>]*data:image/(?:webp|jpeg)[^>]*>", page)
    assert 'class="moving"' in moving
    assert "class" not in still, "it stays"
    hidden = (
        "@media print, (prefers-reduced-motion: reduce) { figure img.moving { display: none; } }"
    )
    assert hidden in page


def test_an_error_of_a_failed_night_is_the_headline() -> None:
    page = render(night(outcome="failed", error=f"9 of 10 videos have failed {EVIL}"))
    assert "The night did not reach its end: 9 of 10 videos have failed" in text_of(page)
    assert "script" not in Loaded(page).tags


def test_the_page_is_made_for_a_phone() -> None:
    page = render(FULL)
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
    tables = page.count("<table>")
    assert tables
    assert page.count('<div class="scroll"><table>') == tables, "wide tables scroll by themselves"


def test_the_reader_finds_what_came_what_failed_where_time_went_and_the_models() -> None:
    text = text_of(render(FULL))
    assert "10 new" in text
    assert "Truncated in decode 2 ends /a.mp4" in text
    assert "retry_quarantine --data DIR --error_class Truncated" in text
    assert "Cores were idle for 50% of 200 core seconds (4 cores)" in text
    assert "72.0 video hours per hour" in text
    assert "cnn_gru: accuracy 0.9" in text
    assert "loss 0.5 0.5" in text, "all numbers side by side"


def test_a_metric_stands_beside_the_nights_before() -> None:
    before = [
        night(started="2026-02-28T02:00:00+00:00", models=[model(accuracy=0.5)]),
        night(started="2026-03-01T02:00:00+00:00", models=[model(accuracy=0.7)]),
    ]
    page = render(FULL, before=before)
    assert "+0.050 since the night before" in page
    assert "3 nights, from 28 Feb 2026, 02:00 UTC (0.5) to tonight." in page
    assert page.count("<polyline") == 1, "cnn_gru has no night before"
    assert "first night" in page


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"outcome": "nothing new", "videos": 3000}, "all 3,000 videos had been worked on before"),
        ({"changes": {"new": 1}, "clips": 1, "videos_decoded": 1}, "1 video became 1 clip;"),
        ({}, "No video changed; no new clip was made; none failed; no model was trained again."),
    ],
)
def test_the_headline_says_the_night_in_a_sentence(known: dict[str, Any], said: str) -> None:
    assert said in headline(night(**known))


def test_an_empty_first_night_is_a_whole_page() -> None:
    text = text_of(render(night()))
    for said in ("No video failed tonight", "Quarantine is empty", "No model is trained"):
        assert said in text


def test_without_a_mistake_the_page_says_so() -> None:
    assert "No mistake on the test split." in render(night(models=[model()]), mistakes=[])


def test_where_nobody_has_looked_for_mistakes_the_page_does_not_say_that_there_are_none() -> None:
    for outcome in ("nothing new", "failed"):
        page = render(night(outcome=outcome, models=[model(trained_tonight=False)]))
        assert "mistake" not in text_of(page).lower()


def test_a_model_that_a_failed_night_did_not_come_to_is_as_it_was() -> None:
    text = text_of(render(night(outcome="failed", models=[model(trained_tonight=False)])))
    assert "as the nights before have left it" in text
    assert "nothing it learns from has changed" not in text


def test_the_command_that_is_named_can_be_pasted() -> None:
    text = text_of(render(night(quarantine={"same bytes, several labels": 1})))
    assert "--error_class 'same bytes, several labels'" in text


def test_a_metric_that_is_no_number_is_shown_as_such() -> None:
    assert "nan" in render(night(models=[model(accuracy=float("nan"))]))
