import collections

import numpy as np
import pytest

from keras_t3d.data.sources.named_videos import named_videos
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.inference import BulkOptions, predict_video, predict_videos
from keras_t3d.inference.bulk.engine import video_results
from tests.conftest import counting_frames, write_video

HERE = BulkOptions(workers=0, batch_size=4)


@pytest.fixture(scope="module")
def counting(tmp_path_factory):
    """Six videos whose lengths differ, the fourth of which is none."""
    root = tmp_path_factory.mktemp("counting")
    for index, count in enumerate((10, 20, 3, 0, 30, 14)):
        path = root / f"{index}.mp4"
        if count:
            write_video(path, counting_frames(count))
        else:
            path.write_text("no video")
    return root


def results_of(recording, videos, options, done=()):
    function, spec = recording.probabilities, recording.clip_spec
    return list(video_results(function, spec, named_videos(videos), options, done))


def test_views_of_several_videos_are_one_batch(recording, counting):
    results = results_of(recording, counting, HERE)
    # A view spans 7 frames.
    assert [result.num_views for result in results] == [2, 3, 1, 0, 5, 2]
    assert recording.batches == [4, 4, 4, 1]
    assert [clip[0] for clip in recording.read] == [0, 3, 0, 7, 13, 0, 0, 6, 12, 17, 23, 0, 7]
    assert [round(float(r.values[1]), 6) for r in results if r.values is not None] == [
        *(0.5, 0.583333, 0.25, 0.45, 0.5),
    ]
    errors = {result.video: result.error for result in results if result.error}
    assert list(errors) == [str(counting / "3.mp4")]
    assert errors[str(counting / "3.mp4")].startswith("Cannot open the file as a video (")


@pytest.mark.parametrize("done", range(7))
def test_a_resumed_run_computes_the_same_batches(recording, counting, done):
    whole = results_of(recording, counting, HERE)
    batches, views = collections.deque(recording.batches), list(recording.read)
    recording.read.clear(), recording.batches.clear()
    known = [result.num_views for result in whole[:done]]
    resumed = results_of(recording, counting, HERE, known)
    assert [r.video for r in resumed] == [r.video for r in whole[done:]]
    for one, other in zip(resumed, whole[done:], strict=True):
        np.testing.assert_array_equal(one.values, other.values)
    begun = sum(known) // 4 * 4  # where the last batch began
    assert recording.read == views[begun:]
    assert recording.batches == list(batches)[begun // 4 :]


@pytest.mark.process
def test_processes_change_nothing(recording, counting):
    here = results_of(recording, counting, HERE)
    elsewhere = results_of(recording, counting, BulkOptions(workers=2, batch_size=4))
    for one, other in zip(here, elsewhere, strict=True):
        assert (one.video, one.num_views, one.error) == (other.video, other.num_views, other.error)
        np.testing.assert_array_equal(one.values, other.values)


def test_a_result_is_that_of_predict_video(lite_path, folder):
    (result,) = predict_videos(lite_path, folder / "a.mp4", BulkOptions(num_views=2))
    probabilities = sorted(result.values.tolist(), reverse=True)
    expected = predict_video(lite_path, folder / "a.mp4", num_views=2)
    assert probabilities == [probability for _, probability in expected]


def test_spans_are_videos_of_their_own(recording, tmp_path):
    write_video(tmp_path / "x.mp4", counting_frames(30), fps=10)
    rows = "path,start,end\nx.mp4,,0.7\nx.mp4,1,1.7\nx.mp4,2,\n"
    (tmp_path / "spans.csv").write_text(rows)
    results = results_of(recording, tmp_path / "spans.csv", BulkOptions(num_views=1, workers=0))
    assert [result.video for result in results] == ["x.mp4@0-0.7", "x.mp4@1-1.7", "x.mp4@2-"]
    assert recording.read == [[0, 2, 4, 6], [10, 12, 14, 16], [21, 23, 25, 27]]


def test_nan_is_an_error_that_names_the_video(recording, counting):
    def diverged(clips):
        return np.full((len(clips), 2), np.nan, np.float32)

    with pytest.raises(InvalidArgumentError, match=r"diverged.*0\.mp4"):
        list(video_results(diverged, recording.clip_spec, named_videos(counting), HERE))


@pytest.mark.parametrize(
    ("name", "value"),
    [("num_views", 0), ("batch_size", 0), ("workers", -1), ("workers", 1.5), ("time_limit", 0.5)],
)
def test_options_out_of_range(name, value):
    with pytest.raises(InvalidArgumentError, match=f"`{name}`"):
        BulkOptions(**{name: value})


def test_one_video_is_decoded_here_by_default():
    assert BulkOptions().workers_for(1) == 0
    assert BulkOptions().workers_for(1000) >= 1
    assert BulkOptions(workers=3).workers_for(1) == 3
