"""Addresses of served models: server, model name and optional version."""

from __future__ import annotations

import dataclasses
import re
from urllib.parse import quote, unquote

from keras_t3d.errors import InvalidArgumentError


@dataclasses.dataclass(frozen=True)
class Address:
    """A model on a server.

    Args:
        text: the address as the user wrote it.
        server: `http://host:8501` for REST, `host:8500` for gRPC.
        model: name of the model.
        version: number of the version. None selects the server's newest.
        label: label of the version, instead of its number.
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


_LAST_PORT = 65535  # sockets take a larger number modulo 65536
_MODEL = r"(?P<model>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?/?"
_REST = re.compile(rf"(?P<server>https?://[^/?#\s]+)/v1/models/{_MODEL}", re.IGNORECASE)
_GRPC = re.compile(rf"(?P<server>(?:\[[^\]\s]+\]|[^/\s:\[\]]+):\d+)/{_MODEL}")


def rest_address(text: str) -> Address:
    """Parses `http://host:8501/v1/models/t3d`, optionally with `/versions/2` or `/labels/canary`.

    Raises:
        InvalidArgumentError: if it is not such an address.
    """
    return _address(
        _REST,
        text,
        "`address` must be the model's address in TF Serving's REST interface, for example "
        "http://localhost:8501/v1/models/t3d, or with `grpc` localhost:8500/t3d. ",
    )


def grpc_address(text: str) -> Address:
    """Parses `host:8500/t3d`, optionally with `/versions/2` or `/labels/canary`.

    Raises:
        InvalidArgumentError: if it is not such an address.
    """
    return _address(
        _GRPC,
        text,
        "`address` must be host, port and model name for TF Serving's gRPC interface, for example "
        "localhost:8500/t3d, or without `grpc` http://localhost:8501/v1/models/t3d. ",
    )


def _address(pattern: re.Pattern[str], text: str, rule: str) -> Address:
    text = text.strip()
    match = pattern.fullmatch(text)
    server = text if match is None else match["server"]
    if "@" in server:
        raise InvalidArgumentError(
            "`address` must not contain credentials, which the client does not send; a proxy can "
            f"add them. {rule}Received: ...{text[server.rindex('@') :]}",
            argument="address",
        )
    port = server.rpartition(":")[2]
    if match is None or (port.isdecimal() and int(port) > _LAST_PORT):
        raise InvalidArgumentError(f"{rule}Received: {text}", argument="address")
    version, label = match["version"], match["label"]
    return Address(
        text=text,
        server=server,
        model=unquote(match["model"]),
        version=None if version is None else int(version),
        label=None if label is None else unquote(label),
    )
