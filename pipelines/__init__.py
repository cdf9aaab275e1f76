"""The jobs, one verb a file: read the config, build, run, record."""

import os

# Before torch is loaded, here and in every process that a job starts: threads that wait for each
# other sleep instead of spinning, or two jobs on one machine stall each other (decision 6).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Torch asks for its large arrays in pages of 2 MB: half of a step on CPU went into making pages of
# 4 KB (decision 17).
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
