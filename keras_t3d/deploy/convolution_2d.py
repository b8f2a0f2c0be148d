"""A 3D convolution of one clip by 2D convolutions, for floats and for integers.

Clips are (frames, height, width, channels). A tap of the kernel that reads zero padding only is
omitted with its weights: a depth of 3 over one frame is its middle slice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_t3d.deploy.convolution import Convolution
from keras_t3d.layers.operations.convolution import is_temporal
from keras_t3d.layers.temporal_windows import TemporalWindows

_MAX_CONCATENATED = 5


def add_taps(x: tf.Tensor, convolution: Convolution) -> tf.Tensor:
    """Adds one 2D convolution per temporal tap, each only where the tap reads frames of the clip.

    ```
    kernel of depth 3, 4 frames      input   0 1 2 3
    output frame t reads frames      tap 0     0 1 2    -> frames 1..3 of the output
    t - 1, t, t + 1                  tap 1   0 1 2 3    -> frames 0..3
                                     tap 2   1 2 3      -> frames 0..2
    ```

    For floats. In measurements from 16x112x112x3 to 1x3x3x128, with and without groups, this was
    never slower than `join_frames` or one convolution for all taps, and up to twice as fast with
    few frames or deep kernels: it does not multiply by padding, and the weights of one tap fit
    the cache.
    """
    if is_temporal(x, convolution.kernel, convolution.strides):
        return convolve_over_time(x, convolution)
    windows = _temporal_windows(x, convolution)
    taps = windows.by_reach()
    if not taps:
        return join_frames(x, convolution)
    bias = convolution.bias
    # The tap with most outputs comes first. If it has all, as usual, the bias is added to it.
    early_bias = bias is not None and not any(windows.missing(taps[0]))
    x, padding = _padded_in_space(x, convolution)
    y = None
    for tap in taps:
        frames = take_frames(x, windows.inputs(tap))
        partial = _convolve_frames(frames, convolution.kernel[tap], convolution, padding)
        if y is None and early_bias:
            partial += bias
        partial = _pad_frames(partial, windows.missing(tap))
        y = partial if y is None else y + partial
    return y if bias is None or early_bias else y + bias


def join_frames(x: tf.Tensor, convolution: Convolution) -> tf.Tensor:
    """Applies one 2D convolution to the frames of each window, concatenated on channels.

    For integers: sums stay in the convolution's 32 bits, whereas `add_taps` would round every
    tap's output to 8.
    """
    if is_temporal(x, convolution.kernel, convolution.strides):
        return convolve_over_time(x, convolution)
    windows = _temporal_windows(x, convolution)
    taps = sorted(windows.by_reach()) or [0]  # zeros, for a window wider than the clip
    x, padding = _padded_in_space(x, convolution)
    per_group = convolution.kernel.shape[-2]
    groups = x.shape[-1] // per_group
    read = [frames_or_zeros(x, windows, tap) for tap in taps]
    if groups > 1 and len(taps) > 1:  # the order of channels is group, frame, channel
        shape = read[0].shape[:3]
        read = [tf.reshape(frames, (*shape, groups, per_group)) for frames in read]
        joined = tf.reshape(concatenate(read, -1), (*shape, groups * per_group * len(taps)))
    else:
        joined = concatenate(read, -1)
    kernel = np.concatenate([convolution.kernel[tap] for tap in taps], axis=2)
    y = _convolve_frames(joined, kernel, convolution, padding)
    return y if convolution.bias is None else y + convolution.bias


def convolve_over_time(x: tf.Tensor, convolution: Convolution) -> tf.Tensor:
    """Convolves each channel over time alone, as an image of T rows and H * W columns."""
    _, height, width, channels = x.shape
    kernel = np.reshape(convolution.kernel, (-1, 1, channels, 1))
    if convolution.time_padding == "causal":
        x = _pad_frames(x, (_temporal_windows(x, convolution).before, 0))
    rule = convolution.time_padding or convolution.padding
    padding = "VALID" if rule in ("causal", "valid") else "SAME"  # "SAME" is even here
    dilations = (convolution.dilations[0], 1)
    image = tf.reshape(x, (1, -1, height * width, channels))
    y = tf.nn.depthwise_conv2d(image, kernel, (1, 1, 1, 1), padding, "NHWC", dilations)
    y = y if convolution.bias is None else y + convolution.bias
    return tf.reshape(y, (-1, height, width, channels))


def take_frames(x: tf.Tensor, frames: Sequence[int]) -> tf.Tensor:
    """Returns these frames, by slices without strides if possible: LiteRT's fast operation."""
    first, count = frames[0], len(frames)
    step = frames[1] - first if count > 1 else 1
    if step < 1 or list(frames) != list(range(first, first + count * step, step)):
        return tf.gather(x, np.asarray(frames, np.int32))
    if count == x.shape[0]:
        return x
    group = first - first % step
    if step == 1 or group + count * step > x.shape[0]:
        return x[first : first + count] if step == 1 else tf.gather(x, np.asarray(frames, np.int32))
    # Stack groups of n frames vertically: every n-th frame is a slice of each stack.
    _, height, width, channels = x.shape
    stacked = x[group : group + count * step]
    stacked = tf.reshape(stacked, (count, step * height, width, channels))
    return stacked[:, (first - group) * height : (first - group + 1) * height]


def concatenate(tensors: Sequence[tf.Tensor], axis: int) -> tf.Tensor:
    """Concatenates tensors, at most five at once, the limit of LiteRT's fast kernels."""
    while len(tensors) > _MAX_CONCATENATED:
        parts = -(-len(tensors) // _MAX_CONCATENATED)
        each = -(-len(tensors) // parts)
        groups = (tensors[n : n + each] for n in range(0, len(tensors), each))
        tensors = [tf.concat(group, axis) if len(group) > 1 else group[0] for group in groups]
    return tensors[0] if len(tensors) == 1 else tf.concat(tensors, axis)


def frames_or_zeros(x: tf.Tensor, windows: TemporalWindows, tap: int) -> tf.Tensor:
    """Returns a tap's input in every window: frames, and zeros before and after the clip."""
    if not windows.outputs(tap):
        return tf.zeros((windows.count, *x.shape[1:]))
    frames = take_frames(x, windows.inputs(tap))
    return _pad_frames(frames, windows.missing(tap))


def _pad_frames(x: tf.Tensor, missing: tuple[int, int]) -> tf.Tensor:
    return tf.pad(x, (missing, (0, 0), (0, 0), (0, 0))) if any(missing) else x


def _temporal_windows(x: tf.Tensor, convolution: Convolution) -> TemporalWindows:
    stride, dilation = convolution.strides[0], convolution.dilations[0]
    size, padding = len(convolution.kernel), convolution.time_padding or convolution.padding
    return TemporalWindows(x.shape[0], size, stride, padding, dilation)


def _convolve_frames(
    x: tf.Tensor, kernel: np.ndarray, convolution: Convolution, padding: str
) -> tf.Tensor:
    strides, dilations = convolution.strides[1:], convolution.dilations[1:]
    channels, filters = x.shape[-1], kernel.shape[-1]
    if kernel.shape[-2] == 1 and channels == filters > 1 and strides[0] == strides[1]:
        kernel = np.reshape(kernel, (*kernel.shape[:2], channels, 1))
        return tf.nn.depthwise_conv2d(x, kernel, (1, *strides, 1), padding, "NHWC", dilations)
    return tf.nn.conv2d(x, kernel, strides, padding, "NHWC", dilations)


def _padded_in_space(x: tf.Tensor, convolution: Convolution) -> tuple[tf.Tensor, str]:
    """Pads evenly where TensorFlow would not; returns the result and TensorFlow's padding."""
    sizes = convolution.kernel.shape[1:3]
    if convolution.padding != "even" or max(convolution.strides[1:]) == 1:
        return x, "VALID" if convolution.padding == "valid" else "SAME"
    evenly = [((size - 1) // 2, size // 2) for size in sizes]
    return (tf.pad(x, [(0, 0), *evenly, (0, 0)]) if max(sizes) > 1 else x), "VALID"
