"""What tests of Apache Beam share: its runner on this machine, and a stand-in for buckets."""

import importlib.util
import os
import shutil

import pytest

needs_beam = pytest.mark.skipif(
    importlib.util.find_spec("apache_beam") is None,
    reason="needs Apache Beam: make test EXTRAS=dev,beam",
)
# What DirectRunner comes to without Prism, which it would download.
LOCAL = ("--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",)


def file_system(root):
    """Returns a file system of Beam's that knows addresses such as `box://shards`, below `root`."""
    from apache_beam.io.filesystem import FileMetadata
    from apache_beam.io.localfilesystem import LocalFileSystem

    class Box(LocalFileSystem):
        @classmethod
        def scheme(cls):
            return "box"

        def has_dirs(self):
            return False

        def _at(self, address):
            assert address.startswith("box://"), address
            return os.path.join(root, address.removeprefix("box://"))

        def _list(self, prefix):
            for folder, _, names in os.walk(root):
                for name in names:
                    path = os.path.join(folder, name)
                    address = f"box://{os.path.relpath(path, root)}"
                    if address.startswith(prefix):
                        yield FileMetadata(address, os.path.getsize(path))

        def create(self, path, *args, **kwargs):
            return super().create(self._at(path), *args, **kwargs)

        def open(self, path, *args, **kwargs):
            return super().open(self._at(path), *args, **kwargs)

        def exists(self, path):
            return os.path.isfile(self._at(path))

        def rename(self, sources, destinations):
            for source, destination in zip(sources, destinations, strict=True):
                assert not self.exists(destination)  # as on HDFS
                os.makedirs(os.path.dirname(self._at(destination)), exist_ok=True)
                os.rename(self._at(source), self._at(destination))

        def delete(self, paths):
            for path in paths:
                (shutil.rmtree if path.endswith("/") else os.unlink)(self._at(path))

    Box.root = root
    return Box  # Beam finds the class for as long as it is kept
