"""Objects of other machines, read by ranges: over HTTP, and in object stores."""

from videoproc.remote.http import HttpSource
from videoproc.remote.patience import StoreAwayError
from videoproc.remote.range_file import RangeFile
from videoproc.remote.s3 import S3Source
from videoproc.remote.source import ArrowSource, Source

__all__ = ["ArrowSource", "HttpSource", "RangeFile", "S3Source", "Source", "StoreAwayError"]
