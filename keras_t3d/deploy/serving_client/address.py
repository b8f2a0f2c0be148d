"""Where a model is served: the server, the model's name, perhaps a version."""

from __future__ import annotations

import dataclasses
import re
from urllib.parse import quote, unquote


@dataclasses.dataclass(frozen=True)
class Address:
    """A model on a server.

    Args:
        text: str. As the user wrote it.
        server: str. `http://host:8501` for REST, `host:8500` for gRPC.
        model: str. The model's name.
        version: int. `None` lets the server choose: its newest.
        label: str. A version's label, in place of its number.
    """

    text: str
    server: str
    model: str
    version: int | None = None
    label: str | None = None

    @property
    def path(self) -> str:
        """The model's path in the REST interface."""
        path = f"/v1/models/{quote(self.model, safe='')}"
        if self.version is not None:
            path += f"/versions/{self.version}"
        return path if self.label is None else f"{path}/labels/{quote(self.label, safe='')}"


_LAST_PORT = 65535  # a socket would take the rest of the division
_MODEL = r"(?P<model>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?/?"
_REST = re.compile(rf"(?P<server>https?://[^/?#\s]+)/v1/models/{_MODEL}", re.IGNORECASE)
_GRPC = re.compile(rf"(?P<server>(?:\[[^\]\s]+\]|[^/\s:\[\]]+):\d+)/{_MODEL}")


def rest_address(text: str) -> Address:
    """Reads `http://host:8501/v1/models/t3d`, perhaps with `/versions/2` or `/labels/canary`.

    Raises:
        ValueError: if it is none.
    """
    return _address(
        _REST,
        text,
        "Expected the model's address in TF Serving's REST interface, for example "
        "http://localhost:8501/v1/models/t3d; with --grpc, localhost:8500/t3d. ",
    )


def grpc_address(text: str) -> Address:
    """Reads `host:8500/t3d`, perhaps with `/versions/2` or `/labels/canary`.

    Raises:
        ValueError: if it is none.
    """
    return _address(
        _GRPC,
        text,
        "Expected host, port and the model's name for TF Serving's gRPC interface, for example "
        "localhost:8500/t3d; without --grpc, http://localhost:8501/v1/models/t3d. ",
    )


def _address(pattern: re.Pattern[str], text: str, rule: str) -> Address:
    text = text.strip()
    match = pattern.fullmatch(text)
    server = text if match is None else match["server"]
    if "@" in server:
        raise ValueError(
            "The client sends no login: leave it out of the address, and where the server wants "
            f"one, ask a proxy that adds it. {rule}Received: ...{text[server.rindex('@') :]}"
        )
    port = server.rpartition(":")[2]
    if match is None or (port.isdecimal() and int(port) > _LAST_PORT):
        raise ValueError(f"{rule}Received: {text}")
    version, label = match["version"], match["label"]
    return Address(
        text=text,
        server=server,
        model=unquote(match["model"]),
        version=None if version is None else int(version),
        label=None if label is None else unquote(label),
    )
