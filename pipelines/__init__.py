"""The jobs, one verb a file: read the config, build, run, record."""

import os

# Before torch is loaded, here and in every process that a job starts: threads that wait for each
# other sleep instead of spinning, or two jobs on one machine stall each other (decision 6).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
