"""Secrets kept out of what leaves: lines, reports, parameters, messages."""

from __future__ import annotations

import os
import re
from urllib.parse import quote

MASK = "***"
MIN_CHARS = 8  # of a secret in the environment: "test" would be masked in every other word

_SECRET_NAMES = re.compile(
    r"(?i)(secret|token|passw(or)?d|credentials?|api_?key|access_?key|private_?key)$"
)
_USER = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://)[^/\s?#]*@")
# Signed addresses and databases' settings. Keys of object stores may hold a question mark.
_QUERY = re.compile(r"(\b(?!s3:|gs:|file:)[A-Za-z][A-Za-z0-9+.-]*://[^\s?#'\"<>]*)\?[^\s#'\"<>]*")
_NAMED = re.compile(
    r"(?i)\b((?:x-amz-[a-z-]+|x-goog-[a-z-]+|sig|signature|password|secret|api_?key|"
    r"(?:access_|id_|auth_)?token)=)[^\s&'\"<>]+"
)
_HEADER = re.compile(r"(?i)\b((?:bearer|basic) )[A-Za-z0-9+/=._~-]{8,}")


def masked(text: str) -> str:
    """`text` without `user:password@` and query of the addresses in it, without the values that
    sign a request, and without the secrets of this process's environment (variables such as
    AWS_SECRET_ACCESS_KEY, whatever their name begins with).

    >>> masked("GET https://ann:pass@host/a.mp4?X-Amz-Signature=2f failed")
    'GET https://host/a.mp4 failed'
    """
    for secret in _secrets():
        text = text.replace(secret, MASK)
    text = _QUERY.sub(r"\1", _USER.sub(r"\1", text))
    return _HEADER.sub(rf"\1{MASK}", _NAMED.sub(rf"\1{MASK}", text))


def _secrets() -> list[str]:
    """Long ones first: one may be a part of another."""
    values = {
        value
        for name, value in os.environ.items()
        if len(value) >= MIN_CHARS and _SECRET_NAMES.search(name)
    }
    return sorted(values | {quote(value, safe="") for value in values}, key=len, reverse=True)
