"""The operations that Keras has not, or computes slowly: the one place that knows the backend.

TensorFlow is imported late and only where it is the backend. Everything here is a
pure function of tensors: what a network recomputes for its gradient must not assign.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_t3d.layers.temporal_windows import TemporalWindows


def convolve(clips: Any, kernel: Any, strides: Sequence[int] = (1, 1, 1)) -> Any:
    """Convolves clips that are padded evenly with zeros, as PyTorch pads them.

    A kernel of size k gets (k - 1) // 2 zeros before and k // 2 after the clip.
    Groups follow from the kernel: as many as its input channels go into the clips'.

    Args:
        clips: tensor of shape (batch, time, height, width, channels), sizes static.
        kernel: tensor of shape (time, height, width, channels // groups, filters).
        strides: three ints (time, height, width).

    Returns:
        Tensor of shape (batch, time, height, width, filters).
    """
    kernel = _reachable_taps(clips, kernel, strides[0])
    groups = clips.shape[-1] // kernel.shape[-2]
    if keras.backend.backend() != "tensorflow":
        return _pad_and_convolve(clips, kernel, strides)
    if groups > 1:
        return _convolve_frames(clips, kernel, strides)
    if _on_gpu():
        return _pad_and_convolve(clips, kernel, strides)
    return _convolve_on_cpu(clips, kernel, strides)


def _reachable_taps(clips: Any, kernel: Any, stride: int) -> Any:
    """Leaves out the temporal taps that meet zeros only: a depth of 3 over one frame is its middle.

    What is left is padded by the same rule as the whole kernel.
    """
    depth, frames = kernel.shape[0], clips.shape[1]
    if frames is None or stride > 1:
        return kernel
    before, after = (depth - 1) // 2, depth // 2
    first, last = before - min(before, frames - 1), before + min(after, frames - 1)
    if last - first + 1 == depth:
        return kernel
    # Not kernel[first : last + 1], whose gradient is slow in TensorFlow.
    return ops.slice(kernel, (first, 0, 0, 0, 0), (last - first + 1, *kernel.shape[1:]))


def _pad_and_convolve(clips: Any, kernel: Any, strides: Sequence[int]) -> Any:
    sizes = tuple(kernel.shape[:3])
    if max(strides) == 1 and (all(size % 2 for size in sizes) or _same_puts_more_zeros_last()):
        return ops.conv(clips, kernel, 1, "same", data_format="channels_last")
    padded = _padded(clips, kernel)
    return ops.conv(padded, kernel, tuple(strides), "valid", data_format="channels_last")


def _padded(clips: Any, kernel: Any) -> Any:
    """Pads clips for a 3-D kernel, or frames for a 2-D one."""
    sizes = kernel.shape[:-2]
    return ops.pad(clips, _evenly(sizes)) if max(sizes) > 1 else clips


def _evenly(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Zeros before and after each axis, for a kernel or pool of these sizes."""
    return [(0, 0), *[((size - 1) // 2, size // 2) for size in sizes], (0, 0)]


def _same_puts_more_zeros_last() -> bool:
    return keras.backend.backend() in ("tensorflow", "jax")


# TensorFlow.


def _on_gpu() -> bool:
    import tensorflow as tf

    return bool(tf.config.list_logical_devices("GPU"))


def _convolve_on_cpu(clips: Any, kernel: Any, strides: Sequence[int]) -> Any:
    """Takes the fastest of four ways that give the same: see `benchmarks/convolution.py`."""
    if max(strides) > 1:
        if _is_thin(clips, kernel):
            return _convolve_stacked_frames(clips, kernel, strides)
        return _convolve_padded(clips, kernel, strides)
    if tuple(kernel.shape[:3]) == (1, 1, 1):
        return _matrix_product(clips, kernel)
    if kernel.shape[0] == 1:
        return _convolve_frames(clips, kernel, strides)
    return _convolve_by_taps(clips, kernel)


def _is_thin(clips: Any, kernel: Any) -> bool:
    """Whether there are too few channels for bfloat16's matrix units, and many taps to join."""
    return clips.dtype == "bfloat16" and clips.shape[-1] < 16 and kernel.shape[0] > 3


def _matrix_product(clips: Any, kernel: Any) -> Any:
    import tensorflow as tf

    channels, filters = kernel.shape[-2:]

    @tf.custom_gradient
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
    """Joins the frames that a window reads on their channels, for one 2-D convolution."""
    import tensorflow as tf

    depth, height, width, channels, filters = kernel.shape
    before, after = (depth - 1) // 2, depth // 2
    count = (clips.shape[1] - 1) // strides[0] + 1
    clips = tf.pad(clips, [(0, 0), (before, after), *[(0, 0)] * 3])
    reach = (count - 1) * strides[0] + 1
    taps = [clips[:, tap : tap + reach : strides[0]] for tap in range(depth)]
    flat = tf.transpose(kernel, (1, 2, 0, 3, 4))
    flat = tf.reshape(flat, (height, width, depth * channels, filters))
    return _conv2d(tf.concat(taps, axis=-1), flat, strides)


def _convolve_frames(clips: Any, kernel: Any, strides: Sequence[int]) -> Any:
    """Adds up one 2-D convolution a tap. `tf.nn.conv2d` knows groups; in 3D, Keras needs XLA."""
    if kernel.shape[0] == 1 and strides[0] == 1:
        return _conv2d(clips, ops.squeeze(kernel, 0), strides)
    windows = TemporalWindows(clips.shape[1], kernel.shape[0], strides[0])
    total = None
    for tap in windows.by_reach():
        partial = _conv2d(_take_frames(clips, windows.inputs(tap)), kernel[tap], strides)
        missing = windows.missing(tap)
        if any(missing):
            partial = ops.pad(partial, [(0, 0), missing, *[(0, 0)] * 3])
        total = partial if total is None else total + partial
    return total


def _convolve_by_taps(clips: Any, kernel: Any) -> Any:
    """Stride 1 on CPU: 2-D convolutions forwards, TensorFlow's 3-D ones for the gradient.

    Forwards, oneDNN's 3-D kernel multiplies by the zero padding, half of all for a deep kernel
    over few frames; backwards it is the faster of the two. Both were timed: see
    `benchmarks/convolution.py`.
    """
    import tensorflow as tf

    @tf.custom_gradient
    def convolved(clips: Any, kernel: Any) -> Any:
        def gradient(upstream: Any) -> tuple[Any, Any]:
            if _has_no_whole_window(clips, kernel):
                return _gradient_by_padding(clips, kernel, upstream, (1, 1, 1))
            options = {"strides": [1] * 5, "padding": "SAME"}
            to_kernel = tf.raw_ops.Conv3DBackpropFilterV2(
                input=clips, filter_sizes=tf.shape(kernel), out_backprop=upstream, **options
            )
            # In this order, or the executor runs ahead and keeps clips and gradients alive.
            with tf.control_dependencies([to_kernel]):
                to_clips = tf.raw_ops.Conv3DBackpropInputV2(
                    input_sizes=tf.shape(clips), filter=kernel, out_backprop=upstream, **options
                )
            return to_clips, to_kernel

        return _convolve_frames(clips, kernel, (1, 1, 1)), gradient

    return convolved(clips, kernel)


def _has_no_whole_window(clips: Any, kernel: Any) -> bool:
    """Whether the gradient to a kernel deeper than the clip would be wrong.

    In bfloat16 on CPUs without AMX, TensorFlow 2.21 reads and writes beside its memory there:
    figures off by 1e35, NaN, or a crash. Clips that are padded before are right.
    """
    return clips.dtype == "bfloat16" and 1 < clips.shape[1] < kernel.shape[0]


def _convolve_padded(clips: Any, kernel: Any, strides: Sequence[int]) -> Any:
    """Pads and convolves; keeps the clips for the gradient, not their padded copy."""
    import tensorflow as tf

    @tf.custom_gradient
    def convolved(clips: Any, kernel: Any) -> Any:
        def gradient(upstream: Any) -> tuple[Any, Any]:
            return _gradient_by_padding(clips, kernel, upstream, strides)

        padded, steps = _without_idle_stride(_padded(clips, kernel), kernel, strides)
        return tf.nn.conv3d(padded, kernel, (1, *steps, 1), "VALID"), gradient

    return convolved(clips, kernel)


def _without_idle_stride(
    padded: Any, kernel: Any, strides: Sequence[int]
) -> tuple[Any, Sequence[int]]:
    """Where one window fits across the width, crops to it, and its stride is 1.

    With a larger stride, TensorFlow 2.21 is wrong there in bfloat16 on CPUs with AMX: some
    windows of the other axes get numbers of others, or what lies beside them in memory.
    """
    width, reach = padded.shape[-2], kernel.shape[-3]
    if padded.dtype != "bfloat16" or strides[-1] == 1 or width is None:
        return padded, strides
    if width - reach >= strides[-1]:
        return padded, strides
    return padded[..., :reach, :], (*strides[:-1], 1)


def _gradient_by_padding(
    clips: Any, kernel: Any, upstream: Any, strides: Sequence[int]
) -> tuple[Any, Any]:
    """The gradient to clips and kernel, where clips are padded before they are convolved."""
    import tensorflow as tf

    options = {"strides": (1, *strides, 1), "padding": "VALID"}
    with tf.control_dependencies([upstream]):
        again = _padded(tf.identity(clips), kernel)
    to_kernel = tf.raw_ops.Conv3DBackpropFilterV2(
        input=again, filter_sizes=tf.shape(kernel), out_backprop=upstream, **options
    )
    with tf.control_dependencies([to_kernel]):  # see _convolve_by_taps
        to_padded = tf.raw_ops.Conv3DBackpropInputV2(
            input_sizes=tf.shape(again), filter=kernel, out_backprop=upstream, **options
        )
    if max(kernel.shape[:3]) == 1:
        return to_padded, to_kernel
    before = [pad[0] for pad in _evenly(kernel.shape[:3])]
    return tf.slice(to_padded, before, tf.shape(clips)), to_kernel


def _conv2d(clips: Any, kernel: Any, strides: Sequence[int]) -> Any:
    """Convolves every frame by itself; explicit paddings would leave oneDNN's kernels."""
    import tensorflow as tf

    frames = tf.reshape(clips, (-1, *clips.shape[2:]))
    strides = strides[1:]
    padding = "SAME"  # even, where nothing strides
    if max(strides) > 1:
        frames, strides = _without_idle_stride(_padded(frames, kernel), kernel, strides)
        padding = "VALID"
    if frames.shape[-1] > kernel.shape[-2] and not _has_grouped_gradient(frames.dtype.name):
        y = _conv2d_by_groups(frames, kernel, strides, padding)
    else:
        y = tf.nn.conv2d(frames, kernel, strides, padding)
    return tf.reshape(y, (-1, clips.shape[1], *y.shape[1:]))


@functools.cache
def _has_grouped_gradient(dtype: str) -> bool:
    """Whether TensorFlow computes the gradient of grouped 2-D convolutions on this processor.

    On a CPU only oneDNN does: never in float64, in float16 only with AVX512_FP16 instructions,
    and not at all where TensorFlow leaves oneDNN off, as it does on CPUs without VNNI.
    """
    import tensorflow as tf

    if _on_gpu():
        return True
    with tf.init_scope():
        # Raw operations, as a tape records nothing in this scope; one tensor serves as all inputs.
        shape, options = (1, 1, 1, 2), {"strides": [1] * 4, "padding": "VALID"}
        zeros = tf.zeros(shape, dtype)
        try:
            tf.raw_ops.Conv2DBackpropFilter(
                input=zeros, filter_sizes=shape, out_backprop=zeros, **options
            )
            tf.raw_ops.Conv2DBackpropInput(
                input_sizes=shape, filter=zeros, out_backprop=zeros, **options
            )
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
            return False
    return True


def _conv2d_by_groups(frames: Any, kernel: Any, strides: Sequence[int], padding: str) -> Any:
    """A grouped `tf.nn.conv2d` whose gradient is computed where TensorFlow has none.

    The gradient is computed in float32 (float64 for float64): by TensorFlow if it can do that
    on this processor, or else from one matrix product per tap.
    """
    import tensorflow as tf

    wide = "float64" if frames.dtype == "float64" else "float32"

    @tf.custom_gradient
    def convolved(frames: Any, kernel: Any) -> Any:
        def gradient(upstream: Any) -> tuple[Any, Any]:
            inputs = (tf.cast(frames, wide), tf.cast(kernel, wide))
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                if _has_grouped_gradient(wide):
                    y = tf.nn.conv2d(inputs[0], inputs[1], strides, padding)
                else:
                    y = _multiply_groups(inputs[0], inputs[1], strides, padding)
            gradients = tape.gradient(y, inputs, tf.cast(upstream, wide))
            return tuple(tf.cast(gradient, frames.dtype) for gradient in gradients)

        return tf.nn.conv2d(frames, kernel, strides, padding), gradient

    return convolved(frames, kernel)


def _multiply_groups(frames: Any, kernel: Any, strides: Sequence[int], padding: str) -> Any:
    """A grouped 2-D convolution as a sum over taps, each one matrix product per group."""
    import tensorflow as tf

    height, width, channels, filters = kernel.shape
    groups = frames.shape[-1] // channels
    if padding == "SAME":
        frames = _padded(frames, kernel)
    rows, columns = tf.shape(frames)[1] - height + 1, tf.shape(frames)[2] - width + 1
    matrices = tf.reshape(kernel, (height, width, channels, groups, filters // groups))
    matrices = tf.transpose(matrices, (0, 1, 3, 2, 4))
    products = []
    for row, column in itertools.product(range(height), range(width)):
        read = frames[:, row : rows + row : strides[0], column : columns + column : strides[1]]
        size = tf.shape(read)
        by_group = tf.transpose(tf.reshape(read, (-1, groups, channels)), (1, 0, 2))
        products.append(tf.matmul(by_group, matrices[row, column]))
    y = tf.transpose(tf.add_n(products), (1, 0, 2))
    return tf.reshape(y, (size[0], size[1], size[2], filters))


def _take_frames(clips: Any, frames: range) -> Any:
    import tensorflow as tf

    if len(frames) == clips.shape[1]:
        return clips
    if frames.step == 1:
        return tf.slice(clips, (0, frames.start, 0, 0, 0), (-1, len(frames), *clips.shape[2:]))
    return tf.gather(clips, frames, axis=1)  # a strided slice takes ten times as long


# Pooling.


def pool_maximum(clips: Any, size: Sequence[int], strides: Sequence[int]) -> Any:
    """Takes the maximum over windows of clips that are padded evenly, with less than any value.

    Args:
        clips: tensor of shape (batch, time, height, width, channels).
        size: three odd ints (time, height, width).
        strides: three ints.

    Returns:
        Tensor of shape (batch, time', height', width', channels).
    """
    if keras.backend.standardize_dtype(clips.dtype) == "float16":
        # TensorFlow has no such kernel on CPU; nothing is lost, as no value is computed.
        return ops.cast(pool_maximum(ops.cast(clips, "float32"), size, strides), "float16")
    if keras.backend.backend() == "tensorflow":
        return _pool_maximum_in_tensorflow(clips, size, strides)
    return _pad_and_pool(clips, size, strides)


def _pad_and_pool(clips: Any, size: Sequence[int], strides: Sequence[int]) -> Any:
    padded = ops.pad(clips, _evenly(size), constant_values=_LEAST)
    return ops.max_pool(padded, tuple(size), tuple(strides), "valid", "channels_last")


_LEAST = -3e38  # finite, and a bfloat16 too


def _pool_maximum_in_tensorflow(clips: Any, size: Sequence[int], strides: Sequence[int]) -> Any:
    """Keeps the clips for the gradient, not a padded copy as well."""
    import tensorflow as tf

    windows = {"ksize": (1, *size, 1), "strides": (1, *strides, 1), "padding": "VALID"}

    @tf.custom_gradient
    def pooled(clips: Any) -> Any:
        y = tf.nn.max_pool3d(tf.pad(clips, _evenly(size), constant_values=_LEAST), **windows)

        def gradient(upstream: Any) -> Any:
            with tf.control_dependencies([upstream]):
                again = tf.pad(tf.identity(clips), _evenly(size), constant_values=_LEAST)
            grad = tf.raw_ops.MaxPool3DGrad(
                orig_input=again, orig_output=y, grad=upstream, **windows
            )
            return tf.slice(grad, [0, *[side // 2 for side in size], 0], tf.shape(clips))

        return y, gradient

    return pooled(clips)


# Batch normalization.


def normalize_batch(
    clips: Any, gamma: Any, beta: Any, epsilon: float, relu: bool
) -> tuple[Any, Any, Any]:
    """Normalizes by the batch's own statistics.

    Returns:
        The normalized clips in their own dtype, and the batch's mean and (biased)
        variance a channel, float32.
    """
    if _has_fused_kernel(clips):
        return _normalize_batch_in_tensorflow(clips, gamma, beta, epsilon, relu)
    exact = clips if _is_double(clips) else ops.cast(clips, "float32")
    mean, variance = ops.moments(exact, axes=tuple(range(len(clips.shape) - 1)))
    y = ops.batch_normalization(exact, mean, variance, -1, beta, gamma, epsilon)
    return ops.cast(ops.relu(y) if relu else y, clips.dtype), mean, variance


def normalize_by(
    clips: Any, mean: Any, variance: Any, gamma: Any, beta: Any, epsilon: float, relu: bool
) -> Any:
    """Normalizes by given statistics, as in inference."""
    if _has_fused_kernel(clips):
        return _normalize_in_tensorflow(clips, mean, variance, gamma, beta, epsilon, relu)[0]
    exact = clips if _is_double(clips) else ops.cast(clips, "float32")
    y = ops.batch_normalization(exact, mean, variance, -1, beta, gamma, epsilon)
    return ops.cast(ops.relu(y) if relu else y, clips.dtype)


def _is_double(clips: Any) -> bool:
    return keras.backend.standardize_dtype(clips.dtype) == "float64"


def _has_fused_kernel(clips: Any) -> bool:
    return keras.backend.backend() == "tensorflow" and not _is_double(clips)


def _normalize_batch_in_tensorflow(
    clips: Any, gamma: Any, beta: Any, epsilon: float, relu: bool
) -> tuple[Any, Any, Any]:
    import tensorflow as tf

    nothing = tf.zeros((0,), tf.float32)
    y, mean, variance = _normalize_in_tensorflow(
        clips, nothing, nothing, gamma, beta, epsilon, relu, training=True
    )
    # The fused operation gives the unbiased variance; Keras averages the biased one.
    count = tf.cast(tf.size(clips) // clips.shape[-1], tf.float32)
    return y, mean, variance * (count - 1.0) / count


def _normalize_in_tensorflow(
    clips: Any,
    mean: Any,
    variance: Any,
    gamma: Any,
    beta: Any,
    epsilon: float,
    relu: bool,
    training: bool = False,
) -> tuple[Any, Any, Any]:
    """TensorFlow fuses batch normalization and its ReLU for 4-D tensors only; frames fold up."""
    import tensorflow as tf

    folded = tf.reshape(clips, (-1, *clips.shape[-3:])) if clips.shape.rank == 5 else clips
    y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=folded,
        scale=gamma,
        offset=beta,
        mean=mean,
        variance=variance,
        epsilon=epsilon,
        is_training=training,
    )
    if relu:
        y = tf.nn.relu(y)  # before the reshape, or it is not fused
    return tf.reshape(y, tf.shape(clips)) if clips.shape.rank == 5 else y, mean, variance


# Gradient rematerialisation.


def skips_unused_work() -> bool:
    """Whether a graph is computed: of a part that is recomputed, only what the gradient reads."""
    return keras.backend.backend() != "torch"


def rematerialize(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function that keeps its arguments only, and recomputes itself for the gradient.

    Args:
        function: from tensors to a tuple of tensors; pure, so that it may run twice.
    """
    if keras.backend.backend() == "tensorflow":
        return _rematerialize_in_tensorflow(function)
    return keras.remat(function)


def _rematerialize_in_tensorflow(function: Callable[..., Any]) -> Callable[..., Any]:
    """As `tf.recompute_grad`, which first copies every argument."""
    import tensorflow as tf

    @tf.custom_gradient
    def forwards(*arguments: Any) -> Any:
        def gradient(*upstream: Any) -> Any:
            # Waits for the gradient: else the executor would recompute at once, and keep it all.
            with tf.control_dependencies(upstream):
                again = [tf.identity(argument) for argument in arguments]
            with tf.GradientTape() as tape:
                tape.watch(again)
                outputs = function(*again)
            return tape.gradient(outputs, again, upstream)

        return function(*arguments), gradient

    return forwards
