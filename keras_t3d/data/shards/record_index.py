"""The index of a record's frames: where they lie in the record, and their checksums.

A record is a SequenceExample, whose context comes first. With the sizes of the frames in it, the
bytes of any frame are found without those of the others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import google_crc32c
import numpy as np

_NUMBER = np.dtype("<u4")
_CHECKSUM = 4  # bytes
_TAG = 1  # bytes before the length of a field
_LONGER = 1 << np.arange(7, 35, 7)  # lengths from which a length takes one byte more


@dataclasses.dataclass(frozen=True)
class FrameIndex:
    """Sizes and checksums of the frames of a record.

    Attributes:
        sizes: int64 (frames,), in bytes.
        checksums: CRC-32C of each frame, and of what follows the frames: uint32 (frames + 1,).
    """

    sizes: np.ndarray
    checksums: np.ndarray

    @classmethod
    def of(cls, frames: Sequence[bytes], rest: bytes) -> FrameIndex:
        """Returns the index of JPEG frames.

        Args:
            frames: the frames.
            rest: the feature lists after that of the frames, serialized.
        """
        return cls(
            np.array([len(frame) for frame in frames], np.int64),
            np.array([google_crc32c.value(part) for part in (*frames, rest)], _NUMBER),
        )

    def packed(self, context: bytes) -> bytes:
        """Returns the index as bytes.

        Args:
            context: what else the context of the record holds, serialized; a checksum protects it.
        """
        numbers = self.sizes.astype(_NUMBER).tobytes() + self.checksums.tobytes()
        return numbers + google_crc32c.value(context + numbers).to_bytes(_CHECKSUM, "little")

    @classmethod
    def unpacked(cls, packed: bytes, context: bytes) -> FrameIndex | None:
        """Returns the index of what `packed` returned; None if it or the context has changed."""
        numbers, checksum = packed[:-_CHECKSUM], packed[-_CHECKSUM:]
        if google_crc32c.value(context + numbers).to_bytes(_CHECKSUM, "little") != checksum:
            return None
        values = np.frombuffer(numbers, _NUMBER)
        sizes, checksums = np.split(values, [len(values) // 2])
        return cls(sizes.astype(np.int64), checksums)

    def places(self, name: str) -> tuple[np.ndarray, int]:
        """Returns where frames begin in the feature lists of a record.

        Args:
            name: name of the list of frames, the first of the feature lists.

        Returns:
            int64 (frames,), bytes from the first byte of the message FeatureLists; and where the
            entry after the list begins.
        """
        in_list = _field(self.sizes)  # BytesList.value
        in_feature = _field(in_list)  # Feature.bytes_list
        entries = _field(in_feature)  # FeatureList.feature
        feature_list = int(entries.sum())
        key = int(_field(len(name)))
        entry = key + int(_field(feature_list))
        end = int(_field(entry))
        return end - feature_list + np.cumsum(entries) - self.sizes, end

    def is_intact(self, number: int, content: bytes) -> bool:
        """Returns whether a frame has its checksum; the last number is for what follows them."""
        return bool(google_crc32c.value(content) == self.checksums[number])


def _field(lengths: np.ndarray | int) -> Any:
    """Returns the bytes of fields of these lengths, with the tag and the length before each."""
    return _TAG + 1 + np.searchsorted(_LONGER, lengths, side="right") + lengths
