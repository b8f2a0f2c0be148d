"""Predictions and embeddings under Apache Beam: the rows of the local runner."""

import json
import shutil

import numpy as np
import pytest

from keras_t3d.data.beam.errors import BeamError
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.inference import BulkOptions, write_embeddings, write_predictions
from keras_t3d.inference.bulk import beam
from keras_t3d.inference.bulk.beam import write_embeddings_with_beam, write_predictions_with_beam
from tests.beam_bucket import LOCAL, needs_beam

pytestmark = [pytest.mark.process, needs_beam]

HERE = BulkOptions(num_views=2, workers=0)


def predict(model, videos, out, **keywords):
    return write_predictions_with_beam(model, videos, out, HERE, beam_options=LOCAL, **keywords)


@pytest.fixture(scope="module")
def films(videos, tmp_path_factory):
    """Three videos that decode and one that does not."""
    folder = tmp_path_factory.mktemp("films") / "films"
    folder.mkdir()
    for number, path in enumerate(sorted((videos / "test" / "dark").iterdir())[:3]):
        shutil.copy(path, folder / f"{number}.mp4")
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder


@pytest.fixture
def chunks_of_two(monkeypatch):
    monkeypatch.setattr(beam, "_VIDEOS_TOGETHER", 2)


@pytest.fixture(scope="module")
def predicted_here(lite_path, films, tmp_path_factory):
    """What the local runner writes."""
    out = tmp_path_factory.mktemp("here") / "scores.csv"
    write_predictions(lite_path, films, out, HERE)
    return out.read_bytes()


def test_the_file_is_that_of_the_local_runner(
    lite_path, films, predicted_here, chunks_of_two, tmp_path
):
    report = predict(lite_path, films, tmp_path / "scores.csv")
    assert (tmp_path / "scores.csv").read_bytes() == predicted_here
    assert (report.path, report.videos, report.unreadable) == (tmp_path / "scores.csv", 4, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["scores.csv"]


def test_decoding_processes(lite_path, films, predicted_here, tmp_path):
    options = BulkOptions(num_views=2)
    write_predictions_with_beam(
        lite_path, films, tmp_path / "scores.csv", options, beam_options=LOCAL
    )
    assert (tmp_path / "scores.csv").read_bytes() == predicted_here


def test_embeddings_of_a_keras_file(model_path, films, tmp_path):
    write_embeddings(model_path, films, tmp_path / "here.npz", HERE)
    write_embeddings_with_beam(model_path, films, tmp_path / "e.npz", HERE, beam_options=LOCAL)
    here, there = (np.load(tmp_path / name) for name in ("here.npz", "e.npz"))
    assert set(there) == set(here)
    np.testing.assert_array_equal(there["videos"], here["videos"])
    np.testing.assert_allclose(there["embeddings"], here["embeddings"], atol=1e-6)


def test_a_folder_of_a_model_is_sent(saved_model_path, films, tmp_path):
    write_predictions(saved_model_path, films, tmp_path / "here.jsonl", HERE)
    predict(saved_model_path, films, tmp_path / "scores.jsonl")
    here, there = (
        [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        for name in ("here.jsonl", "scores.jsonl")
    )
    assert [row["video"] for row in there] == [row["video"] for row in here]
    assert [row["classes"][:1] for row in there] == [row["classes"][:1] for row in here]


def test_only_what_is_missing_is_computed(
    lite_path, films, predicted_here, chunks_of_two, tmp_path, monkeypatch
):
    """The first of two chunks is finished; its videos are gone."""
    mine, out = shutil.copytree(films, tmp_path / "films"), tmp_path / "scores.csv"
    with monkeypatch.context() as patched:
        patched.setattr(beam, "_write_file", lambda *_: 1 / 0)  # killed before the end
        with pytest.raises(ZeroDivisionError):
            predict(lite_path, mine, out)
    (second,) = (tmp_path / "scores.csv.beam").rglob("rows-000001.jsonl")
    second.unlink()
    first, *_ = sorted(mine.iterdir())
    first.write_bytes(bytes(first.stat().st_size))
    with pytest.raises(InvalidArgumentError, match=r"`num_views` 2, now 3.*scores\.csv"):
        write_predictions_with_beam(lite_path, mine, out, BulkOptions(3), beam_options=LOCAL)
    predict(lite_path, mine, out)
    assert out.read_text().replace(str(mine), str(films)).encode() == predicted_here


def test_videos_and_result_in_a_bucket(
    lite_path, films, predicted_here, chunks_of_two, bucket, tmp_path
):
    shutil.copytree(films, bucket.root / "films")
    mine = shutil.copytree(films, tmp_path / "films")
    for path in mine.iterdir():
        path.write_bytes(bytes(path.stat().st_size))  # the launcher reads their sizes only
    report = predict(lite_path, mine, "box://out/scores.csv", videos_at="box://films")
    written = (bucket.root / "out" / "scores.csv").read_text()
    assert written.replace(str(mine), str(films)).encode() == predicted_here
    assert report.path == "box://out/scores.csv"
    assert [path.name for path in (bucket.root / "out").rglob("*") if path.is_file()] == [
        "scores.csv"
    ]


def test_videos_that_the_workers_do_not_see(lite_path, films, tmp_path):
    with pytest.raises(BeamError, match="nowhere"):
        predict(lite_path, films, tmp_path / "s.csv", videos_at=str(tmp_path / "nowhere"))
    with pytest.raises(InvalidArgumentError, match=r"`videos_at`.*2 sources"):
        predict(lite_path, [films, films], tmp_path / "s.csv", videos_at="/mnt")


@pytest.mark.parametrize(
    ("out", "videos_at", "message"),
    [
        ("box://b/run[1]/s.csv", None, r"`out`.*run\[1\]"),
        ("nosuch://b/s.csv", None, "nosuch://b"),
        ("s.csv", "mount/films", "`videos_at`.*absolute"),
    ],
)
def test_bad_places_leave_nothing(out, videos_at, message, lite_path, films, bucket, tmp_path):
    out = out if ":" in out else str(tmp_path / out)
    with pytest.raises(InvalidArgumentError, match=message):
        predict(lite_path, films, out, videos_at=videos_at)
    assert not list(tmp_path.iterdir())


def test_rows_of_other_work_are_not_taken(lite_path, films, tmp_path, monkeypatch):
    """A run that ends while it removes its state leaves rows without what they depend on."""
    from keras_t3d.data.beam.folder import BeamFolder

    out = tmp_path / "scores.csv"
    monkeypatch.setattr(BeamFolder, "delete_all", lambda _: None)
    predict(lite_path, films, out)
    (left,) = (tmp_path / "scores.csv.beam").iterdir()
    (left / "identity.json").unlink()
    predict(lite_path, films, out, top=1)
    assert len(out.read_text().splitlines()) == 1 + 4


def test_a_model_in_memory_is_refused(model, films, tmp_path):
    with pytest.raises(InvalidArgumentError, match="`model`"):
        predict(model, films, tmp_path / "s.csv")
    assert not list(tmp_path.iterdir())


def test_results_that_only_the_workers_see(lite_path, films, tmp_path, monkeypatch):
    monkeypatch.setattr("keras_t3d.data.beam.pipeline.run_over_lines", lambda *_: None)
    with pytest.raises(BeamError, match=r"1 of 1 .*rows-000000"):
        predict(lite_path, films, tmp_path / "s.csv")
