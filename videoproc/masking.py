"""Secrets kept out of what leaves: lines, reports, parameters, messages."""

from __future__ import annotations

import os
import re
from urllib.parse import quote

MASK = "***"
MIN_CHARS = 8  # of a secret in the environment: "test" would be masked in every other word

_SECRET_NAMES = re.compile(
    r"(?i)(secret|token|passw(or)?d|credentials?|(api|access|private|secret|account|storage)_?key)$"
)
_PLACES = ("/", "~", ".")  # GOOGLE_APPLICATION_CREDENTIALS names a file, which an error must name

_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]{0,30}://"
# Lengths are bounded, since what never ends in an @ would be gone over again from each beginning.
_USER = re.compile(rf"(\b{_SCHEME})[^/\s?#]{{0,2000}}@")
# Databases take any password as it is, slashes and question marks too. Paths may hold an @.
_DATABASES = rf"\b(?!(?i:https?|s3|gs|file|sqlite):){_SCHEME}"
_DATABASE = re.compile(rf"({_DATABASES})[^\s'\"<>]{{0,2000}}@")
# Signed addresses and databases' settings. Keys of object stores may hold a question mark.
_QUERY = re.compile(rf"(\b(?!s3:|gs:|file:){_SCHEME}[^\s?#'\"<>]*)\?[^\s#'\"<>]*")
_NAMED = re.compile(
    r"(?i)(?<![a-z0-9])((?:x-(?:amz|goog)-[a-z-]{1,40}|sig|signature|password|secret|token|"
    r"(?:secret|api|access|account)_?(?:access_?)?key)=)[^\s&'\"<>]+"
)
# "basic" is a word too, and a folder's name.
_HEADER = re.compile(r"(?i)(\bbearer |authorization\W{1,6}basic )[A-Za-z0-9+/=._~-]{8,}")

_WEB_URI = re.compile(r"(?is)(https?://)(?:[^/?#]*@)?([^?#]*).*")
_DATABASE_URI = re.compile(rf"(?s)({_DATABASES})(?:.*@)?([^?#]*).*")


def masked(text: str) -> str:
    """`text` without `user:password@` and query of the addresses in it, without the values that
    sign a request, and without the secrets of this process's environment (variables such as
    AWS_SECRET_ACCESS_KEY, whatever their name begins with).

    >>> masked("GET https://ann:pass@host/a.mp4?X-Amz-Signature=2f failed")
    'GET https://host/a.mp4 failed'
    """
    for secret in _secrets():
        text = text.replace(secret, MASK)
    for pattern in (_DATABASE, _USER, _QUERY):
        text = pattern.sub(r"\1", text)
    return _HEADER.sub(rf"\1{MASK}", _NAMED.sub(rf"\1{MASK}", text))


def masked_uri(uri: str) -> str:
    """`masked` of a text that is one address from its first character to its last. In a text at
    large nobody knows where an address with spaces or quotes ends; here all of its query goes, and
    its fragment. Paths and places in object stores have neither.

    >>> masked_uri("https://host/ann's video.mp4?key=2f")
    "https://host/ann's video.mp4"
    """
    if found := _WEB_URI.fullmatch(uri) or _DATABASE_URI.fullmatch(uri):
        uri = found[1] + found[2]
    return masked(uri)


def _secrets() -> list[str]:
    """Long ones first: one may be a part of another."""
    found = {name: value.strip() for name, value in os.environ.items()}
    values = {
        value
        for name, value in found.items()
        if len(value) >= MIN_CHARS and (kind := _SECRET_NAMES.search(name))
        if not (kind[0].lower().startswith("credential") and value.startswith(_PLACES))
    }
    return sorted(values | {quote(value, safe="") for value in values}, key=len, reverse=True)
