"""Warm-up requests of TF Serving."""

import numpy as np
import pytest
import tensorflow as tf

from keras_t3d.deploy import ServingError
from keras_t3d.deploy.serving_messages import constant_tensor, message_classes, to_array, to_tensor
from keras_t3d.deploy.serving_server.models import ModelSpec
from keras_t3d.deploy.warmup import WARMUP_REQUESTS
from keras_t3d.errors import InvalidArgumentError
from tests.conftest import NEEDS_SERVING_API

pytestmark = pytest.mark.export

apis = pytest.importorskip("tensorflow_serving.apis", reason=NEEDS_SERVING_API)


def test_each_signature_has_a_warmup_request(report, watched_server):
    from tensorflow_serving.apis import prediction_log_pb2

    path = report.path / "assets.extra" / WARMUP_REQUESTS
    assert path.stat().st_size < 10_000
    records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in records]
    assert {log.WhichOneof("log_type") for log in logs} == {"predict_log"}
    _, servable = watched_server.models.find(ModelSpec("t3d"))
    names = [log.predict_log.request.model_spec.signature_name for log in logs]
    assert sorted(names) == sorted(servable.signatures)
    assert servable.warmed_up == names  # as it was loaded


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
        np.array([[0.5, -1.0]], np.float32),
        np.array([3, 2**40]),
        np.array([[b"a", b""], ["é".encode(), b"\xff"]], object),
        np.zeros((0, 3), np.uint8),
    ],
)
def test_tensors_match_tensorflow(array):
    from tensorflow.core.framework import tensor_pb2

    theirs = tensor_pb2.TensorProto.FromString(to_tensor(array).SerializeToString())
    np.testing.assert_array_equal(tf.make_ndarray(theirs), array)
    for proto in (theirs, tf.make_tensor_proto(array.tolist(), tf.as_dtype(array.dtype))):
        proto.tensor_shape.CopyFrom(theirs.tensor_shape)
        ours = message_classes["TensorProto"].FromString(proto.SerializeToString())
        np.testing.assert_array_equal(to_array(ours), array)
        assert to_array(ours).dtype == array.dtype


@pytest.mark.parametrize("value", [np.uint8(7), np.float32(0), np.int64(2), b"jpeg"])
def test_constant_tensor_repeats_its_value(value):
    from tensorflow.core.framework import tensor_pb2

    ours = constant_tensor((2, 3), value)
    theirs = tensor_pb2.TensorProto.FromString(ours.SerializeToString())
    assert tf.make_ndarray(theirs).tolist() == to_array(ours).tolist() == [[value] * 3] * 2
    assert to_array(ours).dtype == getattr(value, "dtype", object)


def test_unsupported_tensor_type_is_rejected():
    tensor = message_classes["TensorProto"](dtype=17)
    with pytest.raises(ServingError, match=r"float32, uint8.*Received: type 17"):
        to_array(tensor)
    with pytest.raises(InvalidArgumentError, match=r"`array`.*float32, uint8.*Received: 'bool'"):
        to_tensor(np.zeros(1, bool))
