"""How views are drawn, and what the training step does to clips, as values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How views other than 0 are drawn, each number once for all frames of a clip. The default
    makes none; what is drawn from a range is drawn evenly.

    Args:
        views: views a clip, the clip itself (view 0) included.
        flip_horizontal: mirror half of the views left to right.
        flip_vertical: mirror half of the views top to bottom.
        min_crop_area: smallest share of the frame that a random crop keeps; 1 crops nothing.
        crop_aspect: a crop's width by its height is the frame's times 1 / crop_aspect to
            crop_aspect; 1 keeps it.
        rotate_deg: turn by so many degrees at most, either way; the corners become black.
        jitter: brightness, contrast and saturation are each scaled by 1 - jitter to 1 + jitter.
        hue_deg: turn the hue by so many degrees at most, either way.
        grey: the share of views that lose their colours.
        blur_px: the largest standard deviation of a Gaussian blur, in pixels.
        noise: the largest standard deviation of added noise, of 255 levels; anew in each frame.
        erase_area: the largest share of the frame that a rectangle of one colour covers.
        min_jpeg_quality: compress frames as JPEG of this quality to 95; by default they are not.
        max_h264_crf: compress clips as H.264 of a constant rate factor of 18 to this; by default
            they are not.
        max_speed: play at 1 / max_speed to max_speed of the speed, about the clip's middle.
        shift: move the clip in time by this share of its length at most, either way.
        reverse: play half of the views backwards.
        drop: the share of frames that are lost, and the one before shown in their place.
    """

    views: int = 1
    flip_horizontal: bool = False
    flip_vertical: bool = False
    min_crop_area: float = 0.7
    crop_aspect: float = 1.0
    rotate_deg: float = 0.0
    jitter: float = 0.2
    hue_deg: float = 0.0
    grey: float = 0.0
    blur_px: float = 0.0
    noise: float = 0.0
    erase_area: float = 0.0
    min_jpeg_quality: int | None = None
    max_h264_crf: int | None = None
    max_speed: float = 1.0
    shift: float = 0.0
    reverse: bool = False
    drop: float = 0.0

    def __post_init__(self) -> None:
        jpeg, h264 = self.min_jpeg_quality, self.max_h264_crf
        _check(
            self,
            "augmentation",
            {
                "views": (self.views >= 1, "1 or more (1 adds none)"),
                "min_crop_area": (0.01 <= self.min_crop_area <= 1, "a share from 0.01 to 1"),
                "crop_aspect": (1 <= self.crop_aspect <= 10, "a ratio from 1 to 10"),
                "rotate_deg": (0 <= self.rotate_deg <= 180, "degrees from 0 to 180"),
                "jitter": (0 <= self.jitter < 1, "a share in [0, 1)"),
                "hue_deg": (0 <= self.hue_deg <= 180, "degrees from 0 to 180"),
                "grey": (0 <= self.grey <= 1, "a share from 0 to 1"),
                "blur_px": (0 <= self.blur_px <= 100, "pixels from 0 to 100"),
                "noise": (0 <= self.noise <= 255, "levels from 0 to 255"),
                "erase_area": (0 <= self.erase_area < 1, "a share in [0, 1)"),
                "min_jpeg_quality": (jpeg is None or 1 <= jpeg <= 95, "1 to 95, or null"),
                "max_h264_crf": (h264 is None or 18 <= h264 <= 51, "18 to 51, or null"),
                "max_speed": (1 <= self.max_speed <= 100, "a factor from 1 to 100"),
                "shift": (0 <= self.shift < 1, "a share in [0, 1)"),
                "drop": (0 <= self.drop < 1, "a share in [0, 1)"),
            },
        )

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the bytes of a view: not their number, and no setting that is at its
        default, so that a new kind leaves the ids of views that lack it."""
        defaults = asdict(Augmentation(views=self.views))
        return {name: value for name, value in asdict(self).items() if value != defaults[name]}

    @property
    def used(self) -> tuple[str, ...]:
        """The names, as a corpus declares them, of what is done to views."""
        return _used(self) if self.views > 1 else ()


@dataclass(frozen=True, kw_only=True)
class StepAugmentation:
    """What the training step does to clips on the model's device, anew in each epoch. The default
    does nothing.

    Args:
        flip_horizontal: mirror half of the clips left to right.
        flip_vertical: mirror half of the clips top to bottom.
        min_crop_area: smallest share of the frame that a random crop keeps; 1 crops nothing.
        crop_aspect: a crop's width by its height is the frame's times 1 / crop_aspect to
            crop_aspect; 1 keeps it.
        jitter: brightness, contrast and saturation are each scaled by 1 - jitter to 1 + jitter.
        mixup: mix clips in pairs by shares of Beta(mixup, mixup) (Zhang et al. 2018); 0 does not.
        cutmix: replace a rectangle of each clip by its partner's, its area of Beta(cutmix, cutmix)
            (Yun et al. 2019); 0 does not. With mixup too, half of the batches are for each.
    """

    flip_horizontal: bool = False
    flip_vertical: bool = False
    min_crop_area: float = 1.0
    crop_aspect: float = 1.0
    jitter: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        _check(
            self,
            "loop.augmentation",
            {
                "min_crop_area": (0.01 <= self.min_crop_area <= 1, "a share from 0.01 to 1"),
                "crop_aspect": (1 <= self.crop_aspect <= 10, "a ratio from 1 to 10"),
                "jitter": (0 <= self.jitter < 1, "a share in [0, 1)"),
                "mixup": (0 <= self.mixup <= 100, "a number from 0 to 100, such as 0.2"),
                "cutmix": (0 <= self.cutmix <= 100, "a number from 0 to 100, such as 1"),
            },
        )

    @property
    def of_each_clip(self) -> Augmentation:
        """What is drawn for each clip alone, as for a view."""
        return Augmentation(
            views=2,
            flip_horizontal=self.flip_horizontal,
            flip_vertical=self.flip_vertical,
            min_crop_area=self.min_crop_area,
            crop_aspect=self.crop_aspect,
            jitter=self.jitter,
        )

    @property
    def mixes(self) -> bool:
        return self.mixup > 0 or self.cutmix > 0

    @property
    def used(self) -> tuple[str, ...]:
        """The names, as a corpus declares them, of what is done to clips."""
        mixing = {"mixup": self.mixup > 0, "cutmix": self.cutmix > 0}
        return self.of_each_clip.used + tuple(name for name, is_on in mixing.items() if is_on)


NAMES = (
    "flip_horizontal",
    "flip_vertical",
    "crop",
    "rotate",
    "jitter",
    "hue",
    "grey",
    "blur",
    "noise",
    "erase",
    "compress",
    "speed",
    "shift",
    "reverse",
    "drop",
    "mixup",
    "cutmix",
)
"""What a corpus can say of an augmentation, it says under these names."""


def _used(augmentation: Augmentation) -> tuple[str, ...]:
    is_on = {
        "flip_horizontal": augmentation.flip_horizontal,
        "flip_vertical": augmentation.flip_vertical,
        "crop": augmentation.min_crop_area < 1 or augmentation.crop_aspect > 1,
        "rotate": augmentation.rotate_deg > 0,
        "jitter": augmentation.jitter > 0,
        "hue": augmentation.hue_deg > 0,
        "grey": augmentation.grey > 0,
        "blur": augmentation.blur_px > 0,
        "noise": augmentation.noise > 0,
        "erase": augmentation.erase_area > 0,
        "compress": (augmentation.min_jpeg_quality or augmentation.max_h264_crf) is not None,
        "speed": augmentation.max_speed > 1,
        "shift": augmentation.shift > 0,
        "reverse": augmentation.reverse,
        "drop": augmentation.drop > 0,
    }
    return tuple(name for name, on in is_on.items() if on)


def _check(settings: object, prefix: str, rules: dict[str, tuple[bool, str]]) -> None:
    for name, (is_right, remedy) in rules.items():
        if not is_right:
            raise ValueError(f"{prefix}.{name} is {getattr(settings, name)}: use {remedy}")
