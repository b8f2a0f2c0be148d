"""Converts a model to an OpenVINO network, with the view before it, in floats or 8 bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_t3d.deploy.portable_function import trace_network, trace_views
from keras_t3d.errors import MissingPackageError
from keras_t3d.inference.openvino_predictor import VIEW, import_openvino
from keras_t3d.inference.predictor import CLIPS
from keras_t3d.models import VideoClassifier


def convert(model: VideoClassifier) -> Any:
    """Returns the `openvino.Model` from uint8 views to probabilities and embeddings."""
    network = import_openvino().convert_model(trace_network(model))
    _pad_in_pools(network)
    network.validate_nodes_and_infer_types()
    return network


def quantized(network: Any, clips: np.ndarray) -> Any:
    """Returns a network with weights and activations of 8 bits.

    Args:
        network: the network in floats, from `convert`.
        clips: typical views, from which the ranges of activations are taken.

    Raises:
        MissingPackageError: if NNCF is not installed.
    """
    nncf = import_nncf()
    dataset = nncf.Dataset([{CLIPS: clip[None]} for clip in clips])
    return nncf.quantize(network, dataset, subset_size=len(clips))


def import_nncf() -> Any:
    """Returns the module, whose log it silences.

    Raises:
        MissingPackageError: if it is not installed.
    """
    try:
        import nncf
    except ModuleNotFoundError as error:
        if error.name != "nncf":
            raise
        raise MissingPackageError(
            "OpenVINO models of 8 bits require nncf: pip install 'keras-t3d[openvino]'"
        ) from None
    nncf.set_log_level("ERROR")
    return nncf


def with_view(network: Any, model: VideoClassifier) -> Any:
    """Returns the network that also reads videos of any size, of which it takes the centre view."""
    openvino = import_openvino()
    network, views = network.clone(), openvino.convert_model(trace_views(model.clip_spec))
    view = views.output(0).get_node().input_value(0)
    view.get_node().set_friendly_name(VIEW)
    for reader in network.input(0).get_target_inputs():
        reader.replace_source_output(view)
    return openvino.Model(network.get_results(), views.get_parameters(), model.name)


def _pad_in_pools(network: Any) -> None:
    """Lets max pools pad: the least float, as padding of our layers, would be a range of 8 bits."""
    from openvino import opset14

    for pool in network.get_ops():
        if pool.get_type_name() != "MaxPool":
            continue
        pad = pool.input_value(0).get_node()
        if pad.get_type_name() != "Pad":
            continue
        before, after = (pad.input_value(place).get_node().data[2:] for place in (1, 2))
        attributes = pool.get_attributes()
        padded = opset14.max_pool(
            pad.input_value(0),
            attributes["strides"],
            attributes["dilations"],
            before.tolist(),
            after.tolist(),
            attributes["kernel"],
        )
        for reader in pool.output(0).get_target_inputs():
            reader.replace_source_output(padded.output(0))
