"""A corpus out of nothing: real H.264 files whose every label, box, mask and event is known."""

from videoproc.corpus.synthetic.actions import LABELS
from videoproc.corpus.synthetic.config import SyntheticConfig
from videoproc.corpus.synthetic.write import Summary, synthesize

__all__ = ["LABELS", "Summary", "SyntheticConfig", "synthesize"]
