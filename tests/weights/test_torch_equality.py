"""Files of torch.save, read by our reader and by PyTorch: equal bit for bit."""

import argparse
import collections
import io
import pathlib
import zipfile

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: make test EXTRAS=dev,backends")

from keras_t3d.weights.checkpoint_file import CheckpointError, read_checkpoint  # noqa: E402
from keras_t3d.weights.stored_tensor import DTYPES, StoredTensor  # noqa: E402
from keras_t3d.weights.torch_file import read_torch_file  # noqa: E402
from tests.weights.torch_files import dict_of, storage, tensor, write_old  # noqa: E402

pytestmark = pytest.mark.backend

TYPES = [getattr(torch, name) for name in DTYPES]
OLD_TYPES = [t for t in TYPES if t.itemsize != 1 or not t.is_floating_point]
OLD_TYPES = [t for t in OLD_TYPES if t not in (torch.uint16, torch.uint32, torch.uint64)]


def bits(tensor):
    tensor = tensor.detach().resolve_conj().resolve_neg().reshape(-1)
    flat = torch.empty(tensor.numel(), dtype=tensor.dtype)
    return flat.copy_(tensor).view(torch.uint8).numpy().tobytes()


def assert_equal(ours, theirs):
    if isinstance(theirs, torch.Tensor):
        array = ours.to_numpy()
        assert f"torch.{ours.dtype}" == str(theirs.dtype)
        assert array.shape == tuple(theirs.shape)
        assert array.tobytes() == bits(theirs)
        if theirs.is_floating_point():
            np.testing.assert_array_equal(
                ours.to_numpy(in_float32=True), theirs.detach().resolve_neg().float().numpy()
            )
    elif isinstance(theirs, dict):
        assert type(ours) is type(theirs)
        assert list(ours) == list(theirs)
        for key, value in theirs.items():
            assert_equal(ours[key], value)
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for mine, other in zip(ours, theirs, strict=True):
            assert_equal(mine, other)
    elif isinstance(theirs, argparse.Namespace):
        assert_equal(vars(ours), vars(theirs))
    elif isinstance(theirs, (torch.dtype, torch.device)):
        assert getattr(ours, "name", ours) == str(theirs)
    elif isinstance(theirs, (bytes, bytearray)):
        assert ours == bytes(theirs)
    else:
        assert type(ours) is type(theirs)
        assert ours == theirs or (np.isnan(ours) and np.isnan(theirs))


def compare(path, content, zipped):
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with torch.serialization.safe_globals([argparse.Namespace]):
        theirs = torch.load(path, weights_only=True)
    assert_equal(read_torch_file(path), theirs)


@st.composite
def views(draw, types):
    """One to three tensors, often of the same storage, of any type, strides and offset."""
    kind = draw(st.sampled_from(types))
    count = draw(st.integers(0, 24))
    data = draw(st.binary(min_size=count * kind.itemsize, max_size=count * kind.itemsize))
    if kind is torch.bool:
        data = bytes(value & 1 for value in data)
    numbers = torch.zeros(count, dtype=kind)
    if count:
        numbers.view(torch.uint8).copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
    found = [numbers]
    for _ in range(draw(st.integers(0, 2))):
        shape = draw(st.lists(st.integers(0, 4), max_size=4))
        strides = [draw(st.integers(0, 6)) for _ in shape]
        reach = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
        if 0 in shape:
            found.append(numbers.as_strided(shape, strides, draw(st.integers(0, count))))
        elif reach < count:
            offset = draw(st.integers(0, count - reach - 1))
            found.append(numbers.as_strided(shape, strides, offset))
    if kind.is_complex and draw(st.booleans()):
        other = draw(st.booleans())  # a storage has one type in a file
        found = [numbers.conj().imag] if other else [*found, numbers.conj()]
    if draw(st.booleans()) and (kind.is_floating_point or kind.is_complex):
        found[-1] = torch.nn.Parameter(found[-1].detach(), draw(st.booleans()))
    return found


SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats() | st.text(max_size=9)
    | st.binary(min_size=1, max_size=5) | st.complex_numbers(allow_nan=False)
)  # fmt: skip
KEYS = st.text(max_size=4) | st.integers(-(2**40), 2**40) | st.tuples(st.integers(), st.text())


def contents(types):
    return st.recursive(
        SCALARS | views(types),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.tuples(inner, inner),
            st.tuples(inner, inner, inner, inner),
            st.dictionaries(KEYS, inner, max_size=4),
            st.dictionaries(KEYS, inner, max_size=4).map(collections.OrderedDict),
            st.dictionaries(st.text(min_size=1, max_size=4), inner, max_size=3).map(
                lambda values: argparse.Namespace(**values)
            ),
        ),
        max_leaves=8,
    )


SETTINGS = hypothesis.settings(max_examples=150, deadline=None)


@SETTINGS
@hypothesis.given(content=contents(TYPES))
def test_zip_files_of_any_content(tmp_path_factory, content):
    compare(tmp_path_factory.getbasetemp() / "any.pth", content, True)


@SETTINGS
@hypothesis.given(content=contents(OLD_TYPES))
def test_older_files_of_any_content(tmp_path_factory, content):
    compare(tmp_path_factory.getbasetemp() / "any.tar", content, False)


@pytest.mark.parametrize("zipped", [True, False])
def test_what_scripts_save_beside_tensors(tmp_path, zipped):
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    network(torch.ones(4, 2)).sum().backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 5])
    marked = torch.ones(2)
    marked.note = "an attribute"
    content = {
        "model": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "counts": collections.Counter("abca"),
        "set": {1, "a"},
        "size": network[0].weight.shape,
        "type": torch.bfloat16,
        "device": [torch.device("cuda", 1), torch.device("cpu")],
        "marked": marked,
        "args": argparse.Namespace(lr=0.1, steps=[1, 2]),
        "bytes": bytearray(b"ab\xff"),
    }
    compare(tmp_path / "a.pth", content, zipped)
    assert "optimizer/state/0/momentum_buffer" in read_checkpoint(tmp_path / "a.pth")


def big_endian(path, content):
    """Saves as a machine with big-endian numbers would."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with zipfile.ZipFile(buffer) as archive, zipfile.ZipFile(path, "w") as swapped:
        for entry in archive.infolist():
            data = archive.read(entry)
            if entry.filename.endswith("/byteorder"):
                data = b"big"
            elif "/data/" in entry.filename and "serialization" not in entry.filename:
                word = content["word"]
                data = np.frombuffer(data, f"u{word}").byteswap().tobytes()
            swapped.writestr(entry.filename, data)


@pytest.mark.parametrize(("name", "word"), [("float64", 8), ("bfloat16", 2), ("complex64", 4)])
def test_big_endian_files(tmp_path, name, word):
    numbers = torch.arange(6).to(getattr(torch, name)).reshape(2, 3).T
    big_endian(tmp_path / "a.pth", {"a": numbers, "b": numbers[1], "word": word})
    theirs = torch.load(tmp_path / "a.pth", weights_only=True)
    assert_equal(read_torch_file(tmp_path / "a.pth"), theirs)
    assert theirs["b"].tolist() == [1, 4]


def test_views_of_storages_in_older_files(tmp_path):
    part = storage("root", 4, "torch.FloatStorage", ("part", 1, 3))
    whole = storage("root", 4, "torch.FloatStorage", None)
    body = dict_of({"a": tensor(part, 1, (2,)), "b": tensor(whole), "c": tensor(part, 0, (3,))})
    write_old(tmp_path / "a.pth", body, {"root": np.arange(4, dtype="<f4").tobytes()})
    theirs = torch.load(tmp_path / "a.pth", weights_only=True)
    assert_equal(read_torch_file(tmp_path / "a.pth"), theirs)
    assert theirs["a"].tolist() == [2, 3]


def test_files_without_checksums(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        compare(tmp_path / "a.pth", {"a": torch.arange(3)}, True)
    finally:
        torch.serialization.set_crc32_options(True)


def test_unsupported_tensors_of_torch(tmp_path):
    path = tmp_path / "a.pth"
    quantized = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
    kinds = {
        "sparse": torch.eye(2).to_sparse(),
        "quantized": quantized,
        "complex32": torch.ones(2, dtype=torch.complex32),
        "meta": torch.empty(2, device="meta"),
        "torch.nn.modules.linear.Linear": torch.nn.Linear(2, 2),
    }
    for kind, value in kinds.items():
        torch.save({"a": value}, path)
        with pytest.raises(CheckpointError, match=kind):
            read_checkpoint(path)
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(path))
    with pytest.raises(CheckpointError, match="TorchScript"):
        read_checkpoint(path)


def test_tensors_share_what_they_read(tmp_path):
    whole = torch.arange(1000, dtype=torch.float64)
    torch.save({"a": whole, "b": whole[3:5], "c": whole.expand(50, 1000)}, tmp_path / "a.pth")
    arrays = read_checkpoint(tmp_path / "a.pth")
    assert np.shares_memory(arrays["a"], arrays["b"])
    assert np.shares_memory(arrays["a"], arrays["c"])
    assert arrays["c"].strides[0] == 0
    assert isinstance(read_torch_file(pathlib.Path(tmp_path / "a.pth"))["a"], StoredTensor)
