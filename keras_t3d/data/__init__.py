"""Videos to clip shards, shards to clips.

```
source -> plan -> encode (workers) -> shards
shards -> sampling -> decoding -> augmentation -> clips
```

Names load when first used, so that a conversion worker imports no TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_t3d.data.augmentation import Augmentation
    from keras_t3d.data.clip_dataset import ClipDataset
    from keras_t3d.data.conversion import convert
    from keras_t3d.data.conversion_report import ConversionReport
    from keras_t3d.data.frame_features import FrameFeatures
    from keras_t3d.data.inspection import contact_sheet, summarize
    from keras_t3d.data.motion import (
        MOTION_CLASSES,
        OPPOSITES,
        motion_clips,
        render_motion,
        write_motion_set,
    )
    from keras_t3d.data.pipeline import load_clips
    from keras_t3d.data.shards.shard_set import ShardSet
    from keras_t3d.data.steps import steps_per_epoch
    from keras_t3d.data.unlabelled_clips import UnlabelledClipDataset, load_unlabelled_clips
    from keras_t3d.data.video import (
        DamagedVideoWarning,
        Video,
        VideoError,
        VideoReader,
        read_video,
    )
    from keras_t3d.data.views import load_views

_ROOMS = {
    "Augmentation": "augmentation",
    "ClipDataset": "clip_dataset",
    "ConversionReport": "conversion_report",
    "DamagedVideoWarning": "video",
    "FrameFeatures": "frame_features",
    "MOTION_CLASSES": "motion",
    "OPPOSITES": "motion",
    "ShardSet": "shards.shard_set",
    "UnlabelledClipDataset": "unlabelled_clips",
    "Video": "video",
    "VideoError": "video",
    "VideoReader": "video",
    "contact_sheet": "inspection",
    "convert": "conversion",
    "load_clips": "pipeline",
    "load_unlabelled_clips": "unlabelled_clips",
    "load_views": "views",
    "motion_clips": "motion",
    "read_video": "video",
    "render_motion": "motion",
    "steps_per_epoch": "steps",
    "summarize": "inspection",
    "write_motion_set": "motion",
}
__all__ = [
    "MOTION_CLASSES",
    "OPPOSITES",
    "Augmentation",
    "ClipDataset",
    "ConversionReport",
    "DamagedVideoWarning",
    "FrameFeatures",
    "ShardSet",
    "UnlabelledClipDataset",
    "Video",
    "VideoError",
    "VideoReader",
    "contact_sheet",
    "convert",
    "load_clips",
    "load_unlabelled_clips",
    "load_views",
    "motion_clips",
    "read_video",
    "render_motion",
    "steps_per_epoch",
    "summarize",
    "write_motion_set",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return getattr(importlib.import_module(f"keras_t3d.data.{_ROOMS[name]}"), name)
    raise AttributeError(f"module 'keras_t3d.data' has no attribute {name!r}")
