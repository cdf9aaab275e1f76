"""Writing a synthetic corpus to disk: videos, lists and truth.

corpus.json              the config; written last, so a folder that has it is whole
videos.csv               file, label, source
videos/<class>/cam03_017.mp4
videos/<class>/cam00_copy.mp4     the bytes of another video of the class
videos/<class>/cam00_broken.mp4   cut short
videos/cam00_long.mp4             one event of each class, at the times that its truth tells
truth/cam03_017.json
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from videoproc.corpus.synthetic.actions import LABELS, draw_motion
from videoproc.corpus.synthetic.config import Item, SyntheticConfig, list_items, source_name
from videoproc.corpus.synthetic.scene import Actor, Camera, draw_actor, draw_camera, draw_frames
from videoproc.corpus.synthetic.truth import describe_frames
from videoproc.media import write_video
from videoproc.types import UserError

SYNTHETIC_VERSION = 1
"""Raise it when the same config gives other bytes."""

GOP_FRAMES = 12
"""About a key frame a second: a clip has several, so that seeking has something to find."""

# x264's bytes depend on the number of its threads and on the CPU, and with mbtree they changed
# even from run to run (x264 165, small frames: 6 of 960 encodings, against 0 of 960 like this).
SAME_BYTES = {"threads": "1", "x264-params": "mbtree=0:cpu-independent=1"}

LONG_FILE = f"videos/{source_name(0)}_long.mp4"

# The streams of random numbers of one seed: each drawn thing has its own, so that neither the
# number of videos nor the order of drawing changes any one of them.
_CAMERA, _VIDEO, _LONG = range(3)


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What `synthesize` left: `videos` of the config, and three special files beside them.

    written: False when the corpus was there already.
    """

    output: Path
    videos: int
    broken: str
    duplicate: tuple[str, str]
    long: str
    written: bool


def synthesize(
    output: Path,
    config: SyntheticConfig,
    on_progress: Callable[[int, int], None] | None = None,
) -> Summary:
    """Write the corpus of `config` into the folder `output`; the same config, the same bytes.

    on_progress: called with the videos done and their number, after each video.
    Errors: UserError if the folder holds anything else, another synthetic corpus included.
    """
    marker = output / "corpus.json"
    wanted = {"version": SYNTHETIC_VERSION, **asdict(config)}
    items = list_items(config)
    if marker.exists():
        _check_same(marker, wanted)
        return _summary(output, items, written=False)
    unfinished = output / "corpus.json.unfinished"
    _clear(output, unfinished)
    unfinished.write_text(json.dumps(wanted, indent=2) + "\n")
    for folder in ("truth", *(f"videos/{label}" for label in LABELS)):
        (output / folder).mkdir(parents=True)
    write_one = partial(_write_item, output, config)
    with _mapper(len(items)) as mapper:
        for done, _ in enumerate(mapper(write_one, items), start=1):
            if on_progress is not None:
                on_progress(done, len(items))
    _write_long(output, config)
    summary = _summary(output, items, written=True)
    _write_flawed(output, summary, items)
    _write_list(output, summary, items)
    unfinished.rename(marker)
    return summary


def _check_same(marker: Path, wanted: dict[str, Any]) -> None:
    found = json.loads(marker.read_text())
    if changed := sorted(key for key in wanted if found.get(key) != wanted[key]):
        was = ", ".join(f"{key} {found.get(key)!r}, not {wanted[key]!r}" for key in changed)
        raise UserError(
            f"{str(marker.parent)!r} holds a synthetic corpus of another config ({was}); "
            "choose another folder or delete this one"
        )


def _clear(output: Path, unfinished: Path) -> None:
    """Make the folder empty, if what it holds is an unfinished corpus."""
    output.mkdir(parents=True, exist_ok=True)
    if unfinished.exists():
        for folder in ("videos", "truth"):
            shutil.rmtree(output / folder, ignore_errors=True)
    elif any(output.iterdir()):
        raise UserError(
            f"{str(output)!r} is not empty and holds no synthetic corpus; choose an empty folder"
        )


@contextmanager
def _mapper(num_items: int) -> Iterator[Callable[..., Any]]:
    """A `map` over processes, or over none where starting them would take longer than drawing."""
    workers = min(os.cpu_count() or 1, num_items // 24)
    if workers < 2:
        yield map
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield partial(pool.map, chunksize=4)


def _camera(config: SyntheticConfig, source_index: int) -> Camera:
    rng = np.random.default_rng((config.seed, _CAMERA, source_index))
    scale = 1.0 + 0.25 * (source_index % 5) / 4
    return draw_camera(
        rng,
        height=2 * round(config.height * scale / 2),
        width=2 * round(config.width * scale / 2),
        fps=config.fps * (1.25 if source_index % 3 == 2 else 1.0),
    )


def _action(
    camera: Camera, label: str, rng: np.random.Generator, *, duration_s: float, start_frame: int
) -> Actor:
    motion = draw_motion(
        label,
        rng,
        num_frames=round(duration_s * camera.fps),
        height=camera.height,
        width=camera.width,
    )
    return draw_actor(rng, motion, start_frame=start_frame)


def _write_item(output: Path, config: SyntheticConfig, item: Item) -> None:
    """One short video: one action, from the first frame to the last."""
    rng = np.random.default_rng((config.seed, _VIDEO, item.index))
    camera = _camera(config, item.source_index)
    actor = _action(camera, item.label, rng, duration_s=config.duration_s, start_frame=0)
    _record(
        output,
        file=item.file,
        source=item.source,
        camera=camera,
        actors={item.label: actor},
        rng=rng,
        num_frames=len(actor.motion.radius_px),
    )


def _write_long(output: Path, config: SyntheticConfig) -> None:
    """One action of each class in random order, before, between and after them an empty scene."""
    rng = np.random.default_rng((config.seed, _LONG))
    camera = _camera(config, 0)
    actors = {}
    end_frame = 0
    for label in rng.permutation(LABELS).tolist():
        start_frame = end_frame + round(rng.uniform(0.5, 1.5) * camera.fps)
        actors[label] = _action(
            camera, label, rng, duration_s=config.duration_s, start_frame=start_frame
        )
        end_frame = start_frame + len(actors[label].motion.radius_px)
    _record(
        output,
        file=LONG_FILE,
        source=source_name(0),
        camera=camera,
        actors=actors,
        rng=rng,
        num_frames=end_frame + round(camera.fps),
    )


def _record(
    output: Path,
    *,
    file: str,
    source: str,
    camera: Camera,
    actors: dict[str, Actor],
    rng: np.random.Generator,
    num_frames: int,
) -> None:
    """Draw the actors, one for each label, and write the video and its truth."""
    frames, masks = draw_frames(camera, list(actors.values()), rng, num_frames=num_frames)
    write_video(output / file, frames, fps=camera.fps, gop_frames=GOP_FRAMES, options=SAME_BYTES)
    events = [
        [a.start_frame / camera.fps, (a.start_frame + len(a.motion.radius_px)) / camera.fps, label]
        for label, a in actors.items()
    ]
    truth = {
        "file": file,
        "label": next(iter(actors)) if len(actors) == 1 else None,
        "source": source,
        "fps": camera.fps,
        "height": camera.height,
        "width": camera.width,
        "events": events,
        "frames": describe_frames(masks),
    }
    text = json.dumps(truth, separators=(",", ":")) + "\n"
    (output / "truth" / Path(file).with_suffix(".json").name).write_text(text)


def _summary(output: Path, items: list[Item], *, written: bool) -> Summary:
    source = source_name(0)
    return Summary(
        output=output,
        videos=len(items),
        broken=f"videos/{items[1].label}/{source}_broken.mp4",
        duplicate=(items[0].file, f"videos/{items[0].label}/{source}_copy.mp4"),
        long=LONG_FILE,
        written=written,
    )


def _write_flawed(output: Path, summary: Summary, items: list[Item]) -> None:
    """What every real corpus has: a file that was cut short, and one that is there twice."""
    whole = (output / items[1].file).read_bytes()
    # Within the index that stands at the front: cut later, the first frames could be read.
    (output / summary.broken).write_bytes(whole[:256])
    original, copy = summary.duplicate
    shutil.copyfile(output / original, output / copy)


def _write_list(output: Path, summary: Summary, items: list[Item]) -> None:
    flawed = [(summary.broken, items[1]), (summary.duplicate[1], items[0])]
    rows = [(item.file, item.label, item.source) for item in items]
    rows += [(file, item.label, item.source) for file, item in flawed]
    rows.append((LONG_FILE, "", source_name(0)))
    with (output / "videos.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "label", "source"])
        writer.writerows(sorted(rows))
