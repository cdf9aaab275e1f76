"""Runs in MLflow: the only place that knows it. Only a job's driver calls it.

A dataset has two experiments: `<dataset>` holds what is compared (train and evaluate runs),
`<dataset>-processing` the jobs that made the data (index, extract, predict) and the nights.
"""

from videoproc.runlog.jobs import find_run, job_run, night, open_run, resolve_run
from videoproc.runlog.lineage import (
    BEGAN_AS,
    ENSEMBLE,
    FOLDED,
    LEARNED_FROM,
    MEASURED_ON,
    MEMBERS,
    PICTURED,
    Use,
    knows,
    members_of,
    named_versions,
    uses_of,
)
from videoproc.runlog.replay import replay
from videoproc.runlog.run import Run, flatten
from videoproc.runlog.store import shown_uri, tracking_uri

__all__ = [
    "BEGAN_AS",
    "ENSEMBLE",
    "FOLDED",
    "LEARNED_FROM",
    "MEASURED_ON",
    "MEMBERS",
    "PICTURED",
    "Run",
    "Use",
    "find_run",
    "flatten",
    "job_run",
    "knows",
    "members_of",
    "named_versions",
    "night",
    "open_run",
    "replay",
    "resolve_run",
    "shown_uri",
    "tracking_uri",
    "uses_of",
]
