"""Exported streams give Keras's answers after every step of a video."""

import contextlib
import json
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from keras_t3d import cli, models
from keras_t3d.deploy import (
    SavedModelOptions,
    TFLiteOptions,
    export_saved_model,
    export_tflite,
    list_ops,
    query,
)
from keras_t3d.deploy.serving_server.saved_model_servable import SavedModelServable
from keras_t3d.deploy.tflite_conversion import convert
from keras_t3d.deploy.tflite_forms import StepForm
from keras_t3d.deploy.tflite_operations import builtin_of
from keras_t3d.deploy.warmup import WARMUP_REQUESTS
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.inference import StreamPredictor, load_predictor, stream_video
from keras_t3d.streaming import StreamingError, StreamingForm
from tests.battery import array, noise_clips
from tests.conftest import NEEDS_SERVE, write_video
from tests.deploy.networks import randomize
from tests.streaming.networks import FAMILIES, of_family

pytestmark = pytest.mark.export

SHAPE = (8, 32, 32, 3)
VIDEOS = noise_clips(3, (32, 32, 32, 3))  # of four clips


@pytest.fixture(scope="module")
def network():
    stc = {"stc": "residual", "stc_options": {"temporal_bins": 2}, "temporal_stages": (4, 7)}
    return randomize(of_family("t3d_lite", SHAPE, pooling="avg_deviation", **stc))


@pytest.fixture(scope="module")
def int8(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("stream") / "stream.tflite"
    options = TFLiteOptions("int8", streaming=True)
    return export_tflite(network, path, calibration=VIDEOS, options=options)


def test_int8(int8):
    assert int8.quantized.correlation > 0.95
    assert int8.quantized.num_clips == 3 * 16  # answers
    assert "ms per step" in "\n".join(int8.quantized.lines())
    assert not [name for name in list_ops(int8.path) if name.startswith("CUSTOM")]


def test_the_state_is_in_8_bits_but_for_the_answer(int8):
    step = Interpreter(str(int8.path)).get_signature_runner()
    before, after = step.get_input_details(), step.get_output_details()
    assert before.pop("frames")["dtype"] == np.uint8
    assert after.pop("probabilities")["dtype"] == np.float32
    assert before.keys() == after.keys()
    in_floats = {name for name, details in before.items() if details["dtype"] == np.float32}
    answer = {"steps", "embedding_mean", "embedding_deviation"}
    assert in_floats == answer | {"stage4_block1_stc_mean", "stage7_block1_stc_mean"}
    for name in before.keys() - in_floats:
        assert before[name]["dtype"] == np.int8
        assert before[name]["quantization"] == after[name]["quantization"]


def test_of_the_pixels_those_that_are_read_are_converted(int8):
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAs(int8.path.read_bytes()))
    (graph,) = file.subgraphs
    codes = [builtin_of(code) for code in file.operatorCodes]
    quantize = schema.BuiltinOperator.QUANTIZE
    pixels = next(step for step in graph.operators if codes[step.opcodeIndex] == quantize)
    for place, dtype in ((pixels.inputs[0], "UINT8"), (pixels.outputs[0], "INT8")):
        assert graph.tensors[place].type == getattr(schema.TensorType, dtype)
        assert np.prod(graph.tensors[place].shape) == np.prod(SHAPE[1:])  # one frame of two


def test_files_describe_the_stream(int8):
    with zipfile.ZipFile(int8.path) as files:
        stream = json.loads(files.read("stream.json"))
    assert stream["frames_per_step"] == 2
    assert stream["state"]["transition3_depth6_conv"] == [5, 8, 8, 8]
    assert stream["average_over"] == "mean"
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAs(int8.path.read_bytes()))
    assert any(entry.name == b"TFLITE_METADATA" for entry in file.metadata)


@pytest.mark.parametrize("quantization", ["float16", pytest.param("none", marks=pytest.mark.slow)])
def test_floats(network, quantization, tmp_path):
    options = TFLiteOptions(quantization, streaming=True, average_over="exponential")
    report = export_tflite(
        network, tmp_path / "stream.tflite", calibration=VIDEOS[:1], options=options
    )
    assert report.largest_difference < {"none": 1e-5, "float16": 2e-2}[quantization]


@pytest.mark.parametrize(
    "name", ["t3d", *[pytest.param(n, marks=pytest.mark.slow) for n in FAMILIES if n != "t3d"]]
)
def test_other_families(name):
    form = StepForm(StreamingForm(randomize(of_family(name, pooling="max"))))
    found = form.found(convert(form, "none"), VIDEOS[:1])
    np.testing.assert_allclose(found, form.expected(VIDEOS[:1]), atol=1e-5)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    network = randomize(of_family("mc3_18", SHAPE))
    options = SavedModelOptions(streaming=True, average_over="window", average_steps=4)
    folder = tmp_path_factory.mktemp("saved") / "stream"
    return export_saved_model(network, folder, VIDEOS[:1, :8], options=options)


def test_saved_model(saved):
    assert saved.largest_difference < 1e-5
    signatures = tf.saved_model.load(str(saved.path)).signatures
    state = signatures["initial_state"](batch=tf.constant(2, tf.int64))
    assert state["embedding_mean"].shape == (2, 3, 6)
    answer = signatures["step"](frames=tf.constant(VIDEOS[:2, :1]), **state)
    assert answer["probabilities"].shape == (2, 3)
    assert isinstance(load_predictor(saved.path.parent), StreamPredictor)
    names = ["stream.json", "labels.txt", "clip_spec.json"]
    contents = signatures["files"](names=tf.constant(names))["contents"].numpy()
    extra = saved.path / "assets.extra"
    assert [text.decode() for text in contents] == [(extra / name).read_text() for name in names]


def test_tf_serving_warms_up_a_saved_model(saved):
    assert (saved.path / "assets.extra" / WARMUP_REQUESTS).stat().st_size < 10_000
    assert SavedModelServable(saved.path).warmed_up == ["step", "initial_state", "files"]


@pytest.fixture(scope="module")
def served(saved):
    """A server of the SavedModel."""
    pytest.importorskip("starlette", reason=NEEDS_SERVE)
    from tests.deploy.watched_server import WatchedServer, versions_in

    servables = {"stream": versions_in(saved.path.parent)}
    with contextlib.closing(WatchedServer(servables)) as server:
        yield server


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_a_served_stream_is_asked_step_by_step(saved, served, protocol, tmp_path, capsys):
    video = write_video(tmp_path / "noise.mp4", VIDEOS[0, :6])
    windows = list(stream_video(load_predictor(saved.path.parent), video))
    address, flags = getattr(served, protocol)("stream"), ["--grpc"] * (protocol == "grpc")
    assert cli.main(["query", address, str(video), "--windows", "--json", *flags]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["end"] for record in records] == [round(w.end, 6) for w in windows]
    names = load_predictor(saved.path.parent).class_names
    for record, window in zip(records, windows, strict=True):
        found = {entry["class"]: entry["probability"] for entry in record["classes"]}
        assert [found[name] for name in names] == pytest.approx(window.probabilities, abs=1e-5)
    classes = dict(query(address, video, grpc=protocol == "grpc"))
    assert [classes[n] for n in names] == pytest.approx(windows[-1].probabilities, abs=1e-5)


def test_what_does_not_apply_to_a_served_stream(served, tmp_path):
    video = write_video(tmp_path / "noise.mp4", VIDEOS[0, :6])
    with pytest.raises(InvalidArgumentError, match=r"`num_views`.*stream.*Received: 2"):
        query(served.rest("stream"), video, num_views=2)


def test_the_predictor_of_a_file_reads_clips_too(network, int8):
    predictor = load_predictor(int8.path)
    assert isinstance(predictor, StreamPredictor)
    clips = VIDEOS[:, :8]
    expected = array(tf.nn.softmax(network(clips)))
    np.testing.assert_allclose(predictor.probabilities(clips), expected, atol=0.1)
    np.testing.assert_array_equal(*[predictor.probabilities(clips) for _ in range(2)])


def test_states_of_other_files_are_refused(int8):
    run = load_predictor(int8.path).steps
    state = {**run.initial_state(), "steps": np.zeros((1, 1), np.int8)}
    with pytest.raises(InvalidArgumentError, match=r"`state`.*Received: steps .*int8"):
        run(VIDEOS[:1, :2], state)


def test_networks_that_are_not_causal_are_refused(tmp_path):
    network = models.T3DLite(SHAPE, 3, width=0.1, depth=0.2)
    for export, options in (
        (export_tflite, TFLiteOptions(streaming=True)),
        (export_saved_model, SavedModelOptions(streaming=True)),
    ):
        with pytest.raises(StreamingError, match="is not causal"):
            export(network, tmp_path / "stream.tflite", options=options)
    assert not list(tmp_path.iterdir())


def test_options():
    with pytest.raises(InvalidArgumentError, match=r"`average_over`.*streaming"):
        TFLiteOptions(average_over="window")
    with pytest.raises(InvalidArgumentError, match=r"`integer_output`.*streaming"):
        TFLiteOptions("int8", streaming=True, integer_output=True)
    with pytest.raises(InvalidArgumentError, match=r"`frozen`.*streaming"):
        SavedModelOptions(frozen=True, streaming=True)
