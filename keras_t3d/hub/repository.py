"""Models on the Hugging Face Hub, at addresses such as `hf://user/name`."""

from __future__ import annotations

import contextlib
import pathlib
import re
import tempfile
from collections.abc import Iterator
from typing import Any

import keras

from keras_t3d.errors import InvalidArgumentError, KerasT3DError, MissingPackageError
from keras_t3d.hub.card import model_card
from keras_t3d.hub.options import ModelCardOptions
from keras_t3d.version import __version__

_MESSAGE = "Save a model of keras_t3d"
_PACKAGES = ("huggingface_hub", "httpx", "httpx2", "requests")  # whose errors are the Hub's
_ADDRESS = re.compile(r"hf://([\w.-]+/[\w.-]+)")


class HubError(KerasT3DError):
    """The Hub refuses a request, or cannot be reached."""


def push_to_hub(model: Any, address: str, options: ModelCardOptions | None = None) -> None:
    """Saves a model to the Hugging Face Hub, with a model card.

    The repository is made unless it exists. `model.save("hf://user/name")` does the same without
    options. Log in first: `hf auth login`, or set HF_TOKEN.

    Args:
        model: the VideoClassifier.
        address: such as `hf://user/name`.
        options: license, data and accuracy for the card; None states none of them.

    Raises:
        InvalidArgumentError: if it is no such address, or the report cannot be read.
        MissingPackageError: if huggingface_hub is not installed.
        HubError: if the Hub refuses it, or cannot be reached.

    Example:

    ```python
    options = ModelCardOptions(license="cc-by-4.0", data="Our videos", report="report")
    push_to_hub(model, "hf://user/name", options)
    ```
    """
    hub, repository = import_hub(), repository_of(address)
    card = model_card(model, repository, options)  # first, as it reads the report
    with tempfile.TemporaryDirectory() as folder, hub_errors(address):
        # Not by Keras's own upload, which fails where pydot is installed and Graphviz is not.
        keras.saving.save_model(model, folder, zipped=False)
        pathlib.Path(folder, "README.md").write_text(card, encoding="utf-8")
        api = hub.HfApi(library_name="keras_t3d", library_version=__version__)
        api.create_repo(repository, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=folder, commit_message=_MESSAGE)


def repository_of(address: str) -> str:
    """Returns the repository of an address; raises InvalidArgumentError if it has none."""
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise InvalidArgumentError(
            "`address` must name a repository of the Hugging Face Hub, for example "
            f"hf://user/name. Received: {address}",
            argument="address",
        )
    return match[1]


@contextlib.contextmanager
def hub_errors(address: str) -> Iterator[None]:
    """Raises a HubError for what the Hub, or the connection to it, refuses."""
    try:
        yield
    except Exception as error:
        package = type(error).__module__.partition(".")[0]
        if package not in _PACKAGES and not isinstance(error, OSError):
            raise
        text = " ".join(str(error).split())[:300]
        raise HubError(f"The Hub refuses {address}, or cannot be reached: {text}") from error


def import_hub() -> Any:
    """Returns the module `huggingface_hub`; raises MissingPackageError without it."""
    try:
        import huggingface_hub
    except ImportError:
        raise MissingPackageError(
            'hf:// needs huggingface_hub: pip install "keras-t3d[hub]"'
        ) from None
    return huggingface_hub
