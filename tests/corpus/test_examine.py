"""One file's digest and header, or what is wrong with it."""

import hashlib

from videoproc.corpus.examine import examine


def test_a_video_has_the_digest_of_its_bytes_and_its_header(small_corpus):
    path = small_corpus / "videos" / "left" / "cam00_000.mp4"
    finding = examine(str(path))
    assert finding.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert finding.size_bytes == path.stat().st_size
    assert finding.error is None
    assert (finding.header.height, finding.header.width, finding.header.num_frames) == (48, 64, 12)


def test_a_file_that_is_not_there_has_the_digest_of_its_uri(tmp_path):
    uri = str(tmp_path / "gone.mp4")
    finding = examine(uri)
    assert finding.digest == hashlib.sha256(uri.encode()).hexdigest()
    assert finding.error.startswith("FileNotFoundError")


def test_a_file_that_is_no_video_keeps_its_own_digest(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    finding = examine(str(tmp_path / "a.mp4"))
    assert finding.digest == hashlib.sha256(b"no video").hexdigest()
    assert finding.error.startswith("InvalidDataError")
