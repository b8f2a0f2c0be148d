"""The server of `keras-t3d serve` in the tests' process, which records requests and can fail."""

import pathlib

from keras_t3d.deploy.serving_server.models import ModelSpec, ServedModels
from keras_t3d.deploy.serving_server.options import ServerOptions
from keras_t3d.deploy.serving_server.server import ModelServer


class WatchedModels(ServedModels):
    """Models of a server.

    Attributes:
        states: {name: [VersionStatus]} of models that are not to be had.
        faults: StatusErrors, or functions, that the next requests meet, one each.
        requests: (method, name) of all that came.
    """

    def __init__(self, servables):
        super().__init__(servables)
        self.states, self.faults, self.requests = {}, [], []

    def predict(self, spec, inputs):
        self._met("Predict", spec)
        return super().predict(spec, inputs)

    def metadata(self, spec):
        self._met("GetModelMetadata", spec)
        return super().metadata(spec)

    def status(self, spec):
        self.requests.append(("GetModelStatus", spec.name))
        return self.states.get(spec.name) or super().status(spec)

    def _met(self, method, spec: ModelSpec):
        self.requests.append((method, spec.name))
        if self.faults:
            fault = self.faults.pop(0)
            if isinstance(fault, Exception):
                raise fault
            fault()


class WatchedServer:
    """Serves models on two free ports of 127.0.0.1 until closed.

    Args:
        servables: {name: {version: Servable}}.
        options: further options of the server.
    """

    def __init__(self, servables, **options):
        self.models = WatchedModels(servables)
        options = ServerOptions(rest_port=0, grpc_port=0, grace_seconds=0, **options)
        self._server = ModelServer(self.models, options)
        self.rest_port, self.grpc_port = self._server.rest_port, self._server.grpc_port
        self.close = self._server.close

    def rest(self, name):
        return f"http://127.0.0.1:{self.rest_port}/v1/models/{name}"

    def grpc(self, name):
        return f"127.0.0.1:{self.grpc_port}/{name}"


def versions_in(folder):
    """Returns the SavedModels of a folder of versions."""
    from keras_t3d.deploy.serving_server.saved_model_servable import SavedModelServable

    paths = [path for path in pathlib.Path(folder).iterdir() if path.name.isdecimal()]
    return {int(path.name): SavedModelServable(path) for path in paths}
