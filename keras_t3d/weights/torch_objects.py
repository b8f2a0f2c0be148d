"""What pickles in PyTorch's files may build: containers, numbers, text and tensors.

Types and functions that the files name are looked up here, never imported.
"""

from __future__ import annotations

import argparse
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

from keras_t3d.weights.stored_tensor import DTYPES, StorageView, StoredTensor

_MOST_KEY_PARTS = 16

STORAGE_DTYPES = {
    **{"DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16"},
    **{"BFloat16Storage": "bfloat16", "BoolStorage": "bool", "ByteStorage": "uint8"},
    **{"CharStorage": "int8", "ShortStorage": "int16", "IntStorage": "int32"},
    **{"LongStorage": "int64", "ComplexFloatStorage": "complex64"},
    **{"ComplexDoubleStorage": "complex128", "UntypedStorage": "uint8"},
}
_QUANTIZED = ("QInt8", "QInt32", "QUInt8", "QUInt4x2", "QUInt2x4")
UNSUPPORTED = {
    **{"torch._utils._rebuild_sparse_tensor": "sparse tensors"},
    **{"torch._utils._rebuild_qtensor": "quantized tensors"},
    **{f"torch.{name}Storage": "quantized tensors" for name in _QUANTIZED},
    **{"torch._utils._rebuild_nested_tensor": "nested tensors"},
    **{"torch._utils._rebuild_meta_tensor_no_storage": "tensors without numbers (device meta)"},
    **{"torch._utils._rebuild_wrapper_subclass": "tensors of a class of their own"},
    **{"torch._utils._rebuild_device_tensor_from_numpy": "tensors of other devices as NumPy's"},
    **{"torch._utils._rebuild_device_tensor_from_cpu_tensor": "tensors of other devices"},
    **{
        f"torch.{name}": f"tensors of the type {name}"
        for name in ("complex32", "float4_e2m1fn_x2", "float8_e8m0fnu", "bits8", "bits16")
        if name not in DTYPES
    },
}


class ForeignObjectError(ValueError):
    """A pickle names a function or class that is not among those that may be built."""


class UnsupportedContentError(ValueError):
    """A file contains tensors, or is of a kind, that this package does not read."""


class Global:
    """What an instruction GLOBAL puts on the stack: a name of `BUILDERS` or of a type."""

    def __init__(self, name: str) -> None:
        self.name = name


def checked_key(key: Any) -> Any:
    """Returns a key of a dict or a set, if its hash takes little time."""
    plain = (str, bytes, int, float, complex, bool, type(None))
    parts = key if type(key) is tuple and len(key) <= _MOST_KEY_PARTS else (key,)
    if not all(type(part) in plain for part in parts):
        raise TypeError("a key must be text, a number or a short tuple of them")
    return key


def checked_text(text: Any) -> str:
    if type(text) is not str:
        raise TypeError("the names of attributes and storages must be text")
    return text


def _ordered_dict(items: Any = ()) -> OrderedDict[Any, Any]:
    pairs = items.items() if isinstance(items, dict) else items
    return OrderedDict((checked_key(key), value) for key, value in pairs)


def _counter(counts: Any = None) -> Counter[Any]:
    if not isinstance(counts, (dict, type(None))):
        raise TypeError("a Counter must be made of a dict")
    return Counter(counts)


def _set(values: Any = ()) -> set[Any]:
    return {checked_key(value) for value in values}


def _bytes(text: str = "", encoding: str = "latin1") -> bytes:
    """`bytes` and `bytearray` in protocol 2."""
    if type(text) is bytes:
        return text
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise TypeError("bytes must be written as text in latin-1")
    return text.encode("latin-1")


def _complex(real: Any, imaginary: Any) -> complex:
    if type(real) is not float or type(imaginary) is not float:
        raise TypeError("a complex number must be made of two floats")
    return complex(real, imaginary)


def _size(sizes: Any = ()) -> tuple[int, ...]:
    return tuple(sizes)


def _device(kind: str, index: int | None = None) -> str:
    if type(kind) is not str or type(index) not in (int, type(None)):
        raise TypeError("a device must be text and a number")
    return kind if index is None else f"{kind}:{index}"


def _tensor(
    view: Any,
    offset: Any,
    shape: Any,
    strides: Any,
    dtype: str | None = None,
    metadata: Any = None,
) -> StoredTensor:
    if not isinstance(view, StorageView):
        raise TypeError("a tensor must have a storage")
    bits = dict(metadata or {})
    conjugate, negative = bits.pop("conj", False), bits.pop("neg", False)
    if bits:
        raise UnsupportedContentError("tensors with other metadata than conj and neg")
    return StoredTensor(
        view, offset, _size(shape), _size(strides), dtype or view.dtype, conjugate, negative
    )


def _tensor_v1(view: Any, offset: Any, shape: Any, strides: Any) -> StoredTensor:
    return _tensor(view, offset, shape, strides)


def _tensor_v2(
    view: Any,
    offset: Any,
    shape: Any,
    strides: Any,
    requires_grad: Any,
    hooks: Any,
    metadata: Any = None,
) -> StoredTensor:
    return _tensor(view, offset, shape, strides, None, metadata)


def _tensor_v3(
    view: Any,
    offset: Any,
    shape: Any,
    strides: Any,
    requires_grad: Any,
    hooks: Any,
    dtype: Any,
    metadata: Any = None,
) -> StoredTensor:
    if not isinstance(dtype, Global):
        raise TypeError("the type of a tensor must be one of torch")
    return _tensor(view, offset, shape, strides, dtype.name.removeprefix("torch."), metadata)


def _parameter(tensor: Any, *attributes: Any) -> StoredTensor:
    if not isinstance(tensor, StoredTensor):
        raise TypeError("a parameter must be a tensor")
    return tensor


def _with_attributes(builder: Any, kind: Any, arguments: Any, state: Any) -> StoredTensor:
    if not isinstance(builder, Global):
        raise TypeError("a tensor must be built by a function of torch")
    return _TENSORS[builder.name](*arguments)


_TENSORS: dict[str, Callable[..., StoredTensor]] = {
    "torch._utils._rebuild_tensor": _tensor_v1,
    "torch._utils._rebuild_tensor_v2": _tensor_v2,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.nn.parameter.Parameter": _parameter,
}
BUILDERS: dict[str, Callable[..., Any]] = {
    **_TENSORS,
    "torch._tensor._rebuild_from_type_v2": _with_attributes,
    "torch.Size": _size,
    "torch.device": _device,
    "collections.OrderedDict": _ordered_dict,
    "collections.Counter": _counter,
    "builtins.set": _set,
    "builtins.complex": _complex,
    "builtins.bytearray": _bytes,
    "builtins.bytes": _bytes,
    "_codecs.encode": _bytes,
    "argparse.Namespace": argparse.Namespace,
}
TYPES = {
    *(f"torch.{name}" for name in DTYPES),
    *(f"{module}.{name}" for module in ("torch", "torch.cuda") for name in STORAGE_DTYPES),
    "torch.storage.UntypedStorage",
    "torch.Tensor",
}
