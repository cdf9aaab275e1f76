"""The training loop in plain torch. It never asks where it runs: a process group makes it data
parallel, and a `report` callable takes its metrics."""
