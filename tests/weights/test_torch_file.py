"""Files of torch.save that are made by hand: what is read, and what is refused."""

import contextlib
import os
import pickle
import struct
import sys
import tracemalloc
import zipfile

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from keras_t3d.weights import torch_objects, torch_pickle
from keras_t3d.weights.checkpoint_file import CheckpointError, read_checkpoint
from keras_t3d.weights.torch_file import read_torch_file
from tests.weights import torch_files
from tests.weights.torch_files import (
    called,
    dict_of,
    name_of,
    plain,
    storage,
    tensor,
    tuple_of,
    write_old,
    write_zip,
)

FOUR = np.arange(1, 5, dtype=np.float32)
NUMBERS = {"0": FOUR.tobytes()}
ATTACK = called("os.system", plain("touch victim"))


def refused(path, match):
    with pytest.raises(CheckpointError, match=match) as error:
        read_checkpoint(path)
    assert path.name in str(error.value)
    assert "\n" not in str(error.value)


@pytest.fixture(params=[write_zip, write_old])
def write(request):
    return request.param


def test_tensors_by_name(tmp_path, write):
    inner = dict_of({"fc.weight": tensor(), "fc.bias": tensor(None, 2, (2,), (1,))})
    write(tmp_path / "a.pth", dict_of({"epoch": plain(3), "model": inner}), NUMBERS)
    tensors = read_checkpoint(tmp_path / "a.pth")
    assert list(tensors) == ["model/fc.weight", "model/fc.bias"]
    np.testing.assert_array_equal(tensors["model/fc.weight"], FOUR)
    np.testing.assert_array_equal(tensors["model/fc.bias"], [3, 4])


def test_pytorch_is_not_needed(tmp_path, write, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    write(tmp_path / "a.pth", dict_of({"a": tensor()}), NUMBERS)
    assert read_checkpoint(tmp_path / "a.pth")["a"].tolist() == [1, 2, 3, 4]


def test_a_written_state_dict(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.array(7), "c": np.zeros((0, 2), "f4")}
    torch_files.write_arrays(tmp_path / "a.pth", arrays)
    found = read_checkpoint(tmp_path / "a.pth")
    assert [array.dtype.name for array in found.values()] == ["float32", "int64", "float32"]
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


def test_big_endian_numbers(tmp_path):
    write_zip(tmp_path / "a.pth", dict_of({"a": tensor()}), {"0": FOUR.astype(">f4").tobytes()})
    assert read_checkpoint(tmp_path / "a.pth")["a"][0] != 1
    big = {"0": FOUR.astype(">f4").tobytes()}
    write_zip(tmp_path / "a.pth", dict_of({"a": tensor()}), big, byte_order="big")
    np.testing.assert_array_equal(read_checkpoint(tmp_path / "a.pth")["a"], FOUR)


def test_storages_that_are_views_in_the_older_format(tmp_path):
    view = storage("root", 4, "torch.FloatStorage", ("part", 1, 3))
    body = dict_of({"a": tensor(view, 1, (2,), (1,)), "b": tensor(storage("root"))})
    write_old(tmp_path / "a.pth", body, {"root": NUMBERS["0"]})
    tensors = read_checkpoint(tmp_path / "a.pth")
    np.testing.assert_array_equal(tensors["a"], [3, 4])
    np.testing.assert_array_equal(tensors["b"], FOUR)


def test_expanded_tensors_take_no_memory(tmp_path):
    vast = {
        "floats": tensor(None, 1, (10**6, 10**6), (0, 0)),
        "windows": tensor(None, 0, (2, 10**9, 3), (1, 0, 1)),
        "halves": tensor(storage("0", 8, "torch.HalfStorage"), 0, (10**9, 2), (0, 4)),
    }
    write_zip(tmp_path / "a.pth", dict_of(vast), NUMBERS)
    tracemalloc.start()
    tensors = read_checkpoint(tmp_path / "a.pth")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20
    assert [array.shape for array in tensors.values()] == [
        (10**6, 10**6),
        (2, 10**9, 3),
        (10**9, 2),
    ]
    assert tensors["floats"][5, 6] == 2
    np.testing.assert_array_equal(tensors["windows"][1, 7], [2, 3, 4])
    with pytest.raises(ValueError, match="read-only"):
        tensors["floats"][0, 0] = 1


# What could run code.


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (ATTACK, r"os\.system"),
        (dict_of({"a": tensor(), "b": ATTACK}), r"os\.system"),
        (name_of("__builtin__.eval"), "eval"),
        (name_of("numpy.core.multiarray.scalar"), r"numpy\.core\.multiarray\.scalar"),
        (name_of("torch.hub.load"), r"torch\.hub\.load"),
        (name_of("torch.FloatTensor.__class__"), "__class__"),
        (called("torch.FloatStorage", plain(4)), r"torch\.FloatStorage"),
        (name_of("collections.defaultdict"), r"collections\.defaultdict"),
        (name_of("\x1b[2Jos.system"), r"\\x1b"),
        (b"\x8c\x02os\x8c\x06system\x93", "damaged"),  # STACK_GLOBAL
        (b"(S'touch victim'\nios\nsystem\n", "damaged"),  # INST
        (b"\x82\x01", "damaged"),  # EXT1
        (name_of("argparse.Namespace") + b")}\x92", "damaged"),  # NEWOBJ_EX
        (plain("touch") + tuple_of() + b"R", "damaged"),
        (name_of("argparse.Namespace") + plain("touch") + b"R", "damaged"),
        (called("argparse.Namespace") + tuple_of(plain({}), plain({"a": 1})) + b"b", "damaged"),
        (plain([]) + dict_of({"__class__": plain(1)}) + b"b", "damaged"),
        (name_of("torch.Size") + dict_of({"name": plain("os.system")}) + b"b", "damaged"),
        (b"P0\n", "damaged"),  # PERSID
        (tuple_of(plain("module"), name_of("torch.Size"), plain(""), plain("")) + b"Q", "damaged"),
        (plain(7) + b"Q", "damaged"),
        (called("_codecs.encode", plain("a"), plain("rot13")), "damaged"),
        (called("builtins.bytearray", plain(2**40)), "damaged"),
        (called("builtins.complex", plain("1" * 99), plain(0.0)), "damaged"),
        (called("collections.Counter", plain("abc")), "damaged"),
        (called("torch.device", dict_of({})), "damaged"),
    ],
)
def test_only_listed_objects_are_built(tmp_path, monkeypatch, write, body, name):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.pth"
    write(path, body, NUMBERS if b"_rebuild" in body else None)
    refused(path, name)
    assert os.listdir(tmp_path) == ["evil.pth"]


def test_other_protocols_are_refused(tmp_path):
    path = tmp_path / "a.pth"
    for protocol in (0, 1, 3, 4, 5):
        path.write_bytes(pickle.dumps({"a": ["b"]}, protocol=protocol))
        refused(path, "protocol|instruction")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (name_of("torch._utils._rebuild_sparse_tensor"), "sparse"),
        (name_of("torch._utils._rebuild_qtensor"), "quantized"),
        (tensor(storage("0", 4, "torch.QUInt8Storage")), "quantized"),
        (name_of("torch.complex32"), "complex32"),
        (name_of("torch._utils._rebuild_meta_tensor_no_storage"), "meta"),
    ],
)
def test_unsupported_tensors_are_named(tmp_path, write, body, kind):
    write(tmp_path / "a.pth", body)
    refused(tmp_path / "a.pth", kind)


def test_other_formats_of_pytorch_are_named(tmp_path):
    for entry in ("constants.pkl", "code/__torch__.py"):
        write_zip(tmp_path / "script.pt", plain({}), more={entry: b"x"})
        refused(tmp_path / "script.pt", "TorchScript")
    (tmp_path / "old.tar").write_bytes(b"\0" * 257 + b"ustar" + b"\0" * 500)
    refused(tmp_path / "old.tar", "tar format")
    with zipfile.ZipFile(tmp_path / "other.pth", "w") as archive:
        archive.writestr("a.txt", "a")
    refused(tmp_path / "other.pth", r"data\.pkl")


# What reaches beyond the file, or asks for more than it.


@pytest.mark.parametrize(
    "body",
    [
        tensor(None, 1),
        tensor(None, -1, (1,)),
        tensor(None, 0, (5,)),
        tensor(None, 0, (2, 2), (3, 1)),
        tensor(None, 0, (4,), (-1,)),
        tensor(None, 3, (4,), (-1,)),
        tensor(None, 0, (-1,)),
        tensor(None, 0, (4, 1), (1,)),
        tensor(None, 0, (2**62, 2**62), (0, 0)),
        tensor(None, 0, (0, 2**62, 2**62), (0, 0, 0)),
        tensor(None, 2**63, (4,)),
        tensor(None, 0, (4.0,)),
        tensor(None, 0, (True,)),
        tensor(None, 0, (1,) * 70, (1,) * 70),
        tensor(storage("0", 5)),
        tensor(storage("0", -4)),
        tensor(storage("0", 2**60), 0, (2**60,)),
        tensor(storage("0", "4")),
        tensor(storage("0", 4, "torch.DoubleStorage")),
        tensor(storage("../0")),
        tensor(storage(0)),
        tensor(plain(b"1234")),
        tensor(name_of("torch.FloatStorage")),
    ],
)
def test_tensors_stay_in_their_storage(tmp_path, write, body):
    write(tmp_path / "a.pth", dict_of({"a": body}), NUMBERS)
    refused(tmp_path / "a.pth", "damaged")


@pytest.mark.parametrize("part", [("p", 2, 3), ("p", -1, 2), ("p", 0, -1), ("p", 2**62, 1), 5])
def test_views_stay_in_their_storage(tmp_path, part):
    view = storage("0", 4, "torch.FloatStorage", part)
    write_old(tmp_path / "a.pth", dict_of({"a": tensor(view, 0, (1,))}), NUMBERS)
    refused(tmp_path / "a.pth", "damaged")


@pytest.mark.parametrize("count", [-1, 3, 5, 2**62])
def test_sizes_in_the_older_format_must_agree(tmp_path, count):
    write_old(tmp_path / "a.pth", dict_of({"a": tensor()}), NUMBERS, count=count)
    refused(tmp_path / "a.pth", "damaged")


@pytest.mark.parametrize("keys", [[], ["0", "0"], ["1"], [["0"]], "0", {"0": 1}, [0]])
def test_the_list_of_storages_must_agree(tmp_path, keys):
    write_old(tmp_path / "a.pth", dict_of({"a": tensor()}), NUMBERS, keys=keys)
    refused(tmp_path / "a.pth", "damaged")


def nested(levels, wrap):
    return wrap[0] * levels + plain(1) + wrap[1] * levels


@pytest.mark.parametrize(
    "body",
    [
        nested(100_000, (b"", b"\x85")),  # a tuple in a tuple in a tuple
        nested(100_000, (b"]", b"a")),
        nested(1000, (b"}X\x01\0\0\0a", b"s")),
        b"}q\0X\x01\0\0\0ah\0s",  # a dict in itself
        plain({}) + b"q\0" + b"}(X\x01\0\0\0ah\0X\x01\0\0\0bh\0uq\0" * 60,  # 2 to the 60 names
        # A key whose hash takes 2 to the 60 steps.
        plain(()) + b"q\0" + b"h\0h\0\x86q\0" * 60 + b"}h\0K\1s",
        b"}" + plain([]) + b"K\1s",
        b"r\xff\xff\xff\xff",  # LONG_BINPUT of an empty stack
        plain(1) + b"r\xff\xff\xff\xffj\xfe\xff\xff\xff",
        b"\x8b\xff\xff\xff\x7f",  # LONG4
        b"X\xff\xff\xff\xff",
        b"\x96" + b"\xff" * 8,  # BYTEARRAY8
        b"t",
        b"(((",
        b"0",
        b"",
    ],
)
def test_bombs(tmp_path, write, body):
    write(tmp_path / "a.pth", body)
    tracemalloc.start()
    refused(tmp_path / "a.pth", r"a\.pth")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * 2**20


def test_the_number_of_instructions_is_limited(tmp_path, write, monkeypatch):
    monkeypatch.setattr(torch_pickle, "MOST_INSTRUCTIONS", 1000)
    write(tmp_path / "a.pth", b"N" * 1001)
    refused(tmp_path / "a.pth", "1000 instructions")


def test_compressed_archives_are_refused(tmp_path):
    bomb = {"0": bytes(2**20)}
    body = dict_of({"a": tensor(storage("0", 2**18), 0, (2**18,))})
    write_zip(tmp_path / "a.pth", body, bomb, compression=zipfile.ZIP_DEFLATED)
    assert (tmp_path / "a.pth").stat().st_size < 2**15
    refused(tmp_path / "a.pth", "compressed")


def test_entries_of_an_archive_may_not_overlap(tmp_path):
    path = tmp_path / "a.pth"
    big = 100_000
    names = [str(index) for index in range(20)]
    body = dict_of({n: tensor(storage(n, big // 4), 0, (big // 4,)) for n in names})
    write_zip(path, body, {"0": bytes(big), **dict.fromkeys(names[1:], b"")})
    with zipfile.ZipFile(path, "a") as archive:
        first = archive.getinfo("weights/data/0")
        for name in names[1:]:
            entry = archive.getinfo(f"weights/data/{name}")
            entry.file_size = entry.compress_size = big
            entry.header_offset, entry.CRC = first.header_offset, first.CRC
        archive._didModify = True
    refused(path, "larger than the file")


def test_a_changed_number_is_noticed_by_its_checksum(tmp_path):
    path = tmp_path / "a.pth"
    write_zip(path, dict_of({"a": tensor()}), NUMBERS)
    data = path.read_bytes()
    path.write_bytes(data.replace(FOUR.tobytes(), FOUR[::-1].tobytes()))
    refused(path, "checksum")


def test_every_shorter_file_is_refused(tmp_path, write):
    path = tmp_path / "a.pth"
    write(path, dict_of({"a": tensor()}), NUMBERS)
    whole = path.read_bytes()
    for length in range(1, len(whole), 5):
        path.write_bytes(whole[:length])
        refused(path, "damaged")


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(data=st.data(), form=st.sampled_from([write_zip, write_old]))
def test_noise_in_a_file_raises_only_checkpoint_errors(tmp_path_factory, data, form):
    path = tmp_path_factory.getbasetemp() / "noise.pth"
    attributes = called("argparse.Namespace") + dict_of({"lr": plain(0.1)}) + b"b"
    body = dict_of({"a": tensor(), "args": attributes, "m": dict_of({"b": tensor()})})
    form(path, body, NUMBERS)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with contextlib.suppress(CheckpointError):
        read_checkpoint(path)


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(
    body=st.lists(
        st.sampled_from(
            [
                *(bytes([code]) for code in range(256)),
                *(plain(value) for value in (0, 4, "0", "a", (1,), {}, [], None, 2**31 - 1)),
                *(name_of(name) for name in [*torch_objects.BUILDERS, *torch_objects.TYPES]),
                *(storage(), tensor(), b"q\0", b"h\0", b"(", b"t", b"R", b"b", b"s", b"u"),
            ]
        ),
        max_size=20,
    )
)
def test_random_programs_raise_only_checkpoint_errors(tmp_path_factory, body):
    path = tmp_path_factory.getbasetemp() / "random.pth"
    write_zip(path, b"".join(body), NUMBERS)
    with contextlib.suppress(CheckpointError):
        read_checkpoint(path)


def test_arguments_of_scripts_are_plain_attributes(tmp_path):
    body = called("argparse.Namespace") + dict_of({"__class__": plain(1), "lr": plain(0.1)}) + b"b"
    write_zip(tmp_path / "a.pth", dict_of({"args": body}))
    arguments = read_torch_file(tmp_path / "a.pth")["args"]
    assert arguments.lr == 0.1
    assert type(arguments).__name__ == "Namespace"


def test_the_size_of_a_zip_entry_is_that_in_its_directory(tmp_path):
    path = tmp_path / "a.pth"
    write_zip(path, dict_of({"a": tensor()}), NUMBERS)
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"weights/data/0")
    data[entry - 46 + 20 : entry - 46 + 28] = struct.pack("<II", 2**20, 2**20)
    path.write_bytes(data)
    refused(path, "larger than the file")
