"""3-D convolution in the fastest correct way that the backend offers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_t3d.layers.operations.custom_gradient import custom_gradient
from keras_t3d.layers.operations.frame_convolution import (
    convolve_each_frame,
    runs_on_gpu,
    without_idle_stride,
)
from keras_t3d.layers.operations.padding import (
    Padding,
    pad,
    paddings,
    unmerged,
    without_unread_frames,
)
from keras_t3d.layers.temporal_windows import TemporalWindows


def convolve(
    clips: Any,
    kernel: Any,
    strides: Sequence[int] = (1, 1, 1),
    padding: Padding = Padding(),  # noqa: B008  immutable
) -> Any:
    """Convolves clips that are padded with zeros.

    The number of groups is the ratio of the channels of clips and kernel.

    Args:
        clips: tensor of shape (batch, time, height, width, channels), all sizes but the batch
            static.
        kernel: tensor of shape (time, height, width, channels // groups, filters).
        strides: strides (time, height, width).
        padding: the zeros around a clip; by default even, as PyTorch pads: (k - 1) // 2 before
            and k // 2 after for a kernel of size k.

    Returns:
        Tensor of shape (batch, time, height, width, filters).
    """
    clips, padding = without_unread_frames(clips, kernel.shape[0], strides[0], padding)
    kernel = _reachable_taps(clips, kernel, strides[0], padding)
    groups = clips.shape[-1] // kernel.shape[-2]
    if keras.backend.backend() != "tensorflow":
        return _pad_and_convolve(clips, kernel, strides, padding)
    if groups > 1:
        if is_temporal(clips, kernel, strides):
            return _convolve_over_time(clips, kernel, padding)
        return _convolve_frames(clips, kernel, strides, padding)
    if runs_on_gpu():
        return _pad_and_convolve(clips, kernel, strides, padding)
    return _convolve_on_cpu(clips, kernel, strides, padding)


def _reachable_taps(clips: Any, kernel: Any, stride: int, padding: Padding) -> Any:
    """Drops the temporal taps that only meet padding, such as two of three taps over one frame.

    The rest of the kernel is padded by the same rule as the whole.
    """
    depth, frames = kernel.shape[0], clips.shape[1]
    if frames is None or stride > 1 or padding.time == "valid":
        return kernel
    before, after = padding.of_time(depth, stride)
    first, last = before - min(before, frames - 1), before + min(after, frames - 1)
    if last - first + 1 == depth:
        return kernel
    # The gradient of kernel[first : last + 1] is slow in TensorFlow.
    return ops.slice(kernel, (first, 0, 0, 0, 0), (last - first + 1, *kernel.shape[1:]))


def _pad_and_convolve(clips: Any, kernel: Any, strides: Sequence[int], padding: Padding) -> Any:
    sizes = tuple(kernel.shape[:3])
    pads_evenly = all(size % 2 for size in sizes) or _same_puts_more_zeros_last()
    pads_evenly = pads_evenly and (padding.time == "even" or sizes[0] == 1)
    left = "same"
    if max(strides) > 1 or not pads_evenly or _has_no_whole_window(clips, kernel):
        clips, left = pad(clips, kernel, strides, padding), "valid"
        clips, strides = without_idle_stride(clips, kernel, strides)
    y = ops.conv(clips, kernel, tuple(strides), left, data_format="channels_last")
    return unmerged(y) if keras.backend.backend() == "tensorflow" else y


def _same_puts_more_zeros_last() -> bool:
    return keras.backend.backend() in ("tensorflow", "jax")


def _convolve_on_cpu(clips: Any, kernel: Any, strides: Sequence[int], padding: Padding) -> Any:
    """Selects the fastest of several equivalent forms, see `benchmarks/convolution.py`."""
    if max(strides) > 1:
        if _is_thin(clips, kernel) and padding == Padding():
            return _convolve_stacked_frames(clips, kernel, strides)
        return _convolve_padded(clips, kernel, strides, padding)
    if tuple(kernel.shape[:3]) == (1, 1, 1):
        return _matrix_product(clips, kernel)
    if kernel.shape[0] == 1:
        return _convolve_frames(clips, kernel, strides, padding)
    return _convolve_by_taps(clips, kernel, padding)


def _is_thin(clips: Any, kernel: Any) -> bool:
    """Returns whether bfloat16's matrix units need more channels, and there are taps to join."""
    return clips.dtype == "bfloat16" and clips.shape[-1] < 16 and kernel.shape[0] > 3


def _matrix_product(clips: Any, kernel: Any) -> Any:
    import tensorflow as tf

    channels, filters = kernel.shape[-2:]

    @custom_gradient
    def multiplied(rows: Any, matrix: Any) -> Any:
        def gradient(upstream: Any) -> tuple[Any, Any]:
            to_matrix = tf.matmul(rows, upstream, transpose_a=True)
            with tf.control_dependencies([to_matrix]):  # see _convolve_by_taps
                to_rows = tf.matmul(upstream, matrix, transpose_b=True)
            return to_rows, to_matrix

        return tf.matmul(rows, matrix), gradient

    y = multiplied(tf.reshape(clips, (-1, channels)), tf.reshape(kernel, (channels, filters)))
    return tf.reshape(y, (-1, *clips.shape[1:-1], filters))


def _convolve_stacked_frames(clips: Any, kernel: Any, strides: Sequence[int]) -> Any:
    """Concatenates the frames of a window on their channels, for one 2-D convolution."""
    import tensorflow as tf

    depth, height, width, channels, filters = kernel.shape
    before, after = (depth - 1) // 2, depth // 2
    count = (clips.shape[1] - 1) // strides[0] + 1
    clips = tf.pad(clips, [(0, 0), (before, after), *[(0, 0)] * 3])
    reach = (count - 1) * strides[0] + 1
    taps = [clips[:, tap : tap + reach : strides[0]] for tap in range(depth)]
    flat = tf.transpose(kernel, (1, 2, 0, 3, 4))
    flat = tf.reshape(flat, (height, width, depth * channels, filters))
    return convolve_each_frame(tf.concat(taps, axis=-1), flat, strides, "even")


def is_temporal(clips: Any, kernel: Any, strides: Sequence[int]) -> bool:
    """Returns whether a kernel convolves each channel over time alone, without strides."""
    depthwise = kernel.shape[-2] == 1 and kernel.shape[-1] == clips.shape[-1]
    return depthwise and tuple(kernel.shape[1:3]) == (1, 1) and max(strides) == 1


def _convolve_over_time(clips: Any, kernel: Any, padding: Padding) -> Any:
    """Convolves images of T rows and H * W columns: one operation for all taps."""
    import tensorflow as tf

    _, time, height, width, channels = clips.shape
    columns = tf.reshape(clips, (-1, 1, time, height * width, channels))
    frames = "even"
    if padding.time != "even":
        before, _ = padding.of_time(kernel.shape[0], 1)
        columns, frames = tf.pad(columns, [(0, 0), (0, 0), (before, 0), (0, 0), (0, 0)]), "valid"
    y = convolve_each_frame(columns, ops.squeeze(kernel, 1), (1, 1, 1), frames)
    return tf.reshape(y, (-1, y.shape[2], height, width, channels))


def _convolve_frames(clips: Any, kernel: Any, strides: Sequence[int], padding: Padding) -> Any:
    """Sums a 2-D convolution per tap. `tf.nn.conv2d` has groups; in 3D, Keras needs XLA."""
    if kernel.shape[0] == 1 and strides[0] == 1:
        return convolve_each_frame(clips, ops.squeeze(kernel, 0), strides, padding.frames)
    windows = TemporalWindows(clips.shape[1], kernel.shape[0], strides[0], padding.time)
    total = None
    for tap in windows.by_reach():
        partial = convolve_each_frame(
            _take_frames(clips, windows.inputs(tap)), kernel[tap], strides, padding.frames
        )
        missing = windows.missing(tap)
        if any(missing):
            partial = ops.pad(partial, [(0, 0), missing, *[(0, 0)] * 3])
        total = partial if total is None else total + partial
    return total


def _take_frames(clips: Any, frames: range) -> Any:
    import tensorflow as tf

    if len(frames) == clips.shape[1]:
        return clips
    if frames.step == 1:
        return tf.slice(clips, (0, frames.start, 0, 0, 0), (-1, len(frames), *clips.shape[2:]))
    return tf.gather(clips, frames, axis=1)  # a strided slice takes ten times as long


def _convolve_by_taps(clips: Any, kernel: Any, padding: Padding) -> Any:
    """Computes stride 1 on CPU by 2-D convolutions, and the gradient by TensorFlow's 3-D ones.

    In the forward pass, oneDNN's 3-D kernel multiplies by the zero padding, which is half of the
    work for a deep kernel over few frames; in the backward pass it is the faster one. See
    `benchmarks/convolution.py`.
    """
    import tensorflow as tf

    @custom_gradient
    def convolved(clips: Any, kernel: Any) -> Any:
        def gradient(upstream: Any) -> tuple[Any, Any]:
            if padding.time != "even" or _has_no_whole_window(clips, kernel):
                return _gradient_by_padding(clips, kernel, upstream, (1, 1, 1), padding)
            options = {"strides": [1] * 5, "padding": "SAME"}
            to_kernel = tf.raw_ops.Conv3DBackpropFilterV2(
                input=clips, filter_sizes=tf.shape(kernel), out_backprop=upstream, **options
            )
            # Sequential: if the executor ran ahead, it would keep clips and gradients alive.
            with tf.control_dependencies([to_kernel]):
                to_clips = tf.raw_ops.Conv3DBackpropInputV2(
                    input_sizes=tf.shape(clips), filter=kernel, out_backprop=upstream, **options
                )
            return to_clips, to_kernel

        return _convolve_frames(clips, kernel, (1, 1, 1), padding), gradient

    return convolved(clips, kernel)


def _has_no_whole_window(clips: Any, kernel: Any) -> bool:
    """Returns whether oneDNN's gradient of a kernel deeper than the clip is wrong.

    In bfloat16 on CPUs without AMX, TensorFlow 2.21 and PyTorch 2.13 then access memory out of
    bounds: values off by 1e35, NaN, or a crash. Padding the clips first avoids it.
    """
    is_bfloat16 = keras.backend.standardize_dtype(clips.dtype) == "bfloat16"
    return is_bfloat16 and 1 < clips.shape[1] < kernel.shape[0]


def _convolve_padded(clips: Any, kernel: Any, strides: Sequence[int], padding: Padding) -> Any:
    """Pads and convolves; the gradient keeps the clips, not their padded copy."""
    import tensorflow as tf

    @custom_gradient
    def convolved(clips: Any, kernel: Any) -> Any:
        def gradient(upstream: Any) -> tuple[Any, Any]:
            return _gradient_by_padding(clips, kernel, upstream, strides, padding)

        padded = pad(clips, kernel, strides, padding)
        padded, steps = without_idle_stride(padded, kernel, strides)
        return unmerged(tf.nn.conv3d(padded, kernel, (1, *steps, 1), "VALID")), gradient

    return convolved(clips, kernel)


def _gradient_by_padding(
    clips: Any, kernel: Any, upstream: Any, strides: Sequence[int], padding: Padding
) -> tuple[Any, Any]:
    """Returns the gradients of clips and kernel for a convolution of padded clips."""
    import tensorflow as tf

    options = {"strides": (1, *strides, 1), "padding": "VALID"}
    with tf.control_dependencies([upstream]):
        again = pad(tf.identity(clips), kernel, strides, padding)
    to_kernel = tf.raw_ops.Conv3DBackpropFilterV2(
        input=again, filter_sizes=tf.shape(kernel), out_backprop=upstream, **options
    )
    with tf.control_dependencies([to_kernel]):  # see _convolve_by_taps
        to_padded = tf.raw_ops.Conv3DBackpropInputV2(
            input_sizes=tf.shape(again), filter=kernel, out_backprop=upstream, **options
        )
    if max(kernel.shape[:3]) == 1:
        return to_padded, to_kernel
    pairs = paddings(padding, clips.shape[1:4], kernel.shape[:3], strides)
    before = [pair[0] for pair in pairs]
    return tf.slice(to_padded, before, tf.shape(clips)), to_kernel
