"""Clip to clip, seeded by clip id: parameters are drawn once a clip and hold over its frames."""

from videoproc.augment.views import AUGMENT_VERSION, Augmentation, augment_clip, make_views

__all__ = ["AUGMENT_VERSION", "Augmentation", "augment_clip", "make_views"]
