"""Measures how well the student and a colour histogram match frames with clips.

A pair is a held-out clip with its own frames, and with those of a clip of another film. Both
matchers get both kinds of negatives, of any other film and of the same class, and two kinds of
views:

- `same`: clip and frames are the same centre view. A histogram cannot fail: the distance
  to its own frames is exactly zero.
- `other`: the clip is a random window, drawn and mirrored as in training, and the frames are the
  centre view, as during training with cached teacher features.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from jhmdb_films import FilmClip
from PIL import Image

from keras_t3d.clips import ClipSpec, clip_frames, resize_frames, take_view
from keras_t3d.data.augmentation.options import Augmentation
from keras_t3d.data.clips.windows import drawn_windows, place_window
from keras_t3d.data.shards.damage import split_records
from keras_t3d.data.shards.record import stored_video
from keras_t3d.data.shards.record_file import read_record, record_offsets
from keras_t3d.data.shards.shard_set import ShardSet

VIEWS = ("same", "other")
NEGATIVES = ("random", "same_class")
_BINS = 8  # of each colour

Pair = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """Clips to match.

    Attributes:
        clips: FilmClip, in the order of the shards.
        windows: Augmentation of the view `other`.
        views: uint8 `(clips, T, H, W, 3)` by view.
        pairs: pairs by kind of negatives.
    """

    clips: list[FilmClip]
    windows: Augmentation
    views: dict[str, np.ndarray]
    pairs: dict[str, list[Pair]]


def held_out(
    shards: Path, listed: Sequence[FilmClip], spec: ClipSpec, windows: Augmentation, seed: int
) -> HeldOut:
    """Reads the clips of the split `val` and draws their pairs.

    Args:
        shards: Path.
        listed: FilmClips of all records.
        spec: ClipSpec.
        windows: Augmentation, the training's.
        seed: int. Of pairs and windows.
    """
    by_file = {clip.file: clip for clip in listed}
    clips, views = [], []
    for video_id, own in record_views(shards, "val", spec, windows, seed):
        clips.append(by_file[video_id])
        views.append(own)
    stacked = {name: np.stack([own[name] for own in views]) for name in VIEWS}
    pairs = {kind: draw_pairs(clips, kind, seed) for kind in NEGATIVES}
    return HeldOut(clips, windows, stacked, pairs)


def record_views(
    shards: Path, split: str, spec: ClipSpec, windows: Augmentation, seed: int
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yields each record's id and the same frames in both views.

    Args:
        shards: Path.
        split: str.
        spec: ClipSpec.
        windows: Augmentation of the view `other`.
        seed: int. Of the windows.
    """
    rng = np.random.default_rng(seed)
    for path in split_records(ShardSet.open(shards), split).paths:
        with open(path, "rb") as file:
            for offset in record_offsets(path):
                video = stored_video(read_record(file, int(offset)))
                images = [Image.open(io.BytesIO(frame)).convert("RGB") for frame in video.frames]
                frames = np.stack([np.asarray(image) for image in images])
                window = drawn_windows(rng.random(4), windows)
                other = other_view(frames, spec, windows, window)
                yield video.video_id, {"same": take_view(frames, spec), "other": other}


def other_view(
    frames: np.ndarray, spec: ClipSpec, windows: Augmentation, window: np.ndarray
) -> np.ndarray:
    """Returns the frames of the centre view in another window, mirrored where `windows` flip.

    Args:
        frames: uint8 `(frames, height, width, 3)`.
        spec: ClipSpec.
        windows: Augmentation.
        window: float64 (4,), of `drawn_windows`.
    """
    height, width = frames.shape[1:3]
    top, left, rows, columns = place_window(height, width, spec, windows, window)
    cut = frames[clip_frames(len(frames), spec)][:, top : top + rows, left : left + columns]
    resized = resize_frames(cut, *spec.crop_size)
    return resized[:, :, ::-1] if windows.flip else resized


def describe_windows(windows: Augmentation) -> str:
    """Returns a description of the view `other`."""
    low = f"{100 * windows.min_area:.0f}"
    area = f" of {low} to 100 % of the frame" if windows.crop == "random_resized" else ""
    return f"a random window{area}{', mirrored' if windows.flip else ''}"


def draw_pairs(clips: Sequence[FilmClip], negatives: str, seed: int) -> list[Pair]:
    """Draws a clip of another film for each clip.

    Args:
        clips: FilmClips.
        negatives: `"random"`, or `"same_class"`, of the clip's class.
        seed: int.

    Returns:
        Pairs of numbers of clips, the second being of another film; without the clips for
        which there is none.
    """
    rng = np.random.default_rng([seed, NEGATIVES.index(negatives)])
    pairs = []
    for index, clip in enumerate(clips):
        others = [
            number
            for number, other in enumerate(clips)
            if other.film != clip.film and (negatives == "random" or other.label == clip.label)
        ]
        if others:
            pairs.append((index, int(rng.choice(others))))
    return pairs


# The colour histogram.


def colour_histogram(pixels: np.ndarray) -> np.ndarray:
    """Returns the shares of pixels in 8x8x8 boxes of R, G and B.

    Args:
        pixels: uint8 `(..., 3)`.

    Returns:
        float64 (512,), which add up to 1.
    """
    red, green, blue = (pixels[..., channel].ravel() // (256 // _BINS) for channel in range(3))
    boxes = (red.astype(np.int64) * _BINS + green) * _BINS + blue
    return np.bincount(boxes, minlength=_BINS**3) / len(boxes)


def chi_square(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the distance of two histograms: 0 for equal ones, 1 for ones without overlap."""
    total = first + second
    difference = (first - second) ** 2
    return float(
        0.5 * np.divide(difference, total, out=np.zeros_like(total), where=total > 0).sum()
    )


def best_threshold(own: Sequence[float], others: Sequence[float]) -> float:
    """Returns the smallest distance threshold with the best accuracy.

    Args:
        own: distances of clips to their own frames.
        others: distances to other frames.
    """
    values = np.unique([*own, *others])
    between = (values[:-1] + values[1:]) / 2
    candidates = np.concatenate([between, values[-1:]])
    return float(max(candidates, key=lambda t: (accuracy_of(own, others, t), -t)))


def accuracy_of(own: Sequence[float], others: Sequence[float], threshold: float) -> float:
    """Returns the mean accuracy on own and on other frames."""
    right_own = np.mean(np.asarray(own) <= threshold)
    right_others = np.mean(np.asarray(others) > threshold)
    return float((right_own + right_others) / 2)


def histogram_accuracies(
    found: HeldOut, shards: Path, listed: Sequence[FilmClip], spec: ClipSpec, seed: int
) -> dict[str, dict[str, float]]:
    """Matches held-out clips by colour, with thresholds fitted on pairs of training clips.

    Returns:
        Dict of accuracies by view, then by kind of negatives; and `threshold` by view.
    """
    by_file = {clip.file: clip for clip in listed}
    clips: list[FilmClip] = []
    training: dict[str, list[np.ndarray]] = {view: [] for view in VIEWS}
    for video_id, own in record_views(shards, "train", spec, found.windows, seed):
        clips.append(by_file[video_id])
        for view in VIEWS:
            training[view].append(colour_histogram(own[view]))
    pairs = draw_pairs(clips, "random", seed)
    held = {view: [colour_histogram(clip) for clip in found.views[view]] for view in VIEWS}
    result: dict[str, dict[str, float]] = {"threshold": {}}
    for view in VIEWS:
        threshold = best_threshold(*_distances(training[view], training["same"], pairs))
        result["threshold"][view] = threshold
        result[view] = {
            kind: accuracy_of(*_distances(held[view], held["same"], of_kind), threshold)
            for kind, of_kind in found.pairs.items()
            if of_kind
        }
    return result


def _distances(
    clips: Sequence[np.ndarray], frames: Sequence[np.ndarray], pairs: Sequence[Pair]
) -> tuple[list[float], list[float]]:
    """Distances of the clips to their own frames, and to the others'."""
    own = [chi_square(clips[index], frames[index]) for index, _ in pairs]
    others = [chi_square(clips[index], frames[other]) for index, other in pairs]
    return own, others


# The student.


def student_accuracies(found: HeldOut, run_dir: Path, config: Any) -> dict[str, dict[str, float]]:
    """Matches held-out clips by a pre-trained student and its head.

    Args:
        found: HeldOut.
        run_dir: Path of a finished pre-training by matching.
        config: PretrainConfig, the run's.

    Returns:
        Dict of accuracies by view, then by kind of negatives.
    """
    learner = _trained_learner(run_dir, config)
    clips = keras.Input(config.clip_spec.input_shape, name="clips")
    teacher = keras.Model(clips, learner.teacher(clips))
    frames = teacher.predict(found.views["same"], batch_size=config.data.batch_size, verbose=0)
    return {
        view: {
            kind: balanced_accuracy(
                pair_scores(learner, found.views[view], frames, pairs, config.data.batch_size)
            )
            for kind, pairs in found.pairs.items()
            if pairs
        }
        for view in VIEWS
    }


def balanced_accuracy(scores: np.ndarray) -> float:
    """Returns the mean accuracy on own and on other frames, from scores."""
    return float(((scores[:, 0] > 0).mean() + (scores[:, 1] <= 0).mean()) / 2)


def _trained_learner(run_dir: Path, config: Any) -> Any:
    from keras_t3d.training.checkpoints import assign_variables, newest_checkpoint
    from keras_t3d.training.network import student_for
    from keras_t3d.training.pretraining import new_transfer
    from keras_t3d.transfer.frame_teacher import load_teacher

    checkpoint = newest_checkpoint(run_dir)
    if checkpoint is None:
        raise ValueError(f"A finished pre-training has a checkpoint. Received: {run_dir}")
    ours = config.teacher
    teacher = load_teacher(ours.network, ours.weights, ours.preprocessing, ours.image_size)
    student = student_for(config.model, checkpoint.state.clip_spec)
    learner = new_transfer(config, teacher, student)
    learner.compile("sgd")
    assign_variables(learner, {"network": checkpoint.variables["network"]})
    return learner


def pair_scores(
    learner: Any, clips: np.ndarray, frames: np.ndarray, pairs: Sequence[Pair], batch_size: int
) -> np.ndarray:
    """Scores pairs by a FrameClipMatching: above 0 is a match.

    Args:
        learner: FrameClipMatching, compiled.
        clips: uint8 `(clips, T, H, W, 3)`.
        frames: float32 `(clips, features)`. The teacher's, of their frames.
        pairs: pairs of numbers of clips.
        batch_size: int. Clips that pass the student at once.

    Returns:
        float32 `(pairs, 2)`: of the first clip with its own frames, and with the second's.
    """
    # In turns a clip and the one whose frames it is not: a clip's negative is the next one's.
    rows = np.array(pairs).ravel()
    inputs: Mapping[str, np.ndarray] = {
        "clips": clips[rows],
        "videos": np.arange(len(rows), dtype=np.int32),
        "frame_features": frames[rows],
    }
    even = max(batch_size // 2 * 2, 2)
    return learner.predict(inputs, batch_size=even, verbose=0)["scores"][::2]
