"""Every block of docs/reading-tables.md, run on a small dataset."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from videoproc.schema import content_id
from videoproc.tables import Dataset, FrameFormat, decode_frames, read
from videoproc.tables.frames import encode_frames
from videoproc.types import Row, UserError

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "reading-tables.md"
BLOCKS = re.findall(r"```(python|sh)\n(.*?)```", DOCUMENT.read_text(), flags=re.S)

JPEG_CLIPS = 5


@pytest.fixture
def demo(extracted: Path, tmp_path: Path) -> Path:
    """The dataset at the address that the document has, with clips in JPEG beside the raw ones."""
    (tmp_path / "workspace").mkdir()
    data = extracted.rename(tmp_path / "workspace" / "demo")
    clips = Dataset(folder=data).clips
    clips.append_rows([in_jpeg(row) for row in clips.read().to_pylist()[:JPEG_CLIPS]])
    return data


def in_jpeg(row: Row) -> Row:
    frames = encode_frames(decode_frames(row), FrameFormat(encoding="jpeg"))
    clip_id = content_id(row["clip_id"], "jpeg")
    return row | {"clip_id": clip_id, "encoding": "jpeg", "frames": frames}


@pytest.mark.usefixtures("demo")
@pytest.mark.parametrize("block", [text for language, text in BLOCKS if language == "python"])
def test_a_python_block_runs(block: str) -> None:
    exec(compile(block, str(DOCUMENT), "exec"), {})


@pytest.mark.usefixtures("demo")
def test_the_pictures_of_jpeg_clips_are_files_that_pillow_opens(tmp_path: Path) -> None:
    (block,) = (text for _, text in BLOCKS if "write_bytes" in text)
    exec(compile(block, str(DOCUMENT), "exec"), {})
    sizes = [Image.open(path).size for path in tmp_path.glob("*.jpg")]
    assert sizes == [(16, 16)] * JPEG_CLIPS


@pytest.mark.usefixtures("demo")
@pytest.mark.parametrize("block", [text for language, text in BLOCKS if language == "sh"])
def test_a_shell_block_runs(block: str) -> None:
    root = DOCUMENT.parents[1]
    command = block.strip().replace("python ", f"{sys.executable} ", 1)
    said = subprocess.run(
        command, shell=True, capture_output=True, text=True, env={"PYTHONPATH": str(root)}
    )
    assert said.returncode == 0, said.stderr
    assert "error_class" in said.stdout


def test_an_older_version_reads_as_it_was(demo: Path) -> None:
    clips = Dataset(folder=demo).clips
    before, version = clips.read(["clip_id"]), clips.version
    clips.delete("clip_id", before["clip_id"].to_pylist()[:5])
    assert read(str(demo), "clips", ["clip_id"]).num_rows == before.num_rows - 5
    assert read(str(demo), "clips", ["clip_id"], version=version).equals(before)


def test_a_table_that_is_not_there_is_named_with_those_that_are(demo: Path) -> None:
    with pytest.raises(UserError, match=r"no table 'clip'; there are manifest, .*clips"):
        read(str(demo), "clip")
