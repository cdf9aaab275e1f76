"""A corpus is looked at again, and only what has changed is read."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.web import Web
from videoproc.corpus import survey as survey_module
from videoproc.corpus.examine import examine
from videoproc.corpus.survey import survey
from videoproc.media import Limits


def test_a_file_of_a_web_server_is_read_once_until_its_stamp_changes(
    small_corpus: Path, web: Web
) -> None:
    video = small_corpus / "videos" / "left" / "cam00_000.mp4"
    url = web.put("/a.mp4", video.read_bytes())
    first, num_read = survey([url], known={}, again=(), workers=1)
    assert num_read == 1
    assert first[0].finding == examine(str(video))
    known = {url: first[0]}
    web.asked.clear()
    assert survey([url], known=known, again=(), workers=1) == (first, 0)
    assert [method for method, _, _ in web.asked] == ["HEAD"]
    web.tag = '"2"'
    again, num_read = survey([url], known=known, again=(), workers=1)
    assert num_read == 1
    assert again[0].stamp == "etag:2"


def test_a_file_that_a_web_server_does_not_have_is_an_error_without_its_key(web: Web) -> None:
    seen, _ = survey([f"{web.address}/none.mp4?key=secret"], known={}, again=(), workers=1)
    error = seen[0].finding.error
    assert error == f"FileNotFoundError: {web.address}/none.mp4 cannot be read: HTTP 404 Not Found"


def test_a_named_pipe_is_an_error_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "v.mp4")
    (seen,), _ = survey([str(tmp_path / "v.mp4")], known={}, again=(), workers=1)
    assert seen.finding.error is not None
    assert "is a pipe, a socket or a device" in seen.finding.error


def test_a_file_that_strikes_whoever_reads_it_costs_two_children_and_not_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey_module, "examine", _struck)
    monkeypatch.setattr(survey_module, "fingerprint", _struck)
    (seen,), _ = survey([str(tmp_path / "v.mp4")], known={}, again=(), workers=1)
    assert seen.finding.error == "Crash: the child process ended by SIGKILL"
    assert seen.finding.digest == examine(str(tmp_path / "v.mp4")).digest


def _struck(_: str, **__: object) -> None:
    signal.raise_signal(signal.SIGKILL)


def test_waiting_for_a_busy_server_is_not_within_the_limit_of_a_file(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    within: list[float] = []
    real = survey_module.Isolated.outcome

    def listen(self: Any, *args: Any, limits: Limits, **more: Any) -> Any:
        within.append(limits.timeout_s)
        return real(self, *args, limits=limits, **more)

    monkeypatch.setattr(survey_module.Isolated, "outcome", listen)
    monkeypatch.setenv("VIDEOPROC_STORE_PATIENCE_S", "7")
    limits = Limits(timeout_s=100)
    survey([web.put("/a.mp4", b"none")], known={}, again=(), workers=1, limits=limits)
    assert within == [107]
