"""Compression: frames through JPEG, clips through H.264, and back."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
import simplejpeg
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import VideoReformatter

from videoproc.augment.settings import Augmentation

BEST_QUALITY, BEST_CRF = 95, 18
SAME_BYTES = {"threads": "1", "x264-params": "mbtree=0:cpu-independent=1"}
FAST = {"preset": "ultrafast", "tune": "zerolatency"}


@dataclass(frozen=True, kw_only=True)
class Params:
    jpeg_quality: int | None
    h264_crf: int | None


def draw(
    rng: np.random.Generator, settings: Augmentation, _shape_thw: tuple[int, int, int]
) -> Params | None:
    jpeg, h264 = rng.random(2)
    quality, crf = settings.min_jpeg_quality, settings.max_h264_crf
    params = Params(
        jpeg_quality=None if quality is None else _between(quality, BEST_QUALITY, jpeg),
        h264_crf=None if crf is None else _between(BEST_CRF, crf, h264),
    )
    return None if (params.jpeg_quality or params.h264_crf) is None else params


def apply(frames_thwc: np.ndarray, params: Params) -> np.ndarray:
    """uint8 (T, H, W, 3) as a camera's JPEGs, then as a recorder's H.264, where each is drawn.

    With H.264 a clip that stands still may flicker, as such files do.
    """
    frames = np.ascontiguousarray(frames_thwc)
    if params.jpeg_quality is not None:
        frames = np.stack([_jpeg(frame_hwc, quality=params.jpeg_quality) for frame_hwc in frames])
    if params.h264_crf is not None:
        frames = _h264(frames, crf=params.h264_crf)
    return frames


def _between(low: int, high: int, share: float) -> int:
    return low + int(share * (high - low + 1))


def _jpeg(frame_hwc: np.ndarray, *, quality: int) -> np.ndarray:
    return simplejpeg.decode_jpeg(simplejpeg.encode_jpeg(frame_hwc, quality=quality))


def _h264(frames_thwc: np.ndarray, *, crf: int) -> np.ndarray:
    height, width = frames_thwc.shape[1:3]
    # 4:2:0 pixels come in pairs: odd sides get one more, which is cut off again.
    even = np.pad(frames_thwc, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), "edge")
    encoder = av.CodecContext.create("libx264", "w")
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(encoder, VideoCodecContext)
    assert isinstance(decoder, VideoCodecContext)
    encoder.height, encoder.width, encoder.pix_fmt = *even.shape[1:3], "yuv420p"
    encoder.time_base = Fraction(1, 25)  # any: nothing depends on it
    encoder.options = {"crf": str(crf)} | FAST | SAME_BYTES
    decoder.thread_type = "NONE"
    to_yuv, to_rgb = VideoReformatter(), VideoReformatter()
    packets = []
    for time, frame_hwc in enumerate(even):
        frame = av.VideoFrame.from_ndarray(frame_hwc, format="rgb24")
        frame = to_yuv.reformat(frame, format="yuv420p", threads=1)
        frame.pts = time
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    decoded = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    rgb = [to_rgb.reformat(frame, format="rgb24", threads=1).to_ndarray() for frame in decoded]
    return np.stack(rgb)[:, :height, :width]
