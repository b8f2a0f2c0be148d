"""Shards with numbered frames, a predictor that reads the numbers, and scores for tests."""

from __future__ import annotations

import pathlib

import numpy as np

from keras_t3d import ClipSpec
from keras_t3d.data import ShardSet
from keras_t3d.data.shards.record import EncodedVideo, make_record
from keras_t3d.data.shards.record_file import RecordWriter
from keras_t3d.evaluation import VideoScores
from tests.conftest import counting_frames, frame_numbers
from tests.data.written_shards import jpeg, shard_set

SPEC = ClipSpec(num_frames=2, frame_stride=1, resize=16, crop=16)
NAMES = ("u", "v")


def write_shards(
    folder: pathlib.Path,
    shards: list[list[tuple[str, int, int]]],
    class_names: tuple[str, ...] = NAMES,
) -> ShardSet:
    """Writes the split "test" from (video id, label, number of frames) of each record."""
    paths = []
    for number, records in enumerate(shards):
        paths.append(folder / f"test-{number}.tfrecord")
        with RecordWriter(paths[-1]) as writer:
            for video_id, label, num_frames in records:
                frames = tuple(map(jpeg, counting_frames(num_frames, 16, 24)))
                encoded = EncodedVideo(frames, 16, 24, 25.0)
                name = class_names[label] if label >= 0 else ""
                writer.write(make_record(encoded, video_id, name, label))
    return ShardSet.of_files({"test": paths}, class_names)


def write_damaged(folder: pathlib.Path) -> ShardSet:
    """Writes the split "train": a record whose middle frame is no picture, and a whole one."""
    shards = shard_set(folder, [2])
    good = jpeg(np.zeros((16, 20, 3), np.uint8))
    with RecordWriter(shards.paths("train")[0]) as writer:
        for middle in (b"no picture", good):
            video = EncodedVideo((good, middle, good), 16, 20, 25.0)
            writer.write(make_record(video, "v", "class 0", 0))
    return shards


class FirstFrame:
    """Predicts class u with a hundredth of the first frame's number, class v with the rest."""

    clip_spec, class_names = SPEC, NAMES

    def __init__(self) -> None:
        self.batches: list[int] = []

    def probabilities(self, clips: np.ndarray) -> np.ndarray:
        self.batches.append(len(clips))
        first = np.array([frame_numbers(clip)[0] for clip in clips]) / 100
        return np.stack([first, 1 - first], axis=1).astype(np.float32)


def by_hand() -> VideoScores:
    """Four videos of six classes: one classified correctly, three not."""
    probabilities = np.array(
        [
            [0.5, 0.3, 0.1, 0.05, 0.03, 0.02],
            [0.1, 0.2, 0.3, 0.25, 0.1, 0.05],
            [0.02, 0.03, 0.05, 0.1, 0.3, 0.5],
            [0.5, 0.3, 0.1, 0.05, 0.03, 0.02],
        ],
        np.float32,
    )
    labels = np.array([0, 3, 0, 1])
    return VideoScores(("a", "b", "c", "d"), labels, probabilities, tuple("uvwxyz"))
