"""Bytes to frames and back: probe, plan, decode in isolation, encode."""

from videoproc.media.cost import Cost
from videoproc.media.decode import DECODE_VERSION, read_clips
from videoproc.media.encode import write_video
from videoproc.media.errors import MediaError
from videoproc.media.limits import Accept, Limits
from videoproc.media.picture import Size
from videoproc.media.probe import Header, probe
from videoproc.media.sampling import Sampling
from videoproc.media.step import decode_clips

__all__ = [
    "DECODE_VERSION",
    "Accept",
    "Cost",
    "Header",
    "Limits",
    "MediaError",
    "Sampling",
    "Size",
    "decode_clips",
    "probe",
    "read_clips",
    "write_video",
]
