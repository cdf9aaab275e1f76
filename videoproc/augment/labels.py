"""What keeps a corpus's labels: a mirrored "left" is not "left"."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from videoproc.augment.settings import NAMES
from videoproc.types import UserError

MIRRORS = ("flip_horizontal", "flip_vertical", "reverse")
"""These make another thing of a movement: they are used only where a corpus declares that they
keep its labels. All others are used unless it declares that they do not."""


@dataclass(frozen=True, kw_only=True)
class LabelRule:
    """What a corpus declares of augmentations, by name (`settings.NAMES`).

    keeps: they keep the labels. changes: they do not.
    """

    keeps: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for setting, names in (("keeps_labels", self.keeps), ("changes_labels", self.changes)):
            for name in names:
                if name not in NAMES:
                    raise UserError(
                        f"{setting} names {name!r}, which is no augmentation: use some of "
                        f"{', '.join(NAMES)}"
                    )
        if both := sorted(set(self.keeps) & set(self.changes)):
            raise UserError(
                f"keeps_labels and changes_labels both name {both[0]!r}: take it out of one of them"
            )

    def check(self, used: Iterable[str], *, dataset: object) -> None:
        """UserError where something that is used is forbidden here."""
        for name in used:
            if name in self.changes:
                raise UserError(
                    f"augmentation {name!r} changes the labels of dataset {dataset}, as its "
                    "changes_labels says: switch it off, or index the dataset with another "
                    "--changes_labels"
                )
            if name in MIRRORS and name not in self.keeps:
                declared = ",".join([*self.keeps, name])  # what is given replaces what was
                raise UserError(
                    f"augmentation {name!r} may change the labels of dataset {dataset}: switch it "
                    "off, or where a clip keeps its label so, declare it with `--keeps_labels "
                    f"[{declared}]` of pipelines.index or pipelines.nightly"
                )
