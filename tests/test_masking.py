"""What may leave: text without the secrets that addresses, messages and the environment hold."""

from __future__ import annotations

import pytest

from videoproc.masking import masked, masked_uri


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
        ("at postgresql://ml:a/2f?c#d@db/runs: refused", "at postgresql://db/runs: refused"),
        ("mysql://ml:2f@a@db:3306/r, https://h/@x", "mysql://db:3306/r, https://h/@x"),
        ("aws_secret_access_key=2f/+ client_secret=2f", None),
        ("refresh_token=2f secret_key=2f&AccountKey=2f==", None),
        ("{'Authorization': 'Basic YW5uOjJmYW5u'}", "{'Authorization': 'Basic ***'}"),
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
        "/data/basic classification/x.mp4",
        "sqlite:////home/ann@work/runs.db",
        "12 videos (0.5 hours) in 3 s: basic checks passed",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("https://host/ann's.mp4?key=2f", "https://host/ann's.mp4"),
        ("https://host/my video.mp4?key=2f", "https://host/my video.mp4"),
        ("HTTPS://host/a.mp4?x='1'&key=2f", "HTTPS://host/a.mp4"),
        ("https://host/a.mp4#key=2f", "https://host/a.mp4"),
        ("https://ann:2f word@host/a@b.mp4", "https://host/a@b.mp4"),
        ("postgresql://ml:a 2f'/b@db/runs?password=2 2f", "postgresql://db/runs"),
        ("/videos/what?#.mp4", "/videos/what?#.mp4"),
        ("s3://key:2f@bucket/is it?.mp4", "s3://bucket/is it?.mp4"),
    ],
)
def test_of_an_address_as_a_whole_nothing_is_left_that_lets_others_in(
    uri: str, expected: str
) -> None:
    assert masked_uri(uri) == expected


@pytest.mark.parametrize(
    "name",
    [
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AZURE_STORAGE_KEY",
        "MLFLOW_FLASK_SERVER_SECRET_KEY",
        "MLFLOW_TRACKING_PASSWORD",
    ],
)
@pytest.mark.parametrize("value", ["wJalr/XUtnFEMI", "wJalr/XUtnFEMI\n"])
def test_the_environments_secrets_are_masked_wherever_they_stand(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert masked("said wJalr/XUtnFEMI, and wJalr%2FXUtnFEMI") == "said ***, and ***"


@pytest.mark.parametrize("name", ["RAY_AUTH_TOKEN_PATH", "GOOGLE_APPLICATION_CREDENTIALS"])
def test_a_variable_that_names_a_file_is_no_secret(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "/home/ann/token")
    assert masked("see /home/ann/token") == "see /home/ann/token"
