import numpy as np
import pytest

from keras_t3d.clips import take_view, view_starts
from keras_t3d.data import read_video
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.inference import BulkOptions, embed_videos, write_embeddings

HERE = BulkOptions(workers=0)


@pytest.fixture(scope="module")
def expected(model, folder):
    """The embeddings of the two videos of `folder`."""
    means = []
    for name in ("a.mp4", "below/b.mp4"):
        frames = read_video(folder / name).frames
        starts = view_starts(len(frames), model.clip_spec)
        views = np.stack([take_view(frames, model.clip_spec, start) for start in starts])
        means.append(np.asarray(model.feature_model()(views)).mean(axis=0))
    return np.stack(means)


def test_an_embedding_is_the_mean_over_views(model, folder, expected):
    results = list(embed_videos(model, folder, HERE))
    assert [result.num_views for result in results] == [3, 1, 0]
    values = np.stack([results[0].values, results[1].values])
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, expected, atol=1e-5)


def test_npz_holds_arrays(model_path, folder, expected, tmp_path):
    report = write_embeddings(model_path, folder, tmp_path / "e.npz", HERE)
    assert (report.videos, report.unreadable) == (3, 1)
    arrays = np.load(tmp_path / "e.npz")
    assert sorted(arrays) == ["embeddings", "reasons", "unreadable", "videos"]
    assert arrays["videos"].tolist() == [str(folder / "a.mp4"), str(folder / "below" / "b.mp4")]
    assert arrays["unreadable"].tolist() == [str(folder / "broken.mp4")]
    assert arrays["reasons"].item().startswith("Cannot open the file as a video (")
    np.testing.assert_allclose(arrays["embeddings"], expected, atol=1e-5)
    first = (tmp_path / "e.npz").read_bytes()
    write_embeddings(model_path, folder, tmp_path / "e.npz", HERE)
    assert (tmp_path / "e.npz").read_bytes() == first


def test_npz_without_a_readable_video(model_path, folder, tmp_path):
    write_embeddings(model_path, folder / "broken.mp4", tmp_path / "e.npz", HERE)
    arrays = np.load(tmp_path / "e.npz")
    assert (arrays["videos"].shape, arrays["embeddings"].shape) == ((0,), (0, 0))
    assert arrays["unreadable"].shape == (1,)


def test_parquet_holds_rows(model_path, folder, expected, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    write_embeddings(model_path, folder, tmp_path / "e.parquet", HERE)
    table = pq.read_table(tmp_path / "e.parquet")
    assert table.column_names == ["video", "embedding", "views", "damage", "error"]
    a, b, broken = table.to_pylist()
    np.testing.assert_allclose([a["embedding"], b["embedding"]], expected, atol=1e-5)
    assert (broken["embedding"], broken["views"]) == (None, 0)
    assert broken["error"].startswith("Cannot open")


@pytest.mark.export
def test_artifacts_have_no_embedding(lite_path, saved_model_path, folder, tmp_path):
    for path in (lite_path, saved_model_path):
        with pytest.raises(InvalidArgumentError, match=r"`model` must be a \.keras file"):
            write_embeddings(path, folder, tmp_path / "e.npz", HERE)
    assert list(tmp_path.iterdir()) == []


def test_a_network_without_embedding_is_refused(folder):
    import keras

    import keras_t3d

    inputs = keras.Input((4, 16, 16, 3))
    outputs = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling3D()(inputs))
    network = keras_t3d.models.VideoClassifier(inputs, outputs)
    with pytest.raises(InvalidArgumentError, match="'embedding'"):
        embed_videos(network, folder, HERE)
