"""The jobs, one verb a file: read the config, build, run, record."""
