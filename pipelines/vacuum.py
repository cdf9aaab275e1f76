"""Delete files that no table version names which is still needed; say what that is."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines import cli
from pipelines.lineage import check_runs
from videoproc import runlog
from videoproc.report.progress import say
from videoproc.tables import Dataset


@dataclass(frozen=True, kw_only=True)
class VacuumConfig:
    """What vacuum does.

    A file of a table is kept if the table's last version names it, or a version that a run in
    MLflow names (its tags `table_version.<table>`), or if it is younger than min_age_hours: a job
    that runs now has written files that it has not committed yet. All others are deleted.

    Args:
        data: the dataset folder.
        min_age_hours: how old a file must be; longer than any job takes between two commits.
        dry_run: say what would go, and delete nothing.
        no_runs: go on although MLflow knows no run of this dataset, and keep the last versions
            alone. Without it that is an error, since another workspace or server looks the same.
    """

    data: str
    min_age_hours: float = 24.0
    dry_run: bool = False
    no_runs: bool = False

    def __post_init__(self) -> None:
        if not self.min_age_hours >= 0:
            raise ValueError(f"min_age_hours is {self.min_age_hours}: use 0 or more")


def vacuum(config: VacuumConfig) -> int:
    """Delete files that no table version names which is still needed; say what that is."""
    dataset = Dataset(folder=cli.absolute(config.data))
    dataset.require_manifest()
    # A store that does not answer ends the job here: nothing is deleted on a guess.
    check_runs(dataset, remedy="or say --no_runs if there is none", needed=not config.no_runs)
    named = runlog.named_versions(dataset.folder, workspace=cli.workspace())
    verb, total = ("would go" if config.dry_run else "deleted"), 0
    for name, table in (dataset.tables() | {"lease": dataset.lease}).items():
        keep = named.get(name, set())
        gone = table.vacuum(
            keep_versions=keep, min_age_s=config.min_age_hours * 3600, dry_run=config.dry_run
        )
        total += len(gone)
        if gone or keep:
            kept = f", {len(keep)} older versions kept for runs that name them" if keep else ""
            say("vacuum", f"{name}: {len(gone)} files {verb}{kept}")
    say("vacuum", f"{total} files {verb}; younger than {config.min_age_hours:g} h were kept")
    return total


if __name__ == "__main__":
    cli.main(vacuum, VacuumConfig)
