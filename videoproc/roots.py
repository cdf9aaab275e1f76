"""The places that videos may lie in.

Lists, tables and links in a corpus are data from strangers. What they name is held against the
roots that the config sets, when a corpus is indexed and again each time that a video is opened.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, replace
from pathlib import Path

from videoproc import storage
from videoproc.masking import masked_uri
from videoproc.remote import http
from videoproc.storage import Anywhere, HttpPath, RemotePath


@dataclass(frozen=True)
class Roots:
    """places: absolute folders, s3://bucket/prefix, https://host/prefix. Errors: UserError."""

    places: tuple[str, ...]

    def __post_init__(self) -> None:
        for place in self.places:
            storage.at(place)

    def find(self, uri: str) -> Anywhere:
        """The place that `uri` names, to be opened as it is given: links are followed, and an
        address will follow its server only to where it may lie itself.

        Errors: OutsideRoots where it lies elsewhere; UserError where it is no place.
        """
        place = storage.at(uri)
        if isinstance(place, Path):
            try:
                place = Path(os.path.realpath(place))
            except ValueError as error:  # a zero byte
                raise OSError(f"{uri!r} is no path: {error}") from None
        if not any(_is_below(place, storage.at(root)) for root in self.places):
            raise http.OutsideRoots(
                f"{masked_uri(uri)!r} lies outside the roots "
                f"{', '.join(map(masked_uri, self.places))}: "
                "give its folder with --roots of pipelines.index or pipelines.nightly (all roots "
                "in one list), or remove it from the corpus"
            )
        return replace(place, within=self.places) if isinstance(place, HttpPath) else place


def _is_below(place: Anywhere, root: Anywhere) -> bool:
    if isinstance(place, Path) or isinstance(root, Path):
        if not (isinstance(place, Path) and isinstance(root, Path)):
            return False
        return place.is_relative_to(_real(root))
    if isinstance(place, HttpPath) or isinstance(root, HttpPath):
        return http.is_below(place.uri, root.uri)
    # A store takes keys as they are, what stands between need not.
    return not {".", ".."} & set(place.parts) and _starts_with(place, root)


def _starts_with(place: RemotePath, root: RemotePath) -> bool:
    scheme, root_scheme = (uri.partition("://")[0] for uri in (place.uri, root.uri))
    return scheme == root_scheme and place.parts[: len(root.parts)] == root.parts


@functools.lru_cache(64)
def _real(root: Path) -> Path:
    return Path(os.path.realpath(root))
