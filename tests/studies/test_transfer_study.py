"""Subsets are nested, pairs are of two films, and results match the files of the runs."""

import contextlib
import importlib
import io
import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras.src.applications.densenet import DenseNet

from keras_t3d.clips import ClipSpec
from keras_t3d.data import ClipReader
from keras_t3d.data.augmentation.options import Augmentation
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.training.network import network_for
from keras_t3d.transfer import FrameClipMatching, FrameTeacher, inflate
from tests.transfer.pairs import tiny_student, tiny_teacher

STUDIES = pathlib.Path(__file__).parents[2] / "studies"
study, settings, videos, teacher, match, results, differences, results_page = map(
    importlib.import_module,
    (
        "transfer_study",
        "transfer_settings",
        "transfer_videos",
        "transfer_teacher",
        "transfer_match",
        "transfer_results",
        "transfer_differences",
        "results_page",
    ),
)
FilmClip = importlib.import_module("jhmdb_films").FilmClip
Folders = settings.Folders

QUICK = [
    *("--quick", "--datasets", "jhmdb", "--starts", "random", "matching"),
    *("--fractions", "25", "--seeds", "0"),
]


def run_study(*words: str) -> tuple[dict, str]:
    """Returns what the last line says, and all lines."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        study.main(list(words))
    lines = printed.getvalue()
    return json.loads(lines.splitlines()[-1]), lines


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A quick run of all stages but the timing, on generated videos."""
    folder = tmp_path_factory.mktemp("transfer") / "out"
    stages = ("teacher", "pretrain", "match", "finetune", "results")
    result, lines = run_study("--out", str(folder), *QUICK, "--stage", *stages)
    assert "steps alone" in lines
    assert result["runs_in_results"] == 2
    assert [run["run"] for run in result["finetune"]] == [
        "jhmdb, seed 0, 25 % of the labels: random",
        "jhmdb, seed 0, 25 % of the labels: matching",
    ]
    return folder


# Labels.


clips_strategy = st.lists(
    st.tuples(st.sampled_from("xyz"), st.sampled_from(["train", "train", "test"])),
    min_size=1,
    max_size=60,
).map(
    lambda drawn: [
        FilmClip(f"{label}{n}.mp4", label, f"film{n // 2}", split)
        for n, (label, split) in enumerate(drawn)
    ]
)


@given(clips_strategy, st.integers(0, 5))
def test_labels_of_a_smaller_percent_are_among_those_of_a_larger(clips, seed):
    training = [clip for clip in clips if clip.split == "train"]
    before: list = []
    for percent in settings.PERCENTS:
        chosen = videos.label_subset(clips, percent, seed)
        assert set(before) <= set(chosen)
        assert {clip.label for clip in chosen} == {clip.label for clip in training}
        before = chosen
    assert before == training


def test_a_percent_is_that_of_each_class():
    clips = [FilmClip(f"{n}.mp4", "xy"[n < 40], str(n), "train") for n in range(60)]
    for percent, expected in {5: (2, 1), 10: (4, 2), 25: (10, 5), 100: (40, 20)}.items():
        labels = [clip.label for clip in videos.label_subset(clips, percent, 0)]
        assert (labels.count("y"), labels.count("x")) == expected
    seeds = [frozenset(videos.label_subset(clips, 25, seed)) for seed in range(3)]
    assert len(set(seeds)) == 3


def test_where_the_videos_lie_does_not_choose_the_labels():
    def chosen(above):
        clips = [FilmClip(f"{above}/x/{n}.mp4", "x", str(n), "train") for n in range(40)]
        return [clip.film for clip in videos.label_subset(clips, 10, 0)]

    assert chosen("../videos") == chosen("../../elsewhere")


def test_an_epoch_of_few_labels_passes_over_them_as_often_as_there_is_room(out):
    shards = out / "jhmdb" / "videos_tiny" / "shards"
    labelled = ShardSet.open(shards / "labels025_seed0")
    chosen = videos.label_subset(videos.listed_clips(shards / "final"), 25, 0)
    assert len(chosen) == 16  # 2 of 8 of each of 8 classes
    assert labelled.splits == ["train"]
    assert labelled.num_videos("train") == 64 == ShardSet.open(shards / "final").num_videos("train")
    assert labelled.class_names == ShardSet.open(shards / "final").class_names
    assert not labelled.damaged_shards()
    spec = ClipSpec(num_frames=1, frame_stride=1, resize=36, crop=32)
    clips = ClipReader(labelled, "train", spec, 8).as_py_dataset()
    labels = np.concatenate([batch[1] for batch in clips])
    assert np.bincount(labels).tolist() == [8] * 8
    records = match.record_views(labelled.folder, "train", spec, Augmentation(), 0)
    found = [video_id for video_id, _ in records]
    assert {video_id: found.count(video_id) for video_id in found} == {
        clip.file: 4 for clip in chosen
    }


def test_all_labels_are_all_training_videos(tmp_path):
    assert videos.labelled_shards(tmp_path / "final", 100, 3) == tmp_path / "final"


# Teacher.


def test_the_teacher_is_a_densenet_of_keras_applications():
    theirs = DenseNet(
        [1, 2, 1, 1], True, None, input_shape=(32, 32, 3), classes=5, classifier_activation=None
    )
    ours = teacher.image_densenet((32, 32, 3), 5, [1, 2, 1, 1])
    assert [w.path for w in ours.weights] == [w.path for w in theirs.weights]
    rng = np.random.default_rng(0)
    values = [rng.uniform(0.1, 0.5, weight.shape) for weight in theirs.weights]
    for network in (ours, theirs):
        network.set_weights(values)
    images = rng.normal(0, 1, (2, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(ours(images), theirs(images), rtol=1e-5)


@pytest.mark.parametrize("dataset", settings.DATASETS)
@pytest.mark.parametrize("size", ["tiny", "small"])
def test_inflation_leaves_the_classifying_layer_alone_fresh(dataset, size):
    ours = settings.DATASETS[dataset][size]
    config = settings.make_finetuning(ours, 100, pathlib.Path("s"), 0)
    student = network_for(config.model, config.clip_spec, ("a", "b"))
    report = inflate(student, teacher.teacher_for(ours, 5))
    assert report.fresh == ("logits",)
    assert report.unused == ("predictions",)
    assert report.notes == ()


def test_a_still_clip_gives_the_inflated_student_the_teachers_features():
    ours = settings.DATASETS["motion"]["tiny"]
    config = settings.make_finetuning(ours, 100, pathlib.Path("s"), 0)
    student = network_for(config.model, config.clip_spec, ("a", "b"))
    network = teacher.teacher_for(ours, 5)
    inflate(student, network, mode="centre")
    features = keras.Model(network.inputs, network.layers[-1].input)
    still = np.random.default_rng(0).integers(0, 256, (1, 1, 32, 32, 3), dtype=np.uint8)
    clip = np.repeat(still, config.clip_spec.num_frames, axis=1)
    expected = FrameTeacher(features, "torch").frame_features(still[:, 0])
    np.testing.assert_allclose(student.feature_model()(clip), expected, atol=1e-5)


def test_drawn_stills_have_the_same_looks_in_other_places():
    spec = ClipSpec(num_frames=1, frame_stride=1, resize=48, crop=48)
    stills, labels = teacher.draw_stills(2, 3, 48, spec, seed=1, stream=1)
    assert stills.shape == (6, 1, 48, 48, 3)
    assert labels.tolist() == [0, 1, 0, 1, 0, 1]
    again, _ = teacher.draw_stills(2, 3, 48, spec, seed=1, stream=1)
    np.testing.assert_array_equal(stills, again)
    others, _ = teacher.draw_stills(2, 3, 48, spec, seed=1, stream=2)
    assert all((still != other).any() for still in stills for other in others)


def test_a_given_look_is_drawn_in_new_colours():
    from keras_t3d.motion_set import rendering

    path = rendering.Path(*np.array([[0.5], [0.5], [0.0], [0.4]]))
    disc = rendering.Look(np.ones(128), np.full((2, 3), np.nan), np.zeros((2, 2)), np.zeros(2))
    centres = []
    for seed in range(8):
        frame = rendering.draw_video(path, 64, np.random.default_rng(seed), disc)[0]
        centres.append(frame[31:33, 31:33].mean((0, 1)))
    assert np.std(centres, axis=0).min() > 20


# Matching.


films_strategy = st.lists(
    st.tuples(st.sampled_from("xy"), st.integers(0, 4)), min_size=1, max_size=20
).map(
    lambda drawn: [
        FilmClip(f"{n}.mp4", label, f"film{film}", "val") for n, (label, film) in enumerate(drawn)
    ]
)


@given(films_strategy, st.integers(0, 3))
def test_a_negative_is_never_of_the_same_film(clips, seed):
    for kind in match.NEGATIVES:
        pairs = match.draw_pairs(clips, kind, seed)
        assert pairs == match.draw_pairs(clips, kind, seed)
        for first, second in pairs:
            assert clips[first].film != clips[second].film
            assert kind == "random" or clips[first].label == clips[second].label
        paired = {first for first, _ in pairs}
        for number, clip in enumerate(clips):
            others = [
                other
                for other in clips
                if other.film != clip.film and (kind == "random" or other.label == clip.label)
            ]
            assert (number in paired) == bool(others)


def test_a_histogram_counts_boxes_of_colours():
    pixels = np.array([[[0, 0, 0], [31, 31, 31]], [[255, 0, 0], [0, 32, 255]]], np.uint8)
    histogram = match.colour_histogram(pixels)
    assert histogram.shape == (512,)
    assert {int(box): histogram[box] for box in histogram.nonzero()[0]} == {
        0: 0.5,
        7 * 64: 0.25,
        1 * 8 + 7: 0.25,
    }


def test_the_distance_of_histograms():
    first, second, third = (np.array(v) for v in ([0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0, 1.0]))
    assert match.chi_square(first, first) == 0
    assert match.chi_square(first, second) == 0.5
    assert match.chi_square(first, third) == 1
    assert match.chi_square(second, third) == pytest.approx(0.5 * (0.5 + 0.25 / 1.5))


def test_the_threshold_that_tells_most_pairs_right():
    assert match.best_threshold([0.1, 0.2, 0.5], [0.4, 0.8, 0.9]) == pytest.approx(0.3)
    assert match.accuracy_of([0.1, 0.2, 0.5], [0.4, 0.8, 0.9], 0.3) == pytest.approx(5 / 6)
    assert match.best_threshold([0.0, 0.0], [0.6, 1.0]) == 0.3
    assert match.accuracy_of([0.0], [0.6], 0.3) == 1
    assert match.accuracy_of([0.5], [0.5], match.best_threshold([0.5], [0.5])) == 0.5


@pytest.mark.parametrize(("flip", "step"), [(True, -1), (False, 1)])
def test_the_other_view_is_a_window_of_the_same_frames_as_training_draws_it(flip, step):
    spec = ClipSpec(num_frames=2, frame_stride=1, resize=8, crop=8)
    windows = Augmentation(crop="random_resized", min_area=0.4, flip=flip)
    frames = np.random.default_rng(0).integers(0, 256, (4, 8, 12, 3), dtype=np.uint8)
    left = match.other_view(frames, spec, windows, np.array([1.0, 1.0, 0.0, 0.0]))
    np.testing.assert_array_equal(left, frames[1:3, :, :8][:, :, ::step])
    right = match.other_view(frames, spec, windows, np.array([1.0, 1.0, 0.0, 0.999]))
    np.testing.assert_array_equal(right, frames[1:3, :, 4:][:, :, ::step])


def test_a_pairs_score_is_that_of_its_clip_with_the_others_frames():
    learner = FrameClipMatching(tiny_teacher(), tiny_student(), features=8, hidden=(4,))
    learner.compile("sgd")
    rng = np.random.default_rng(0)
    clips = rng.integers(0, 256, (5, 4, 16, 16, 3), dtype=np.uint8)
    frames = rng.normal(0, 3, (5, 6)).astype("float32")
    pairs = [(0, 3), (1, 4), (4, 0), (2, 1), (3, 2)]
    scores = match.pair_scores(learner, clips, frames, pairs, batch_size=5)
    for pair, score in zip(pairs, scores, strict=True):
        own = list(pair)
        batch = {
            "clips": clips[own],
            "videos": np.array([0, 1], np.int32),
            "frame_features": frames[own],
        }
        np.testing.assert_allclose(score, learner(batch)["scores"][0], atol=1e-5)
    assert len(np.unique(scores.round(4))) == 10  # no two pairs are alike here


def test_what_scores_tell_right():
    assert match.balanced_accuracy(np.array([[1, -1], [2, 3], [-1, 0], [1, -2]])) == 0.75


def test_matchers_are_asked_about_the_same_pairs(out):
    found = json.loads((out / "jhmdb" / "tiny" / "seed0" / "match.json").read_text())
    assert found["clips"] == found["films"] == 16
    assert found["pairs"] == {"random": 16, "same_class": 16}
    accuracy = found["accuracy"]
    assert set(accuracy) == {"histogram", "matching"}
    assert accuracy["histogram"]["same"] == {"random": 1.0, "same_class": 1.0}
    for view in match.VIEWS:
        for kind in match.NEGATIVES:
            told = accuracy["matching"][view][kind] * 32
            assert told == round(told)  # of 16 own and 16 other frames


# Runs.


def test_what_is_finished_is_read_and_not_done_again(out, monkeypatch):
    def never(*_: object, **__: object) -> None:
        raise AssertionError("began again")

    path = out / "jhmdb" / "tiny" / "seed0" / "finetune" / "random" / "025" / "test"
    before = (path / "metrics.json").read_text()
    for name in ("train.train", "pretrain.pretrain", "evaluate.evaluate"):
        monkeypatch.setattr(f"keras_t3d.training.{name}", never)
    for name in ("held_out", "student_accuracies"):
        monkeypatch.setattr(match, name, never)
    monkeypatch.setattr(teacher, "_fitted", never)
    try:
        (path / "metrics.json").write_text(json.dumps({**json.loads(before), "top1": 0.4321}))
        stages = ("teacher", "pretrain", "match", "finetune")
        result, _ = run_study("--out", str(out), *QUICK, "--stage", *stages)
        assert result["finetune"][0]["top1"] == 0.4321
    finally:
        (path / "metrics.json").write_text(before)


def test_all_starts_of_a_percent_train_alike(out):
    folder = out / "jhmdb" / "tiny" / "seed0" / "finetune"
    configs = {path.read_text() for path in folder.glob("*/025/run/config.yaml")}
    assert len(list(folder.glob("*/025/run/config.yaml"))) == 2
    assert len(configs) == 1


def test_a_start_that_is_not_trained_is_named(out):
    words = ["--out", str(out), *QUICK, "--stage", "finetune", "--starts", "contrast"]
    with pytest.raises(ValueError, match="--stage pretrain"):
        study.main(words)
    with pytest.raises(ValueError, match="--stage teacher"):
        study.main([*words, "--seeds", "7", "--stage", "pretrain"])


def test_the_script_says_that_it_needs_videos(tmp_path):
    command = [sys.executable, str(STUDIES / "transfer_study.py"), "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--videos is needed" in done.stderr


@pytest.mark.parametrize("dataset", settings.DATASETS)
@pytest.mark.parametrize("size", ["small", "full"])
def test_settings_make_configurations(dataset, size):
    ours, shards = settings.DATASETS[dataset][size], pathlib.Path("s")
    for start in settings.STARTS.values():
        if start.objective is not None:
            config = settings.make_pretraining(ours, start, shards, pathlib.Path("t.keras"), 1)
            assert config.objective.kind == start.objective
            assert config.inflate == ("teacher" if start.inflated else None)
            assert config.cache_features == start.cached
            assert config.data.validation_split == "val"
    for percent in settings.PERCENTS:
        config = settings.make_finetuning(ours, percent, shards, 1)
        assert config.epochs == ours.epochs[percent]
        assert config.data.validation_split is None


# The results.

TOP1 = {
    ("random", 5): (0.25, 0.5),
    ("random", 100): (0.5, 0.75),
    ("matching", 5): (0.5, 0.75),
    ("matching", 100): (0.625, 0.625),
}


@pytest.fixture
def made(tmp_path):
    """Files as a study leaves them, with figures that are made up."""
    for seed in (0, 1):
        folders = Folders(tmp_path, "motion", "tiny", seed)
        ours = settings.DATASETS["motion"]["tiny"]
        for (start, percent), top1 in TOP1.items():
            folder = folders.finetuned(start, percent)
            config = settings.make_finetuning(ours, percent, folders.final, seed)
            write_run(folder / "run", config, step=16)
            write_json(folder / "machine.json", MACHINE)
            write_json(
                folder / "test" / "metrics.json",
                {
                    "top1": top1[seed],
                    "videos": 16,
                    "per_class": {str(n): {} for n in range(8)},
                    "protocol": {"scored": "3 clips"},
                },
            )
        for name, start in settings.STARTS.items():
            if start.objective is not None:
                config = settings.make_pretraining(
                    ours, start, folders.choosing, folders.teacher, seed
                )
                write_run(folders.pretrained(name), config, step=12)
        stills = {"stills": "3 outlines", "classes": 3, "held_out": [0.5, 0.75][seed]}
        write_json(folders.teacher.with_suffix(".json"), stills)
        views = {view: {"random": 1.0, "same_class": 0.75} for view in match.VIEWS}
        accuracy = {"histogram": {"threshold": {}, **views}, "matching": views}
        pairs = {"random": 16, "same_class": 14}
        matched = {"clips": 16, "films": 9, "pairs": pairs, "accuracy": accuracy}
        write_json(folders.match, matched | {"other_view": "a random window"})
    listed = [f"{n}.mp4,{n % 8},{n}.mp4,train\n" for n in range(64)]
    folders.final.parent.mkdir(parents=True)
    pathlib.Path(f"{folders.final}.csv").write_text("path,label,film,split\n" + "".join(listed))
    write_json(
        folders.videos / "films.json",
        {
            "clips": {"train": 64, "test": 16},
            "choosing_clips": {"train": 48, "val": 16},
            "held_out_films": 9,
        },
    )
    write_json(folders.of_size / "step.json", STEP)
    return tmp_path


MACHINE = {
    **{"cores": 2, "cpu": "a CPU", "keras": "3", "backend": "jax", "backend_version": "1"},
    **{"accelerators": [], "load_at_start": 0.25},
}
STEP = {
    "milliseconds": {"plain training": 200.0, "pre-training, cached": 220.0},
    "quartiles": {name: [190, 200, 230] for name in ("plain training", "pre-training, cached")},
    "ratios": {"pre-training, cached": 1.1},
    "epoch_seconds": {"plain training": 5.0, "pre-training, cached": 6.0},
    **{"rounds": 3, "feature_seconds": 9.0, "batch_size": 4, "allowed": 1.15, "machine": MACHINE},
}


def write_json(path: pathlib.Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def write_run(folder: pathlib.Path, config, step: int) -> None:
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / f"step-{step:08d}.npz").touch()
    (folder / "config.yaml").write_text(config.to_yaml())
    (folder / "history.csv").write_text("epoch,seconds\n1,90\n")


def test_results_hold_what_the_files_hold(made):
    assert results.write_results(made, made / "results", made / "pictures") == 8
    (path,) = (made / "results").iterdir()
    result = json.loads(path.read_text())
    text = results_page.render_section(result, path.name)
    for line in (
        "| start | 5 % of the labels (8) | 100 % of the labels (64) |",
        "| random weights | 37.5 ± 17.7 (25.0, 50.0) | 62.5 ± 17.7 (50.0, 75.0) |",
        "| matching (the papers') | 62.5 ± 17.7 (50.0, 75.0) | 62.5 ± 0.0 (62.5, 62.5) |",
        "| chance | 12.5 | 12.5 |",
        "| matching (the papers') | +25.0 ± 0.0 | +0.0 ± 12.5 |",
        "| matching (the papers') | 5 % | 5 % |",
        "| plain training | 200 (190 to 230) |  | 5.0 |",
        "| pre-training, cached | 220 (190 to 230) | 1.10 | 6.0 |",
    ):
        assert line in text.splitlines()
    matchers = next(b for b in result["blocks"] if "columns" in b and b["columns"][0] == "matcher")
    assert matchers["rows"][0] == ["colour histogram", *[[100.0, 100.0], [75.0, 75.0]] * 2]
    words = " ".join(text.split())
    assert "excludes zero for: matching (the papers') at 5 % (+25.0 ± 0.0)." in words
    assert "Pre-training sees 48 of the training videos" in words
    assert "the clip is a random window, the frames" in words
    assert "3 outlines; top-1 62.5 ± 17.7 % on held-out stills" in words
    assert "a run with 5 % 16 steps, 1.5 minutes, 100 % 16 steps, 1.5 minutes." in words
    assert "any (16 pairs), or of the same class (14 pairs)" in words
    assert "2 cores of a CPU, no GPU, keras 3 on jax 1" in words
    assert str(made) not in text
    drawn = made / "pictures" / "results_transfer_motion_tiny.png"
    assert drawn.read_bytes().startswith(b"\x89PNG")


def test_a_quick_run_writes_results(out):
    (path,) = (out / "results").glob("*.json")
    text = results_page.render_section(json.loads(path.read_text()), path.name)
    metrics = json.loads(
        (out / "jhmdb" / "tiny" / "seed0" / "finetune" / "random" / "025" / "test")
        .joinpath("metrics.json")
        .read_text()
    )
    assert f"| random weights | {100 * metrics['top1']:.1f} |" in text
    assert "64 training and 16 test videos" in " ".join(text.split())


def test_differences_are_of_the_seeds_that_both_have():
    found = differences.paired_difference({0: 3.0, 1: 5.0, 2: 9.0}, {0: 1.0, 1: 1.0, 5: 7.0})
    assert (found.mean, found.error, found.seeds) == (3.0, 1.0, 2)
    assert str(found) == "+3.0 ± 1.0"
    assert not found.is_beyond_spread  # 12.7 standard errors are, of two seeds
    assert differences.paired_difference({0: 1.0}, {1: 1.0}) is None
    assert str(differences.paired_difference({0: 1.0}, {0: 2.0})) == "-1.0"
    three = differences.paired_difference({0: 5.0, 1: 6.0, 2: 7.0}, {0: 0.0, 1: 0.0, 2: 0.0})
    assert three.is_beyond_spread  # 10.4 standard errors; 4.3 are, of three seeds


def test_the_fewest_labels_that_reach_a_figure():
    assert differences.fewest_labels({5: 10.0, 25: 30.0, 100: 50.0}, 30.0) == 25
    assert differences.fewest_labels({5: 10.0, 25: 30.0}, 31.0) is None


def test_without_finished_runs_nothing_is_written(tmp_path):
    assert results.write_results(tmp_path, tmp_path / "r", tmp_path / "p") == 0
    assert not list(tmp_path.iterdir())


def test_runs_of_different_settings_are_not_one_table(made):
    path = made / "motion" / "tiny" / "seed1" / "finetune" / "random" / "005" / "run"
    text = (path / "config.yaml").read_text()
    (path / "config.yaml").write_text(text.replace("learning_rate: 0.05", "learning_rate: 0.07"))
    with pytest.raises(ValueError, match=r"random.005"):
        results.write_results(made, made / "results", made / "results")
    assert not (made / "results").exists()
