"""What may leave: text without the secrets that addresses, messages and the environment hold."""

from __future__ import annotations

import pytest

from videoproc.masking import masked


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://user:secret@host:5000/x", "http://host:5000/x"),
        ("https://a-token@host/x", "https://host/x"),
        ("token@host is no URI", "token@host is no URI"),
        ("postgresql+psycopg2://u:p%40q@db/runs", "postgresql+psycopg2://db/runs"),
        ("from s3://key:s@a@bucket/b to http://h/a@b", "from s3://bucket/b to http://h/a@b"),
        ("GET 'https://h/a.mp4?X-Amz-Signature=2f&x=1' failed", "GET 'https://h/a.mp4' failed"),
        ("https://h/a b.mp4?sig=2f", "https://h/a b.mp4?sig=***"),
        ("retries exceeded with url: /a.mp4?Signature=2f&n=1", None),
        ("postgresql://db/runs?password=2f", "postgresql://db/runs"),
        ("Authorization: Bearer 2f6b2f6b2f6b", "Authorization: Bearer ***"),
    ],
)
def test_addresses_and_messages_lose_what_lets_others_in(text: str, expected: str | None) -> None:
    assert "2f" not in masked(text)
    assert expected is None or masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/is it?.mp4",
        "/videos/what?password.mp4",
        "http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning",
        "12 videos (0.5 hours) in 3 s: basic checks passed",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    "name", ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "MLFLOW_TRACKING_PASSWORD"]
)
def test_the_environments_secrets_are_masked_wherever_they_stand(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "wJalr/XUtnFEMI")
    assert masked("said wJalr/XUtnFEMI, and wJalr%2FXUtnFEMI") == "said ***, and ***"


def test_a_variable_that_names_a_file_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/home/ann/token")
    assert masked("see /home/ann/token") == "see /home/ann/token"
