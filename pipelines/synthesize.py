"""Make a labelled corpus of real H.264 files with known truth."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines import cli
from videoproc.corpus.synthetic import Summary, SyntheticConfig, synthesize
from videoproc.report.progress import Progress, say


@dataclass(frozen=True, kw_only=True)
class SynthesizeConfig(SyntheticConfig):
    """What synthesize does.

    Args:
        output: the folder that the corpus is written into.
        videos: short labelled videos; one long, one broken and one duplicate come on top.
        seed: the same seed gives the same bytes.
        num_sources: cameras; each has its own place, palette, noise and shake.
        height: pixels of the first camera's frames.
        width: pixels of the first camera's frames.
        fps: frames a second.
        duration_s: length of each short video.
    """

    output: str


def run(config: SynthesizeConfig) -> Summary:
    """Make a labelled corpus of real H.264 files with known truth."""
    output = cli.local(config.output, setting="output")
    scenes = SyntheticConfig(
        **{name: getattr(config, name) for name in SyntheticConfig.__dataclass_fields__}
    )
    progress = Progress(job="synthesize", unit="videos", total=config.videos)
    summary = synthesize(output, scenes, on_progress=lambda done, _: progress.advance_to(done))
    progress.close()
    said = "written" if summary.written else "there already"
    say("synthesize", f"{config.videos} videos and 3 special files in {output}: {said}")
    return summary


if __name__ == "__main__":
    cli.main(run, SynthesizeConfig)
