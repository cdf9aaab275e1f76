"""Errors cross from process to process."""

from __future__ import annotations

import pickle

from videoproc.media import MediaError


def test_a_media_error_survives_pickling():
    error = pickle.loads(pickle.dumps(MediaError("Crash", "ended by SIGSEGV")))
    assert (error.error_class, error.message) == ("Crash", "ended by SIGSEGV")
    assert str(error) == "Crash: ended by SIGSEGV"
