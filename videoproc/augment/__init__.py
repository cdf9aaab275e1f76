"""Clip to clip, seeded by clip id: parameters are drawn once a clip and hold over its frames.

`device` and `mix` are of the training step and import torch: they are imported by their names.
"""

from videoproc.augment.labels import LabelRule
from videoproc.augment.settings import Augmentation, StepAugmentation
from videoproc.augment.view import AUGMENT_VERSION, View, draw_view, view_of_clip
from videoproc.augment.views import augment_clip, make_views

__all__ = [
    "AUGMENT_VERSION",
    "Augmentation",
    "LabelRule",
    "StepAugmentation",
    "View",
    "augment_clip",
    "draw_view",
    "make_views",
    "view_of_clip",
]
