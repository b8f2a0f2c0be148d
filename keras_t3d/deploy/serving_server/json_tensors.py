"""Tensors in the JSON of TF Serving's REST interface.

Reference:
    https://github.com/tensorflow/serving/blob/master/tensorflow_serving/util/json_tensor.cc
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from keras_t3d.deploy.serving_client.tensors import TensorSpec
from keras_t3d.deploy.serving_server.models import Arrays
from keras_t3d.deploy.serving_server.status import StatusError, invalid

_INTEGERS = ("uint8", "int64")


def parse_document(body: bytes) -> dict[str, Any]:
    """Returns the JSON object of a request."""
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid(f"JSON Parse error: Invalid value. at offset: {error}") from None
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {_shown(document)} Is not object")
    return document


def parse_inputs(
    document: Mapping[str, Any], inputs: Mapping[str, TensorSpec]
) -> tuple[dict[str, np.ndarray], bool]:
    """Returns the inputs of a request by name, and whether they are listed by row.

    Args:
        document: the request: `inputs`, a list or an object of lists by name, or `instances`, a
            list of rows.
        inputs: inputs of the signature.
    """
    by_row = "instances" in document
    if by_row == ("inputs" in document):
        what = "only one of" if by_row else "Missing"
        raise invalid(f"JSON Value: {what} 'inputs' or 'instances' keys must exist")
    values = _by_name(document["instances"], inputs) if by_row else document["inputs"]
    if not _is_named(values):
        if len(inputs) > 1:
            raise invalid(f"Missing named inputs: {sorted(inputs)}")
        values = dict.fromkeys(inputs, values)
    missing = [name for name in inputs if name not in values]
    if missing:
        raise invalid(f"Missing named input: {missing[0]} in 'inputs' object.")
    return {name: _array(values[name], spec.dtype) for name, spec in inputs.items()}, by_row


def predictions(outputs: Arrays, by_row: bool) -> dict[str, Any]:
    """Returns the response of a prediction, for `json.dumps`."""
    values = {name: _values(array) for name, array in outputs.items()}
    only = next(iter(values.values())) if len(values) == 1 else None
    if not by_row:
        return {"outputs": values if only is None else only}
    if only is None:
        rows = zip(*values.values(), strict=True)
        only = [dict(zip(values, row, strict=True)) for row in rows]
    return {"predictions": only}


def _by_name(rows: Any, inputs: Mapping[str, TensorSpec]) -> Any:
    """Returns the values of rows by input, if rows have names; else the rows."""
    if not isinstance(rows, list) or not rows:
        raise invalid(f"JSON Value: {_shown(rows)} Expecting 'instances' to be an list of values")
    if not _is_named(rows[0]):
        return rows
    if any(not _is_named(row) or set(row) != set(inputs) for row in rows):
        raise invalid(
            f"Failed to process 'instances' list. JSON object: {_shown(rows[0])} keys must be "
            f"equal to: {','.join(sorted(inputs))}"
        )
    return {name: [row[name] for row in rows] for name in inputs}


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and set(value) != {"b64"}


def _array(value: Any, dtype: str) -> np.ndarray:
    shape, first = [], value
    while isinstance(first, list):
        shape.append(len(first))
        first = first[0] if first else None
    array = _numbers(value, dtype) if dtype != "string" else None
    if array is not None and array.shape == tuple(shape):
        return array
    flat: list[Any] = []
    _fill(flat, value, shape, 0, _reader(dtype))
    if dtype == "string":
        result = np.empty(len(flat), object)
        result[:] = flat
        return result.reshape(shape)
    return np.array(flat, dtype).reshape(shape)


def _numbers(value: Any, dtype: str) -> np.ndarray | None:
    """Reads whole clips at once, which `_fill` would read number by number."""
    try:
        array = np.array(value)
    except (ValueError, OverflowError):  # rows of several lengths
        return None
    kinds = "iu" if dtype in _INTEGERS else "iuf"
    # Integers are taken modulo 256 for uint8, as TF Serving does.
    return array.astype(dtype) if array.dtype.kind in kinds else None


def _fill(
    flat: list[Any], item: Any, shape: list[int], level: int, read: Callable[[Any], Any]
) -> None:
    if not isinstance(item, list):
        if level != len(shape):
            raise invalid(
                f"JSON Value: {_shown(item)} found at incorrect level: {level + 1} in the JSON "
                f"DOM. Expected at level: {len(shape)}"
            )
        flat.append(read(item))
        return
    if level >= len(shape):
        raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(item) != shape[level]:
        raise invalid(
            f"Encountered list at unexpected size: {len(item)} at level: {level} "
            f"expected size: {shape[level]}"
        )
    for inner in item:
        _fill(flat, inner, shape, level + 1, read)


def _reader(dtype: str) -> Callable[[Any], Any]:
    def wrong_type(item: Any) -> StatusError:
        kind = type(item).__name__
        return invalid(f"JSON Value: {_shown(item)} Type: {kind} is not of expected type: {dtype}")

    def read_string(item: Any) -> bytes:
        if isinstance(item, str):
            return item.encode("utf-8", "surrogatepass")
        if not isinstance(item, dict):
            raise wrong_type(item)
        if set(item) != {"b64"} or not isinstance(item["b64"], str):
            raise invalid(f"JSON Value: {_shown(item)} not formatted correctly for base64 data")
        try:
            return base64.b64decode(item["b64"], validate=True)
        except (binascii.Error, ValueError):
            raise invalid("Unable to base64 decode") from None

    def read_integer(item: Any) -> int:
        limit = 2**31 if dtype == "uint8" else 2**63  # which TF Serving takes modulo 256
        if isinstance(item, bool) or not isinstance(item, int) or not -limit <= item < limit:
            raise wrong_type(item)
        return item % 256 if dtype == "uint8" else item

    def read_float(item: Any) -> float:
        if isinstance(item, bool) or not isinstance(item, (int, float)):
            raise wrong_type(item)
        return float(item)

    if dtype == "string":
        return read_string
    return read_integer if dtype in _INTEGERS else read_float


def _values(array: np.ndarray) -> Any:
    if array.dtype == object:
        decode = np.vectorize(lambda text: text.decode("utf-8"), otypes=[object])
        return decode(array).tolist() if array.size else array.tolist()
    if array.dtype == np.float32 and array.size:
        # The shortest text that reads back the same, as TF Serving writes it.
        shortest = np.vectorize(lambda value: float(str(value)), otypes=[object])
        return shortest(array).tolist()
    return array.tolist()


def _shown(value: Any) -> str:
    return json.dumps(value)[:256]
