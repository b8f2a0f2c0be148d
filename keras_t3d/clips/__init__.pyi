from .clip_spec import IMAGENET_MEAN, IMAGENET_STD, ClipSpec
from .resize import resize_frames, resize_short_side, resize_weights, resized_size
from .tensorflow_view import (
    clip_frames_tensorflow,
    resize_and_crop_tensorflow,
    take_view_tensorflow,
    views_of_videos_tensorflow,
)
from .view import (
    CENTRE,
    Tensor,
    clip_frames,
    crop_offsets,
    crop_positions,
    take_view,
    view_starts,
)

__all__ = [
    "CENTRE",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "ClipSpec",
    "Tensor",
    "clip_frames",
    "clip_frames_tensorflow",
    "crop_offsets",
    "crop_positions",
    "resize_and_crop_tensorflow",
    "resize_frames",
    "resize_short_side",
    "resize_weights",
    "resized_size",
    "take_view",
    "take_view_tensorflow",
    "view_starts",
    "views_of_videos_tensorflow",
]
