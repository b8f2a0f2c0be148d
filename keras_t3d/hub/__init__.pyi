from .card import model_card
from .options import ModelCardOptions
from .repository import HubError, push_to_hub

__all__ = ["HubError", "ModelCardOptions", "model_card", "push_to_hub"]
