"""Models whose clones by `keras.models.clone_model` are no plain functional models."""

from __future__ import annotations

from typing import Any

import keras

from keras_t3d.private_interfaces import construct_clones, is_cloning


class ClonableModel(keras.Model):
    """Base class of a functional model that `clone_model` builds again, with all it carries.

    `clone_model` passes the cloned tensors to the constructor. The output has the attribute
    `cloned_from`, the model, from which the constructor takes what tensors do not show. Clones are
    of the class that derives from this one, not of its subclasses: the layers of a clone may
    differ from those that a subclass would build.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        construct_clones(cls)

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 2 and hasattr(args[1], "cloned_from"):
            general = next(base for base in cls.mro() if ClonableModel in base.__bases__)
            if cls is not general:
                return general(*args, **kwargs)
        return super().__new__(cls)

    def _run_through_graph(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = super()._run_through_graph(inputs, *args, **kwargs)
        if is_cloning(kwargs.get("operation_fn")):
            outputs.cloned_from = self
        return outputs
