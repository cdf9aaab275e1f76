"""Frames into a video file."""

from __future__ import annotations

import itertools
import math
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.format import VideoFormat
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter
from av.video.stream import VideoStream

from videoproc import storage
from videoproc.storage import Anywhere, RemotePath

MIN_FPS = 0.001  # a picture in a quarter of an hour
MAX_RATE_DENOMINATOR = 60_060  # 30000/1001 from 29.97003 too


def write_video(
    path: str | Anywhere,
    frames: Iterable[np.ndarray],
    *,
    fps: float,
    codec: str = "libx264",
    crf: int | None = 23,
    pix_fmt: str = "yuv420p",
    gop_frames: int = 30,
    bframes: int = 0,
    rotation_deg: int = 0,
    pts: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
) -> None:
    """Encode frames into the container that the suffix of `path` names, whole or not at all.

    frames: uint8, RGB (H, W, 3) or grey (H, W), all of one shape; taken one at a time, so that a
    long video needs no big array. Where `pix_fmt` keeps colours of several pixels together (4:2:0
    those of 2 x 2) and a side does not divide, the last row or column is repeated: the picture
    keeps all its own pixels and gains a column or row. path: of this machine, or s3://.

    fps: frames a second, a constant rate. crf: quality, where the codec has it; None for codecs
    that do not. pix_fmt: what is stored; 10 bits with "yuv420p10le". gop_frames: at most so many
    frames from key frame to key frame. rotation_deg: a note in the header to turn the picture
    counter-clockwise by so much. pts: the frames' ascending times in units of 1 / fps, for a
    variable rate or another start. options: passed to the encoder.

    The file appears under its name when it is complete; until then, and when anything fails,
    what was there before stays. Colours are stored as BT.601 and tagged so; an MP4 has its index
    first. A wrong argument or frame is a ValueError that names it, a folder that is not there a
    FileNotFoundError; what `frames` itself raises comes through.

    >>> import tempfile
    >>> grey_ramp = np.linspace(0, 255, 64, dtype=np.uint8) * np.ones((48, 1), np.uint8)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_video(Path(folder) / "ramp.mp4", [grey_ramp] * 10, fps=25)
    ...     with av.open(str(Path(folder) / "ramp.mp4")) as video:
    ...         stream = video.streams.video[0]
    ...         print(stream.codec.name, stream.width, stream.height, stream.frames)
    h264 64 48 10
    """
    if isinstance(frames, np.ndarray) and frames.ndim < 4 and frames.shape[-1] in (3, 4):
        raise ValueError(f"frames is one picture, of shape {frames.shape}: give a list of them")
    if not MIN_FPS <= fps < math.inf:
        raise ValueError(f"fps is {fps}: give {MIN_FPS} or more")
    place = storage.at(path)
    rate = Fraction(fps).limit_denominator(MAX_RATE_DENOMINATOR)
    pictures = _checked(frames, pts=pts)
    first = next(pictures, None)
    if first is None:
        raise ValueError(f"no frames to write to {str(place)!r}: give one or more")
    with _whole_file(place) as file, _container(file, codec=codec, rate=rate) as opened:
        container, stream = opened
        to_stored = _Conversion(first[1], pix_fmt=pix_fmt)
        stream.width, stream.height = to_stored.width, to_stored.height
        stream.pix_fmt = pix_fmt
        context = stream.codec_context
        context.gop_size, context.max_b_frames = gop_frames, bframes
        context.time_base = 1 / rate
        context.options = ({} if crf is None else {"crf": str(crf)}) | (options or {})
        to_stored.tag(stream)
        if rotation_deg:
            stream.set_display_rotation(rotation_deg)
        try:
            container.start_encoding()
        except OSError:  # of the disk, not of the arguments
            raise
        except av.FFmpegError as error:
            raise ValueError(
                f"{codec} in {pix_fmt} of {stream.width}x{stream.height} pixels does not go into "
                f"{file.suffix!r}: {error}"
            ) from error
        for time, frame in itertools.chain([first], pictures):
            picture = to_stored(frame)
            picture.pts, picture.time_base = time, 1 / rate
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def _checked(
    frames: Iterable[np.ndarray], *, pts: Sequence[int] | None
) -> Iterator[tuple[int, np.ndarray]]:
    """(time, frame), as long as they fit the first."""
    shape: tuple[int, ...] | None = None
    last = None
    for i, frame in enumerate(frames):
        array = np.asarray(frame)
        if array.dtype != np.uint8 or not (
            array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)
        ):
            raise ValueError(
                f"frame {i} is {array.dtype} {array.shape}: give uint8, (H, W, 3) RGB or (H, W)"
            )
        if 0 in array.shape:
            raise ValueError(f"frame {i} is {array.shape}: it has no pixels")
        shape = shape or array.shape
        if array.shape != shape:
            raise ValueError(f"frame {i} is {array.shape}, frame 0 was {shape}: give one shape")
        if pts is not None and i >= len(pts):
            raise ValueError(f"frame {i} has no time: pts has {len(pts)}")
        time = i if pts is None else int(pts[i])
        if last is not None and time <= last:
            raise ValueError(f"frame {i} has pts {time}, the one before {last}: they must ascend")
        last = time
        yield time, array


@contextmanager
def _whole_file(place: Anywhere) -> Iterator[Path]:
    """A file to write, which comes to its place when the block ends well, and else goes."""
    if isinstance(place, RemotePath):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"video{place.suffix}"
            yield file
            storage.write_whole(place, file.read_bytes())
        return
    place = place.absolute()
    if not place.parent.is_dir():
        raise FileNotFoundError(f"no folder {str(place.parent)!r} to write {place.name!r} into")
    # In the same folder, so that a rename is enough; hidden, so that no corpus takes it in; with
    # the suffix, which tells FFmpeg the container.
    file = place.parent / f".{uuid.uuid4().hex}{place.suffix}"
    try:
        yield file
        file.rename(place)
    finally:
        file.unlink(missing_ok=True)


@contextmanager
def _container(
    file: Path, *, codec: str, rate: Fraction
) -> Iterator[tuple[OutputContainer, VideoStream]]:
    # The index of an MP4 goes to the front, so that a reader need not go to the end first.
    options = {"movflags": "+faststart"} if file.suffix.lower() in FASTSTART else {}
    try:
        container = av.open(str(file), "w", options=options)
    except ValueError as error:  # FFmpeg's way to say that it knows no such container
        raise ValueError(
            f"{file.suffix!r} is the suffix of no video container: use .mp4, .mkv, .webm or another"
        ) from error
    with container:
        try:
            is_video = av.Codec(codec, "w").type == "video"
            stream = container.add_stream(codec, rate=rate) if is_video else None
        except ValueError as error:
            raise ValueError(f"codec {codec!r} does not go into {file.suffix!r}") from error
        if not isinstance(stream, VideoStream):
            raise ValueError(f"codec {codec!r} is not for video: use libx264")
        yield container, stream


FASTSTART = (".mp4", ".mov", ".m4v")


class _Conversion:
    """Frames in the colours and the size that are stored.

    BT.601, since it is what FFmpeg takes a file for that cannot say (AVI, MPEG-4): so colours
    come back right there too.
    """

    def __init__(self, frame: np.ndarray, *, pix_fmt: str) -> None:
        try:
            self._format = VideoFormat(pix_fmt, 16, 16)
        except ValueError as error:
            raise ValueError(f"pix_fmt {pix_fmt!r} is not known: use yuv420p") from error
        self._source = "rgb24" if frame.ndim == 3 else "gray"
        height, width = frame.shape[:2]
        self._pad_rows = -height % (16 // self._format.chroma_height())
        self._pad_columns = -width % (16 // self._format.chroma_width())
        self.height, self.width = height + self._pad_rows, width + self._pad_columns
        self._range = ColorRange.JPEG if pix_fmt.startswith("yuvj") else ColorRange.MPEG
        self._reformatter = VideoReformatter()  # keeps its tables from frame to frame

    @property
    def _has_matrix(self) -> bool:
        return not self._format.is_rgb and len(self._format.components) >= 3

    def tag(self, stream: VideoStream) -> None:
        """Note in the stream what `__call__` does, so that a player undoes just that."""
        if self._has_matrix:
            context = stream.codec_context
            context.color_range = self._range
            context.colorspace = Colorspace.ITU601
            # The pixels of a screen, which is what RGB without a profile is.
            context.color_primaries = ColorPrimaries.BT709
            context.color_trc = ColorTrc.BT709

    def __call__(self, frame: np.ndarray) -> av.VideoFrame:
        if self._pad_rows or self._pad_columns:
            sides = [(0, self._pad_rows), (0, self._pad_columns), (0, 0)]
            frame = np.pad(frame, sides[: frame.ndim], mode="edge")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format=self._source)
        colours = (
            {"dst_colorspace": Colorspace.ITU601, "dst_color_range": self._range}
            if self._has_matrix
            else {}
        )
        return self._reformatter.reformat(picture, format=self._format.name, **colours)
