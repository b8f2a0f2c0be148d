"""The motion set: what a frame may tell, which way things move, and the files."""

import dataclasses

import av
import numpy as np
import pytest

from keras_t3d.clips import ClipSpec
from keras_t3d.motion_set import rendering
from keras_t3d.motion_set.generation import (
    MOTION_CLASSES,
    OPPOSITES,
    motion_clips,
    motion_path,
    render_motion,
)
from keras_t3d.motion_set.writing import encode_mp4, write_motion_set

SIZE = 64


def decode(file):
    with av.open(str(file)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_classes_are_pairs_of_opposites():
    assert len(MOTION_CLASSES) >= 8
    assert sorted(MOTION_CLASSES) == sorted(name for pair in OPPOSITES for name in pair)
    assert len(set(MOTION_CLASSES)) == len(MOTION_CLASSES)


# One seed, one video.


def test_a_seed_always_gives_the_same_video():
    assert np.array_equal(render_motion("grow", 0), render_motion("grow", 0))
    assert np.array_equal(render_motion("grow", (0, 3)), render_motion("grow", [0, 3]))


def test_other_seeds_give_other_videos():
    videos = [render_motion("grow", seed) for seed in (0, 1, (0, 1), (1, 0))]
    assert len({video.tobytes() for video in videos}) == len(videos)


@pytest.mark.parametrize(("num_frames", "size"), [(1, 32), (8, 64), (40, 112)])
def test_video_has_the_shape_asked_for(num_frames, size):
    frames = render_motion("move_up", 0, num_frames=num_frames, size=size)
    assert frames.shape == (num_frames, size, size, 3)
    assert frames.dtype == np.uint8


# What a single frame may tell about the class: nothing.


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_first_frame_is_the_same_for_every_class(seed):
    first_frames = {render_motion(name, seed)[0].tobytes() for name in MOTION_CLASSES}
    assert len(first_frames) == 1


def test_a_frame_depends_on_the_path_at_that_frame_only():
    rng = np.random.default_rng(0)
    here, there = (
        rendering.Path(*rng.uniform(0, 1, (3, 12)), rng.uniform(0.2, 0.4, 12)) for _ in range(2)
    )
    crossing = rendering.Path(
        *(
            np.where(np.arange(12) == 7, getattr(here, field.name), getattr(there, field.name))
            for field in dataclasses.fields(here)
        )
    )
    drawn, other = (
        rendering.draw_video(path, SIZE, np.random.default_rng(1)) for path in (here, crossing)
    )
    same = [np.array_equal(a, b) for a, b in zip(drawn, other, strict=True)]
    assert same == [frame == 7 for frame in range(12)]


@pytest.mark.parametrize("class_name", MOTION_CLASSES)
@pytest.mark.parametrize("instant", [0, 15, 31])
def test_place_angle_and_size_are_uniform_at_every_instant(class_name, instant):
    count = 500
    states = []
    for seed in range(count):
        path = motion_path(class_name, 32, np.random.default_rng(seed))
        smallest, largest = 0.18, 0.42
        size = np.log(path.radius[instant] / smallest) / np.log(largest / smallest)
        angle = path.angle[instant] / (2 * np.pi)
        states.append([path.x[instant], path.y[instant], angle, size])
    for values in np.sort(states, axis=0).T:
        expected = (np.arange(count) + 0.5) / count
        # Kolmogorov-Smirnov: a uniform sample of 500 exceeds 0.087 once in 1000 times.
        assert np.abs(values - expected).max() < 0.087


# Which way things move.


def foreground(frames):
    """Returns what differs from the still background, as (frames, height, width)."""
    frames = frames.astype(np.float32)
    return np.linalg.norm(frames - np.median(frames, axis=0), axis=-1)


def displacement(frames, lag=2):
    """Returns (right, down) in pixels a frame, of the foreground, by correlation on a ring."""
    spectra = np.fft.fft2(foreground(frames))
    correlation = np.fft.ifft2((spectra[lag:] * spectra[:-lag].conj()).sum(0)).real
    down, right = np.unravel_index(correlation.argmax(), correlation.shape)
    wrapped = [(shift + SIZE // 2) % SIZE - SIZE // 2 for shift in (right, down)]
    return np.array(wrapped) / lag


@pytest.mark.parametrize(
    ("class_name", "direction"),
    [("move_left", (-1, 0)), ("move_right", (1, 0)), ("move_up", (0, -1)), ("move_down", (0, 1))],
)
@pytest.mark.parametrize("seed", range(4))
def test_objects_move_the_way_their_class_says(class_name, direction, seed):
    along = np.array(direction)
    moved = displacement(render_motion(class_name, seed))
    assert 0.019 * SIZE - 0.5 <= moved @ along <= 0.046 * SIZE + 0.5
    assert abs(moved @ along[::-1]) <= 0.5


def still_object(angle, radius):
    """Draws one object in the middle of the frame: only angle and radius differ between calls."""
    path = rendering.Path(*np.array([[0.5], [0.5], [angle], [radius]]))
    return rendering.draw_video(path, SIZE, np.random.default_rng(5))[0].astype(float)


def alike(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def test_angles_turn_clockwise_on_the_screen():
    background = still_object(0, 0.001)
    before, after = (still_object(angle, 0.35) - background for angle in (0, np.pi / 2))
    clockwise, counterclockwise = (np.rot90(before, turns) for turns in (-1, 1))
    assert alike(after, clockwise) > 0.8
    assert alike(after, clockwise) > alike(after, counterclockwise) + 0.3


def test_radius_is_that_of_the_object():
    background = still_object(0, 0.001)
    small, large = (
        np.count_nonzero(np.abs(still_object(0, radius) - background).max(-1) > 15)
        for radius in (0.2, 0.4)
    )
    assert large / small == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize(("class_name", "sign"), [("rotate_clockwise", 1), ("grow", 1)])
def test_turning_and_growing_go_the_way_their_class_says(class_name, sign):
    for name, way in ((class_name, sign), (dict(OPPOSITES)[class_name], -sign)):
        path = motion_path(name, 32, np.random.default_rng(0))
        turned = (np.diff(path.angle) + np.pi) % (2 * np.pi) - np.pi
        grown = np.diff(np.log(path.radius))
        if "rotate" in class_name:
            assert np.allclose(turned, turned[0])
            assert 2 * np.pi / 50 <= way * turned[0] <= 2 * np.pi / 22
            assert not grown.any()
        else:
            assert not turned.any()
            usual = np.median(grown)  # the leaps back are rare
            assert 0.03 < way * usual < 0.08
            assert np.mean(np.isclose(grown, usual)) > 0.8


# The files.


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    directory = tmp_path_factory.mktemp("videos") / "motion"
    seen = []
    write_motion_set(
        directory,
        {"train": 2, "test": 1},
        seed=0,
        num_frames=10,
        progress=lambda done, total: seen.append((done, total)),
    )
    return directory, seen


def test_written_set_has_a_folder_for_each_split_and_class(written):
    directory, _ = written
    files = sorted(str(file.relative_to(directory)) for file in directory.rglob("*.mp4"))
    assert files == sorted(
        f"{split}/{name}/{name}_{index:04d}.mp4"
        for split, count in (("train", 2), ("test", 1))
        for name in MOTION_CLASSES
        for index in range(count)
    )
    assert [file.name for file in directory.parent.iterdir()] == [directory.name]


def test_progress_counts_the_videos(written):
    _, seen = written
    assert seen == [(done, 24) for done in range(1, 25)]


def test_written_video_has_the_frames_rendered(written, tmp_path):
    frames = render_motion("grow", 0, num_frames=10)
    encode_mp4(tmp_path / "grow.mp4", frames, fps=10)
    decoded = decode(tmp_path / "grow.mp4")
    assert decoded.shape == frames.shape
    assert np.abs(decoded.astype(int) - frames).mean() < 8  # colour is at half resolution


def test_splits_and_videos_differ(written):
    directory, _ = written
    contents = [file.read_bytes() for file in directory.rglob("*.mp4")]
    assert len(set(contents)) == len(contents)


def test_another_seed_writes_other_videos_and_the_same_seed_the_same(written, tmp_path):
    directory, _ = written
    again = write_motion_set(
        tmp_path / "again", {"train": 2, "test": 1}, seed=0, num_frames=10, workers=2
    )
    other = write_motion_set(tmp_path / "other", {"test": 1}, seed=1, num_frames=10)
    for file in directory.rglob("*.mp4"):
        assert (again / file.relative_to(directory)).read_bytes() == file.read_bytes()
    for file in other.rglob("*.mp4"):
        assert (directory / file.relative_to(other)).read_bytes() != file.read_bytes()


def test_mp4_carries_no_trace_of_the_direction_of_time(tmp_path):
    frames = render_motion("move_left", 3)
    encode_mp4(tmp_path / "forwards.mp4", frames)
    encode_mp4(tmp_path / "backwards.mp4", frames[::-1])
    assert np.array_equal(
        decode(tmp_path / "forwards.mp4"), decode(tmp_path / "backwards.mp4")[::-1]
    )


def test_nothing_is_left_of_a_set_that_failed(tmp_path):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_motion_set(tmp_path / "motion", {"train": 1}, num_frames=2, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_may_be_written_to_and_a_full_one_not(tmp_path):
    write_motion_set(tmp_path, {"test": 1}, num_frames=2)
    assert (tmp_path / "test" / "grow").is_dir()
    with pytest.raises(ValueError, match=r"`directory`.*Received"):
        write_motion_set(tmp_path, {"test": 1}, num_frames=2)


# Clips in memory.


@pytest.mark.parametrize(
    "spec",
    [
        ClipSpec(num_frames=16, frame_stride=1, resize=64, crop=64),
        ClipSpec(num_frames=8, frame_stride=2, resize=32, crop=32),
        ClipSpec(num_frames=64, frame_stride=1, resize=32, crop=(24, 32)),
        ClipSpec(num_frames=4, frame_stride=2, resize=128, crop=112),
    ],
)
def test_clips_have_the_shape_of_the_spec(spec):
    clips, labels = motion_clips(9, spec, seed=0)
    assert clips.shape == (9, *spec.input_shape)
    assert clips.dtype == np.uint8
    assert labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 0]


def test_clips_follow_from_the_seed():
    spec = ClipSpec(num_frames=4, frame_stride=1, resize=32, crop=32)
    first, again, other = (motion_clips(8, spec, seed)[0] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len({clip.tobytes() for clip in first}) == len(first)


# What users get wrong.


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda path: render_motion("left", 0), r"`class_name`.*'move_left'.*Received: 'left'"),
        (lambda path: render_motion("grow", -1), r"`seed`.*at least 0.*Received: -1"),
        (lambda path: render_motion("grow", 0, num_frames=0), r"`num_frames`.*Received: 0"),
        (lambda path: render_motion("grow", 0, size=63), r"`size`.*even.*Received: 63"),
        (lambda path: motion_clips(0, ClipSpec(), seed=0), r"`num_clips`.*Received: 0"),
        (lambda path: motion_clips(8, ClipSpec(), seed=0.5), r"`seed`.*Received: 0.5"),
        (
            lambda path: write_motion_set(path, {"tests": 1}),
            r"`videos_per_class`.*'train'.*'tests'",
        ),
        (lambda path: write_motion_set(path, 10), r"`videos_per_class`.*Received: 10"),
        (lambda path: write_motion_set(path, {"train": 0}), r"videos_per_class\['train'\].*: 0"),
        (lambda path: write_motion_set(path, {"train": 1}, workers=0), r"`workers`.*: 0"),
        (lambda path: write_motion_set(path, {"train": 1}, fps=True), r"`fps`.*Received: True"),
    ],
)
def test_wrong_arguments_are_named(call, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        call(tmp_path / "motion")
    assert list(tmp_path.iterdir()) == []
