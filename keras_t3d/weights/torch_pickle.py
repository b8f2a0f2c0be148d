"""Reads the pickles in PyTorch's files: containers, numbers, text and tensors, nothing else.

A pickle is a program that builds objects. This one runs the instructions that `torch.save`
writes, and builds what `BUILDERS` lists. It imports nothing and calls nothing by its name.
"""

from __future__ import annotations

import argparse
import pickle
import struct
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import IO, Any

from keras_t3d.weights.stored_tensor import StorageView, StoredTensor
from keras_t3d.weights.torch_objects import (
    BUILDERS,
    STORAGE_DTYPES,
    TYPES,
    UNSUPPORTED,
    ForeignObjectError,
    Global,
    UnsupportedContentError,
    checked_key,
    checked_text,
)

# About 50 000 tensors. Bounds the time and memory that a small file can ask for.
MOST_INSTRUCTIONS = 2_000_000
_MOST_SHOWN = 100  # characters of a name, in messages


def load_pickle(file: IO[bytes], storage_view: Callable[..., StorageView] | None = None) -> Any:
    """Reads a pickle from the position of a file in memory.

    Args:
        file: the pickle's bytes, as an `io.BytesIO`; other data may follow.
        storage_view: returns a storage from its persistent id: type, key and more. None allows
            no storages.

    Returns:
        Containers, numbers, text, `argparse.Namespace`, and a `StoredTensor` for each tensor.

    Raises:
        ForeignObjectError: if the pickle names another function or class.
        UnsupportedContentError: if it contains tensors of a kind that is not supported.
        ValueError, TypeError, LookupError, EOFError, struct.error: if it is damaged.
    """
    machine = _Machine(file, storage_view)
    for _ in range(MOST_INSTRUCTIONS):
        code = machine.take(1)
        if code == pickle.STOP:
            return machine.pop()
        if code not in _INSTRUCTIONS:
            raise ValueError(f"the instruction {code!r} is none of those that torch.save writes")
        _INSTRUCTIONS[code](machine)
    raise UnsupportedContentError(f"more than {MOST_INSTRUCTIONS} instructions")


class _Machine:
    """A stack, a stack of marks, and a memo of what was built."""

    def __init__(self, file: IO[bytes], storage_view: Callable[..., StorageView] | None) -> None:
        self.file = file
        self.storage_view = storage_view
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def take(self, count: int) -> bytes:
        data = self.file.read(count)
        if len(data) != count:
            raise EOFError("the file ends too early")
        return data

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def check_protocol(self) -> None:
        if self.number("<B") != 2:
            raise UnsupportedContentError(
                "a pickle of another protocol than 2, which torch.save writes by default"
            )

    def line(self) -> str:
        line = self.file.readline()
        if not line.endswith(b"\n"):
            raise EOFError("the file ends too early")
        return line[:-1].decode()

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        return self.stack.pop()

    def mark(self) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def pop_mark(self) -> list[Any]:
        values, self.stack = self.stack, self.marked.pop()
        return values

    def pop_tuple(self, count: int) -> None:
        if len(self.stack) < count:
            raise IndexError("a tuple of more values than there are")
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def remember(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def append_to_list(self, values: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise TypeError("values may be appended to lists only")
        self.stack[-1].extend(values)

    def set_items(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) not in (dict, OrderedDict, Counter):
            raise TypeError("items may be set in dicts only")
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[checked_key(key)] = value

    def push_global(self) -> None:
        module, name = self.line(), self.line()
        path = f"{'builtins' if module == '__builtin__' else module}.{name}"
        if path in UNSUPPORTED:
            raise UnsupportedContentError(UNSUPPORTED[path])
        if path not in BUILDERS and path not in TYPES:
            shown = path.removeprefix("builtins.")[:_MOST_SHOWN]
            raise ForeignObjectError(shown if shown.isprintable() else repr(shown))
        self.push(Global(path))

    def call(self) -> None:
        """REDUCE and NEWOBJ: calls the builder below the arguments."""
        arguments, builder = self.pop(), self.pop()
        if not isinstance(builder, Global) or type(arguments) is not tuple:
            raise TypeError("only a function or class can be called, with a tuple")
        if builder.name not in BUILDERS:
            raise ForeignObjectError(builder.name)
        self.push(BUILDERS[builder.name](*arguments))

    def build(self) -> None:
        """BUILD: gives an object its attributes. Tensors and dicts need none."""
        state, target = self.pop(), self.stack[-1]
        if isinstance(target, argparse.Namespace) and type(state) is dict:
            vars(target).update({checked_text(key): value for key, value in state.items()})
        elif not isinstance(target, (OrderedDict, StoredTensor)):
            raise TypeError(f"a {type(target).__name__} has no attributes to set")

    def load_persistent(self) -> None:
        identity = self.pop()
        if self.storage_view is None or type(identity) is not tuple or len(identity) < 4:
            raise ValueError("a persistent id must be that of a storage")
        kind, storage_type, key, _, *rest = identity
        if kind != "storage" or not isinstance(storage_type, Global):
            raise ValueError("a persistent id must be that of a storage")
        dtype = STORAGE_DTYPES[storage_type.name.rpartition(".")[2]]
        self.push(self.storage_view(dtype, checked_text(key), *rest))


_INSTRUCTIONS: dict[bytes, Callable[[_Machine], None]] = {
    pickle.PROTO: _Machine.check_protocol,
    pickle.GLOBAL: _Machine.push_global,
    pickle.REDUCE: _Machine.call,
    pickle.NEWOBJ: _Machine.call,
    pickle.BUILD: _Machine.build,
    pickle.BINPERSID: _Machine.load_persistent,
    pickle.MARK: _Machine.mark,
    pickle.TUPLE: lambda m: m.push(tuple(m.pop_mark())),
    pickle.TUPLE1: lambda m: m.pop_tuple(1),
    pickle.TUPLE2: lambda m: m.pop_tuple(2),
    pickle.TUPLE3: lambda m: m.pop_tuple(3),
    pickle.EMPTY_TUPLE: lambda m: m.push(()),
    pickle.EMPTY_LIST: lambda m: m.push([]),
    pickle.EMPTY_DICT: lambda m: m.push({}),
    pickle.APPEND: lambda m: m.append_to_list([m.pop()]),
    pickle.APPENDS: lambda m: m.append_to_list(m.pop_mark()),
    pickle.SETITEM: lambda m: m.set_items([m.pop(), m.pop()][::-1]),
    pickle.SETITEMS: lambda m: m.set_items(m.pop_mark()),
    pickle.NONE: lambda m: m.push(None),
    pickle.NEWTRUE: lambda m: m.push(True),
    pickle.NEWFALSE: lambda m: m.push(False),
    pickle.BININT: lambda m: m.push(m.number("<i")),
    pickle.BININT1: lambda m: m.push(m.number("<B")),
    pickle.BININT2: lambda m: m.push(m.number("<H")),
    pickle.LONG1: lambda m: m.push(int.from_bytes(m.take(m.number("<B")), "little", signed=True)),
    pickle.BINFLOAT: lambda m: m.push(m.number(">d")),
    pickle.BINUNICODE: lambda m: m.push(m.take(m.number("<I")).decode("utf-8", "surrogatepass")),
    pickle.SHORT_BINSTRING: lambda m: m.push(m.take(m.number("<B")).decode()),
    pickle.BINPUT: lambda m: m.remember(m.number("<B")),
    pickle.LONG_BINPUT: lambda m: m.remember(m.number("<I")),
    pickle.BINGET: lambda m: m.push(m.memo[m.number("<B")]),
    pickle.LONG_BINGET: lambda m: m.push(m.memo[m.number("<I")]),
}
