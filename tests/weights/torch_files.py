"""Writes files as `torch.save` does, and broken ones, without PyTorch."""

import pickle
import struct
import zipfile

import numpy as np

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
SYSTEM = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"int": 4}}
KINDS = {"float32": "Float", "float64": "Double", "int64": "Long", "uint8": "Byte"}


def plain(value):
    """The instructions that build a plain value."""
    return pickle.dumps(value, protocol=2)[2:-1]


def name_of(path):
    module, _, name = path.rpartition(".")
    return f"c{module}\n{name}\n".encode()


def called(path, *arguments):
    return name_of(path) + tuple_of(*arguments) + b"R"


def tuple_of(*values):
    return b"(" + b"".join(values) + b"t"


def dict_of(items):
    return b"}(" + b"".join(plain(key) + value for key, value in items.items()) + b"u"


def program(body):
    return b"\x80\x02" + body + b"."


def storage(key="0", count=4, kind="torch.FloatStorage", *more):
    identity = (plain("storage"), name_of(kind), plain(key), plain("cpu"), plain(count))
    return tuple_of(*identity, *map(plain, more)) + b"Q"


def tensor(view=None, offset=0, shape=(4,), strides=(1,)):
    hooks = called("collections.OrderedDict")
    parts = (plain(offset), plain(shape), plain(strides), plain(False), hooks)
    return called("torch._utils._rebuild_tensor_v2", storage() if view is None else view, *parts)


def write_zip(path, body, storages=None, byte_order="little", more=None, compression=0):
    """Writes an archive whose data.pkl has the instructions `body`."""
    entries = {"data.pkl": program(body), "byteorder": byte_order.encode(), "version": b"3\n"}
    entries |= {f"data/{key}": data for key, data in (storages or {}).items()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in {**entries, **(more or {})}.items():
            archive.writestr(f"weights/{name}", data)


def write_old(path, body, storages=None, keys=None, count=None):
    """Writes the format before PyTorch 1.6; each storage is a float32 array."""
    storages = storages or {}
    parts = [pickle.dumps(value, protocol=2) for value in (MAGIC, PROTOCOL, SYSTEM)]
    parts += [program(body), pickle.dumps(list(storages) if keys is None else keys, protocol=2)]
    for data in storages.values():
        parts += [struct.pack("<q", len(data) // 4 if count is None else count), data]
    path.write_bytes(b"".join(parts))


def write_arrays(path, arrays):
    """Writes a state dict of float32, float64, int64 or uint8 arrays."""
    items, storages = {}, {}
    for key, (name, given) in enumerate(arrays.items()):
        array = np.asarray(given, order="C")
        kind = f"torch.{KINDS[array.dtype.name]}Storage"
        strides = tuple(stride // array.itemsize for stride in array.strides)
        view = storage(str(key), array.size, kind)
        items[name] = tensor(view, 0, array.shape, strides)
        storages[str(key)] = array.tobytes()
    write_zip(path, dict_of(items), storages)
