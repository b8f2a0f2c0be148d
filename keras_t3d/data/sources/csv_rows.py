"""The videos and spans that the rows of a csv file name."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from keras_t3d.data.sources.annotation_files import check_span, parse_seconds
from keras_t3d.data.sources.listing import SourceError, span_id
from keras_t3d.data.sources.spelling import SpelledFiles

_PATH_COLUMNS = ("path", "file")
_START_COLUMNS = ("start", "time_start")
_END_COLUMNS = ("end", "time_end")


@dataclasses.dataclass(frozen=True)
class VideoRow:
    """A row that names a video or a span of one.

    Attributes:
        line: number of its line.
        where: the line and the file, for messages.
        name: the file, as the row spells it.
        path: path of the file below the list's folder; None if there is no such file.
        start: start of the span in seconds; None for the start of the video.
        end: end of the span in seconds; None for the end of the video.
        cells: all cells by column.
    """

    line: int
    where: str
    name: str
    path: str | None
    start: float | None
    end: float | None
    cells: Mapping[str, str]

    @property
    def video_id(self) -> str:
        """The name, with the span if there is one, see `span_id`."""
        return span_id(self.name, self.start, self.end)


def has_path_column(columns: Sequence[str]) -> bool:
    """Returns whether a csv file names videos: whether it has a column `path` or `file`."""
    return any(name in columns for name in _PATH_COLUMNS)


def video_rows(
    source: pathlib.Path, columns: Sequence[str], rows: Iterable[tuple[int, Mapping[str, str]]]
) -> Iterator[VideoRow]:
    """Yields the video or span that each row names.

    Args:
        source: path of the csv file, in whose folder relative paths start.
        columns: names of its columns, one of which is `path` or `file`. `start` and `end` (or
            `time_start` and `time_end`), in seconds, make a row a span.
        rows: line numbers and cells, as `read_rows` returns them.

    Raises:
        SourceError: if there are two columns for one time, a row has no path, a time is no time,
            or a span does not end after its start.
    """
    path_column = next(name for name in _PATH_COLUMNS if name in columns)
    start_column = _time_column(_START_COLUMNS, columns, source)
    end_column = _time_column(_END_COLUMNS, columns, source)
    find = functools.cache(SpelledFiles(source.parent).find)
    for line, row in rows:
        where = f"line {line} of {source}"
        name = row[path_column].strip()
        if not name:
            raise SourceError(f"Every row must have a path. Received: {where}")
        start = parse_seconds(row[start_column], start_column, where) if start_column else None
        end = parse_seconds(row[end_column], end_column, where) if end_column else None
        check_span(start, end, where)
        yield VideoRow(line, where, name, find(name), start, end, row)


def _time_column(names: tuple[str, str], columns: Sequence[str], path: pathlib.Path) -> str | None:
    named = [name for name in names if name in columns]
    if len(named) > 1:
        raise SourceError(
            f"A csv file must have only one of the columns {' and '.join(names)}. "
            f"Received: both in {path}"
        )
    return named[0] if named else None
