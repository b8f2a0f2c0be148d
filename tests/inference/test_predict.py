import numpy as np
import pytest

from keras_t3d.clips import take_view, view_starts
from keras_t3d.data import VideoReader, read_video
from keras_t3d.inference import load_predictor, predict_video
from tests.conftest import counting_frames, write_video
from tests.data.copied_videos import trimmed


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    frames = np.random.default_rng(0).integers(0, 256, (40, 60, 80, 3), dtype=np.uint8)
    return write_video(tmp_path_factory.mktemp("video") / "noise.mp4", frames)


def test_probabilities_are_the_mean_over_views_of_the_whole_video(model, video):
    frames, spec = read_video(video).frames, model.clip_spec
    # 40 frames, clips that span 15: three views cover the video.
    starts = view_starts(40, spec, 3)
    assert (starts[0], starts[-1] + spec.span) == (0, 40)
    views = np.stack([take_view(frames, spec, start) for start in starts])
    expected = softmax(np.asarray(model(views), "float64")).mean(axis=0)
    predicted = predict_video(model, video, top=2)
    assert [name for name, _ in predicted] == [model.class_names[i] for i in np.argsort(-expected)]
    np.testing.assert_allclose([p for _, p in predicted], np.sort(expected)[::-1], atol=1e-5)


def test_top_and_views_are_options(model, video):
    assert len(predict_video(model, video, top=1)) == 1
    assert len(predict_video(model, video, top=99, num_views=1)) == 2
    with pytest.raises(ValueError, match="top"):
        predict_video(model, video, top=0)


def test_a_short_video_is_looped(model, tmp_path):
    path = write_video(tmp_path / "short.mp4", counting_frames(3))
    assert sum(p for _, p in predict_video(model, path)) == pytest.approx(1, abs=1e-5)


def test_a_video_is_decoded_once_unless_its_header_is_wrong(model, tmp_path, monkeypatch):
    passes = []
    whole = VideoReader._decoded

    def counted(reader):
        passes.append(reader.path)
        return whole(reader)

    frames = np.random.default_rng(0).integers(0, 256, (60, 48, 64, 3), dtype=np.uint8)
    right = write_video(tmp_path / "right.avi", frames, codec="mpeg4")
    cut = tmp_path / "cut.avi"
    cut.write_bytes(right.read_bytes()[: right.stat().st_size // 2])
    silent = write_video(
        tmp_path / "silent.mkv", frames
    )  # the header does not state the number of frames
    phone = trimmed(write_video(tmp_path / "whole.mp4", frames), tmp_path / "trimmed.mp4", 0.4)
    decoded = {path: read_video(path).frames for path in (right, cut, silent, phone)}
    monkeypatch.setattr(VideoReader, "_decoded", counted)
    for path, number in ((right, 1), (cut, 2), (silent, 1), (phone, 1)):
        passes.clear()
        (best, probability), *_ = predict_video(model, path, num_views=2)
        assert len(passes) == number
        spec, count = model.clip_spec, len(decoded[path])
        views = [take_view(decoded[path], spec, s) for s in view_starts(count, spec, 2)]
        expected = softmax(np.asarray(model(np.stack(views)), "float64")).mean(axis=0)
        assert best == model.class_names[expected.argmax()]
        assert probability == pytest.approx(expected.max(), abs=1e-5)


def test_a_file_predicts_like_the_model_in_memory(model, model_path, video):
    assert predict_video(model_path, video) == predict_video(model, video)


def test_uint8_batches_of_any_size(model):
    predictor = load_predictor(model)
    clips = np.random.default_rng(0).integers(0, 256, (3, *model.clip_spec.input_shape), np.uint8)
    together = predictor.probabilities(clips)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together[:1], predictor.probabilities(clips[:1]), atol=1e-5)
    np.testing.assert_allclose(together, softmax(np.asarray(model(clips))), atol=1e-5)


@pytest.mark.parametrize(
    "clips",
    [
        np.zeros((1, 8, 32, 32, 3), np.float32),
        np.zeros((0, 8, 32, 32, 3), np.uint8),
        np.zeros((8, 32, 32, 3), np.uint8),
    ],
)
def test_other_arrays_than_clips_are_rejected(model, clips):
    with pytest.raises(ValueError, match="`clips`"):
        load_predictor(model).probabilities(clips)


def test_none_is_no_model():
    with pytest.raises(ValueError, match=r"`model`.*NoneType"):
        load_predictor(None)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.keras", None, r"none\.keras"),
        ("text.keras", b"no model", r"text\.keras"),
        ("model.h5", b"no model", r"model\.h5"),
        ("text.tflite", b"no model", "tflite"),
        ("folder", "folder", "saved_model.pb"),
    ],
)
def test_other_files_are_rejected(tmp_path, name, content, message):
    path = tmp_path / name
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load_predictor(path)


def test_another_keras_model_is_rejected(tmp_path):
    import keras

    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    other.save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match="Sequential"):
        load_predictor(tmp_path / "other.keras")


def test_a_damaged_keras_file_is_rejected(model_path, tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "cut.keras", "w") as damaged:
        damaged.writestr("config.json", "{}")
    with pytest.raises(ValueError, match=r"cut\.keras"):
        load_predictor(tmp_path / "cut.keras")
