"""The draws of training clips as tensors."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from keras_t3d.data.clips.clip_draws import ClipDraws, draw_clips
from keras_t3d.data.clips.plan import ReadPlan
from keras_t3d.data.clips.python_calls import call_python


def draw_clips_tensorflow(epoch: tf.Tensor, positions: tf.Tensor, plan: ReadPlan) -> ClipDraws:
    """The TensorFlow form of `draw_clips`: ClipDraws with a leading axis of the positions."""
    frames = plan.clip_spec.num_frames

    def drawn(epoch: np.int64, positions: np.ndarray) -> list[object]:
        return [*draw_clips(plan.seed, int(epoch), positions, frames, plan.augmentation)]

    dtypes = [tf.float64, tf.float64, tf.float64, tf.bool, tf.int64]
    shapes = [(), (frames,), (4,), (), (2,)]
    parts = call_python(drawn, [epoch, positions], dtypes)
    return ClipDraws(
        *(tf.ensure_shape(part, (None, *shape)) for part, shape in zip(parts, shapes, strict=True))
    )
