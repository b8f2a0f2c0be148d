import keras
import numpy as np
import pytest

from keras_t3d.transfer import FrameClipMatching
from tests.transfer.pairs import batch, tiny_student, tiny_teacher, values_of

pytestmark = pytest.mark.fit

SMALL = {"features": 5, "hidden": (4, 3)}


def dense(layer, x):
    kernel, bias = (keras.ops.convert_to_numpy(v) for v in layer.weights)
    return x @ kernel + bias


def test_scores_and_loss_match_the_equations():
    teacher, student = tiny_teacher(), tiny_student()
    matching = FrameClipMatching(teacher, student, **SMALL, negatives=2)
    matching.compile()
    inputs = batch([4, 4, 8, 15])
    outputs = {k: np.asarray(v) for k, v in matching(inputs).items()}
    frames = dense(matching._project_frames, np.asarray(teacher(inputs["clips"])))
    clips = dense(matching._project_clips, np.asarray(student.feature_model()(inputs["clips"])))

    def score(clip, frame):
        x = np.concatenate([frames[frame], clips[clip]])
        for layer in matching._hidden:
            x = np.maximum(dense(layer, x), 0)
        return dense(matching._score, x)[0]

    pairs = [(0, 2, 3), (1, 2, 3), (2, 3, 0), (3, 0, 1)]
    expected = [[score(clip, frame) for frame in (clip, *others)] for clip, *others in pairs]
    np.testing.assert_allclose(outputs["scores"], expected, rtol=1e-4, atol=1e-5)
    assert outputs["negative"].tolist() == [[1, 1]] * 4
    own, others = np.array(expected)[:, 0], np.array(expected)[:, 1:]
    losses = 0.5 * np.log1p(np.exp(-own)) + 0.5 * np.log1p(np.exp(others)).mean(1)
    got = matching.evaluate(inputs, batch_size=4, verbose=0, return_dict=True)
    assert got["transfer_loss"] == pytest.approx(losses.mean(), rel=1e-4)
    assert got["loss"] == pytest.approx(losses.mean(), rel=1e-4)
    hits = 0.5 * (own > 0) + 0.5 * (others <= 0).mean(1)
    assert got["match_accuracy"] == pytest.approx(hits.mean())


def test_excluded_clips():
    """Padding, and clips without a clip of another video in the batch."""
    matching = FrameClipMatching(tiny_teacher(), tiny_student(), **SMALL)
    matching.compile()
    padded, whole = batch([3, 5, 6, -1]), batch([3, 5, 6, -1])
    whole = {key: value[:3] for key, value in whole.items()}
    assert np.asarray(matching(padded)["weights"]).tolist() == [1, 1, 1, 0]
    results = [
        matching.evaluate(inputs, batch_size=4, verbose=0, return_dict=True)
        for inputs in (padded, whole)
    ]
    assert results[0]["transfer_loss"] == pytest.approx(results[1]["transfer_loss"], rel=1e-5)
    assert results[0]["match_accuracy"] == results[1]["match_accuracy"]
    before = values_of(matching._embed)[:1]
    alone = batch([3, 3, -1, 3])
    assert not np.asarray(matching(alone)["weights"]).any()
    assert not np.asarray(matching(alone)["negative"]).any()
    matching.fit(alone, batch_size=4, verbose=0)
    np.testing.assert_array_equal(before, values_of(matching._embed)[:1])


def test_only_student_and_head_are_trained():
    teacher, student = tiny_teacher(), tiny_student()
    matching = FrameClipMatching(teacher, student, **SMALL)
    matching.compile(keras.optimizers.AdamW(0.1, weight_decay=0.1))
    logits = values_of(student.layers[-1])
    taught, known = values_of(teacher), values_of(student)
    head = [values_of(part) for part in matching._head]
    matching.fit(batch(range(8)), batch_size=4, epochs=2, verbose=0)
    for a, b in zip(taught, values_of(teacher), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(logits, values_of(student.layers[-1]), strict=True):
        np.testing.assert_array_equal(a, b)
    moved = [not (a == b).all() for a, b in zip(known, values_of(student), strict=True)]
    assert sum(moved) == len(moved) - len(logits)
    for part, values in zip(matching._head, head, strict=True):
        assert not (values[0] == values_of(part)[0]).all()
    ids = {id(variable) for variable in matching.checkpointed_variables}
    assert {id(v) for v in matching.trainable_variables} < ids
    assert not ids & {id(v) for v in teacher.variables}


def test_cached_features_replace_the_teacher():
    teacher = tiny_teacher()
    matching = FrameClipMatching(teacher, tiny_student(), **SMALL)
    inputs = batch([0, 1, 2])
    cached = {**inputs, "frame_features": np.asarray(teacher(inputs["clips"]))}
    np.testing.assert_allclose(
        matching(cached)["scores"], matching(inputs)["scores"], rtol=1e-4, atol=1e-5
    )
    cached["frame_features"] = cached["frame_features"][::-1].copy()
    assert not np.allclose(matching(cached)["scores"], matching(inputs)["scores"], atol=1e-3)


def test_no_projection_where_widths_are_equal():
    matching = FrameClipMatching(tiny_teacher(width=5), tiny_student(), **SMALL)
    assert matching._project_frames is None
    assert matching._project_clips is not None


def test_it_learns_to_match():
    """Clips of uniform brightness, which frames and clips show alike."""
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, 64)
    clips = np.broadcast_to(levels[:, None, None, None, None], (64, 4, 16, 16, 3)).astype("uint8")
    matching = FrameClipMatching(tiny_teacher(), tiny_student(), features=16, hidden=(32, 16))
    matching.compile(keras.optimizers.Adam(0.01))
    inputs = {"clips": clips, "videos": np.arange(64, dtype=np.int32)}
    history = matching.fit(inputs, batch_size=16, epochs=40, verbose=0).history
    assert history["match_accuracy"][0] < 0.7
    assert history["match_accuracy"][-1] > 0.75


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision(dtype):
    matching = FrameClipMatching(tiny_teacher(), tiny_student(dtype=dtype), **SMALL)
    matching.compile("sgd")
    history = matching.fit(batch(range(4)), batch_size=4, verbose=0).history
    assert np.isfinite(history["loss"][0])
    assert keras.ops.dtype(matching(batch([0, 1]))["scores"]) == "float32"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"teacher": keras.Sequential([keras.Input((8, 8, 3))])}, "`teacher`"),
        ({"student": keras.Sequential([keras.Input((4, 16, 16, 3))])}, "`student`"),
        ({"negatives": 0}, r"Received: negatives=\[0\]"),
        ({"hidden": ()}, r"Received: hidden=\[\]"),
        ({"features": 1.5}, r"Received: features=\[1.5\]"),
    ],
)
def test_wrong_arguments_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        FrameClipMatching(**{"teacher": tiny_teacher(), "student": tiny_student()} | arguments)


def test_a_student_without_pooling_is_rejected():
    student = tiny_student(include_top=False, num_classes=None, pooling=None)
    with pytest.raises(ValueError, match="`student`"):
        FrameClipMatching(tiny_teacher(), student)


def test_a_student_without_a_classification_layer():
    student = tiny_student(include_top=False, num_classes=None)
    matching = FrameClipMatching(tiny_teacher(), student, **SMALL)
    assert len(matching.checkpointed_variables) == len(matching._embed.variables) + 10


def test_other_inputs_and_losses_are_rejected():
    matching = FrameClipMatching(tiny_teacher(), tiny_student(), **SMALL)
    with pytest.raises(ValueError, match="load_clips"):
        matching(batch([0, 1])["clips"])
    with pytest.raises(ValueError, match=r"Received: \['loss'\]"):
        matching.compile("sgd", loss="mse")
