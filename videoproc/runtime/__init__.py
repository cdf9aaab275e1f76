"""All of Ray. What it reads from the environment when it is imported is set here, before that."""

import os

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
# A job's output is for people: what Ray repeats of its workers' warnings is not.
os.environ.setdefault("RAY_DEDUP_LOGS", "1")
if not os.environ.get("RAY_ADDRESS"):  # a cluster of its own is on loopback, which Ray calls so
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
