"""A client of a job server that fails, over a connection that breaks.

The server is a small one with the four pages that a client asks for: a real one cannot be made to
fail in each of these ways. Against a real one, see test_cluster.py.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from cluster import submit
from tests.web import Web
from videoproc.types import UserError

JOB = "raysubmit_test"
LINES = [f"line {i}\n" for i in range(30)]


@dataclass(kw_only=True)
class JobServer:
    """A server whose one job writes LINES, and what is wrong with it.

    drops: connections for the log that break after so many lines, one after another. failing: how
    many questions after the job are answered with 502. pending: how many with "not started".
    loses_answer: whether a job that is submitted, and kept in `taken`, is answered by a broken
    connection (0) or by a proxy's status.
    """

    drops: list[int] = field(default_factory=list)
    failing: int = 0
    pending: int = 0
    knows_job: bool = True
    takes_websockets: bool = True
    ray_version: str = "2.60.0"
    loses_answer: int | None = None
    taken: list[str] = field(default_factory=list)
    has_ended: bool = False
    address: str = ""

    async def version(self, _: web.Request) -> web.Response:
        said = {"version": "4", "ray_version": self.ray_version, "ray_commit": ""}
        return web.json_response(said)

    async def job(self, _: web.Request) -> web.Response:
        if not self.knows_job:
            return web.Response(status=404, text=f"Job {JOB} does not exist")
        if self.failing:
            self.failing -= 1
            return web.Response(status=502, text="<html>\nBad gateway\n</html>")
        status = "SUCCEEDED" if self.has_ended else "RUNNING"
        if self.pending:
            self.pending -= 1
            status = "PENDING"
        if not self.takes_websockets:
            self.has_ended = True
        details = {"type": "SUBMISSION", "submission_id": JOB, "entrypoint": "", "status": status}
        return web.json_response(details | {"message": "waiting for CPUs"})

    async def package(self, _: web.Request) -> web.Response:
        return web.Response()  # it is there already

    async def submit(self, request: web.Request) -> web.Response:
        self.taken.append((await request.json())["submission_id"])
        if self.loses_answer == 0:
            assert request.transport is not None
            request.transport.abort()
        if self.loses_answer:
            return web.Response(status=self.loses_answer, text="<html>\nToo late\n</html>")
        return web.json_response({"submission_id": self.taken[-1], "job_id": self.taken[-1]})

    async def logs(self, _: web.Request) -> web.Response:
        return web.json_response({"logs": "".join(LINES)})

    async def tail(self, request: web.Request) -> web.StreamResponse:
        if not self.takes_websockets:
            return web.Response(status=400)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        breaks_after = self.drops.pop(0) if self.drops else None
        lines = LINES[:breaks_after]
        for start in range(0, len(lines), 4):
            await socket.send_str("".join(lines[start : start + 4]))
        if breaks_after is not None:
            assert request.transport is not None
            request.transport.abort()
            return socket
        while self.pending:
            await asyncio.sleep(0.01)
        self.has_ended = True
        return socket


@contextmanager
def serving(server: JobServer) -> Iterator[JobServer]:
    """The server on a port of loopback, in a thread; it is gone after the `with`."""
    loop, ready = asyncio.new_event_loop(), threading.Event()

    async def start() -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/api/version", server.version)
        app.router.add_get("/api/packages/gcs/{name}", server.package)
        app.router.add_post("/api/jobs/", server.submit)
        app.router.add_get("/api/jobs/{id}", server.job)
        app.router.add_get("/api/jobs/{id}/logs", server.logs)
        app.router.add_get("/api/jobs/{id}/logs/tail", server.tail)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    def serve() -> None:
        runner = loop.run_until_complete(start())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        ready.wait()
        yield server
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submit, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(submit, "RETRY_S", 0.01)
    monkeypatch.setattr(submit, "PENDING_S", 0.1)


def client_of(server: JobServer) -> submit.Client:
    target = submit.Target(address=server.address, python="python", headers={}, is_here=False)
    return submit.connect(target)


def follow(server: JobServer) -> str:
    return asyncio.run(submit.follow(client_of(server), JOB)).status


@pytest.mark.parametrize("drops", [[], [5], [0, 17, 3, 30]])
def test_a_log_over_a_breaking_connection_is_shown_once(
    drops: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(JobServer(drops=drops)) as server:
        assert follow(server) == "SUCCEEDED"
    assert capsys.readouterr().out == "".join(LINES)


def test_a_proxy_that_answers_502_for_a_moment_is_waited_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving(JobServer(drops=[9], failing=3)) as server:
        assert follow(server) == "SUCCEEDED"
        assert not server.failing
    assert capsys.readouterr().out == "".join(LINES)


def test_a_proxy_that_lets_no_websocket_through_costs_the_liveness_of_the_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving(JobServer(takes_websockets=False)) as server:
        assert follow(server) == "SUCCEEDED"
    assert capsys.readouterr().out == "".join(LINES)


@pytest.mark.parametrize("is_up", [True, False])
def test_a_cluster_that_stays_away_ends_the_client_in_one_line(
    is_up: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submit, "GONE_S", 0.3)
    with serving(JobServer(failing=10**9)) as server:
        client = client_of(server)
        if is_up:
            with pytest.raises(submit.ClusterError) as lost:
                asyncio.run(submit.follow(client, JOB))
    if not is_up:
        with pytest.raises(submit.ClusterError) as lost:
            asyncio.run(submit.follow(client, JOB))
    assert server.address in str(lost.value)
    assert JOB in str(lost.value)
    assert "submit it again" in str(lost.value)
    assert "\n" not in str(lost.value)


def test_a_head_that_has_begun_anew_knows_the_job_no_more() -> None:
    with (
        serving(JobServer(knows_job=False)) as server,
        pytest.raises(submit.ClusterError, match=f"{JOB} is lost, since the cluster .* anew"),
    ):
        follow(server)


def test_a_job_that_does_not_start_is_told_of_once(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(JobServer(pending=10)) as server:
        assert follow(server) == "SUCCEEDED"
    said = capsys.readouterr().err
    assert said.startswith(f"{JOB} has not started in ")
    assert said.endswith("s: waiting for CPUs\n")
    assert said.count("\n") == 1


def test_an_older_ray_is_named() -> None:
    with (
        serving(JobServer(ray_version="2.40.0")) as server,
        pytest.raises(UserError, match=r"runs Ray 2\.40\.0, and jobs need 2\.60 or newer"),
    ):
        client_of(server)


def send(server: JobServer) -> str:
    job = submit.Submission(entrypoint="true", env_vars={}, configs={})
    return submit.send(client_of(server), job)


@pytest.mark.parametrize("answer", [0, 504])
def test_a_submission_whose_answer_is_lost_says_how_to_ask_for_the_job(answer: int) -> None:
    with (
        serving(JobServer(loses_answer=answer)) as server,
        pytest.raises(submit.ClusterError, match="may have taken the job") as lost,
    ):
        send(server)
    (job_id,) = server.taken
    assert str(lost.value).endswith(f"see `ray job status {job_id}`")
    assert "\n" not in str(lost.value)


def test_a_job_that_the_cluster_refuses_was_not_taken() -> None:
    with (
        serving(JobServer(loses_answer=500)) as server,
        pytest.raises(submit.ClusterError, match="takes no job"),
    ):
        send(server)


def test_a_submitted_job_has_the_id_that_was_chosen_for_it() -> None:
    with serving(JobServer()) as server:
        assert [send(server)] == server.taken


@pytest.mark.parametrize("page", [None, b"<html>\nWelcome\n</html>", b"{}"])
def test_what_is_no_job_server_is_one_line(page: bytes | None, web: Web) -> None:
    if page is not None:
        web.put("/api/version", page)
    with pytest.raises(UserError, match=f"{web.address} is no job server of Ray's") as refused:
        client_of(JobServer(address=web.address))
    assert "\n" not in str(refused.value)
