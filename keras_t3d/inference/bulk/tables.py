"""Writes rows of videos to the formats of results, in memory that does not grow with them."""

from __future__ import annotations

import contextlib
import csv
import itertools
import json
import pathlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

from keras_t3d.atomic import written_beside
from keras_t3d.errors import MissingPackageError
from keras_t3d.inference.bulk.part_file import Row

if TYPE_CHECKING:
    import pyarrow

_ROWS_TOGETHER = 2000  # in a row group of a Parquet file


def write_json_lines(rows: Iterable[Row], path: pathlib.Path) -> None:
    """Writes each row as a JSON object in a line of its own."""
    with _text_file(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_csv(lines: Iterable[Iterable[Any]], path: pathlib.Path) -> None:
    """Writes lines of cells, the first of which names the columns."""
    with _text_file(path) as file:
        csv.writer(file, lineterminator="\n").writerows(lines)


def write_parquet(rows: Iterable[Row], schema: pyarrow.Schema, path: pathlib.Path) -> None:
    """Writes rows as a Parquet file with these columns."""
    import pyarrow.parquet

    rows = ({**row, "video": utf8(row["video"])} for row in rows)
    with written_beside(path) as part, pyarrow.parquet.ParquetWriter(part, schema) as writer:
        while some := list(itertools.islice(rows, _ROWS_TOGETHER)):
            writer.write_table(pyarrow.Table.from_pylist(some, schema))


def check_parquet() -> None:
    """Raises a MissingPackageError if Parquet files cannot be written."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("pyarrow"):
            raise
        raise MissingPackageError(
            "Writing .parquet files requires pyarrow: pip install 'keras-t3d[parquet]'"
        ) from None


def utf8(text: str) -> str:
    """Returns a text with what is not UTF-8, as in some file names, written as \\udcff."""
    return text.encode("utf-8", "backslashreplace").decode()


@contextlib.contextmanager
def _text_file(path: pathlib.Path) -> Iterator[TextIO]:
    with (
        written_beside(path) as part,
        part.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        yield file
