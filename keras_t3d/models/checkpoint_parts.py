"""The network in a checkpoint: its tensors without the prefixes of wrappers and trainers."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.models.registry import configurations

# Modules of PyTorch that wrap another one anywhere in a network, and add a part to its name.
_WRAPPERS = re.compile(r"(?<![^./])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
# Averages of weights: `ema.`, `model_ema/module.`, `averaged_model.`, ...
_AVERAGED = re.compile(r"(^|[._/])(ema|swa|avg|average|averaged|shadow)[._/]")


@dataclasses.dataclass(frozen=True)
class NetworkPart:
    """The tensors of one network in a checkpoint.

    Args:
        prefix: what their names begin with in the file, such as `"state_dict/module."`: a slash
            follows the name of a dict. Wrappers such as `_orig_mod.` are left out.
        tensors: tensors by name, without the prefix.
        others: prefixes of further networks in the file.
        ignored: names of tensors beside the network, such as those of a loss.
    """

    prefix: str
    tensors: dict[str, Any]
    others: tuple[str, ...]
    ignored: tuple[str, ...]

    def __str__(self) -> str:
        text = f"under {self.prefix!r}" if self.prefix else "without a prefix"
        if self.others:
            text += f"; further networks are under {_parts(self.others)}, see `part`"
        if self.ignored:
            text += f"; ignored: {', '.join(self.ignored[:4])}"
            text += f" and {len(self.ignored) - 4} more" if len(self.ignored) > 4 else ""
        return text


def network_part(tensors: Mapping[str, Any], part: str | None = None) -> NetworkPart:
    """Finds the network in a checkpoint, by the layer names that network families know.

    Wrappers and trainers put prefixes before the names of a network: `module.` (data parallel or
    averaged), `_orig_mod.` (compiled), `model.` (Lightning), `backbone.` and so on, in any
    combination. The right prefix is the one after which most names are those of layers.

    Args:
        tensors: tensors by name, as `read_checkpoint` returns them.
        part: beginning of the prefix, such as `"model_ema"` or `"teacher"`. None takes the only
            network of the file, or the only one whose weights are no average.

    Raises:
        InvalidArgumentError: if `part` is None and there are several networks, if there is none
            of that prefix, or if a tensor occurs twice.
    """
    named, known = _without_wrappers(tensors), _known_layers()
    counts = _layers_by_prefix(named, known)
    most = max(counts.values(), default=0)
    networks = sorted(prefix for prefix, count in counts.items() if 2 * count > most)
    prefix = _choose(networks, part) if networks or part is not None else ""
    others = tuple(network for network in networks if network != prefix)
    inner = tuple(other for other in others if other.startswith(prefix))
    same_dict = prefix[: prefix.rfind("/") + 1]
    outer = [p for p in _enclosing(prefix) if p.startswith(same_dict) and p not in others]
    chosen: dict[str, Any] = {}
    beside: dict[str, Any] = {}
    for name, tensor in named.items():
        if not name.startswith(same_dict) or "/" in name[len(same_dict) :]:  # in another dict
            continue
        if name.startswith(prefix) and not (inner and name.startswith(inner)):
            chosen[name.removeprefix(prefix)] = tensor
        else:
            beside[name] = tensor
    ignored = []
    for name, tensor in beside.items():
        bare = _layer_tensor(name, outer, known)
        if bare is not None:  # the head of a backbone
            _check_absent(bare, chosen)
            chosen[bare] = tensor
        elif tensor.ndim and not name.startswith(others or "/"):
            ignored.append(name)
    return NetworkPart(prefix, chosen, others, tuple(ignored))


def _without_wrappers(tensors: Mapping[str, Any]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for name, tensor in tensors.items():
        bare = _WRAPPERS.sub("", str(name))
        _check_absent(bare, named)
        named[bare] = tensor
    return named


def _check_absent(name: str, tensors: Mapping[str, Any]) -> None:
    if name in tensors:
        raise InvalidArgumentError(
            "`checkpoint` must have one tensor for each weight, not one with and one without a "
            f"prefix. Received: two of {name!r}",
            argument="checkpoint",
        )


def _layers_by_prefix(names: Iterable[str], known: re.Pattern[str]) -> Counter[str]:
    """Returns how many layers of a known name follow each prefix."""
    counts: Counter[str] = Counter()
    for layer in {name.rpartition(".")[0] for name in names}:
        for start in (0, *(match.end() for match in re.finditer(r"[./]", layer))):
            if known.fullmatch(layer, start):
                counts[layer[:start]] += 1
    return counts


def _known_layers() -> re.Pattern[str]:
    """Returns a pattern of the layer names in all published weights that a family can read."""
    patterns = {"fc", "classifier"}
    for configuration in configurations().values():
        if configuration.checkpoint is not None:
            patterns |= {pattern for pattern, _ in configuration.checkpoint.layer_names}
        for source in configuration.family.image_sources:
            patterns |= {pattern for pattern, _ in source.layer_names}
    return re.compile("|".join(f"(?:{pattern})" for pattern in sorted(patterns)))


def _choose(networks: list[str], part: str | None) -> str:
    """Returns the prefix of the network that `part` names, or of the only one."""
    if part is None:
        trained = [prefix for prefix in networks if not _AVERAGED.search(prefix)]
        found = networks if len(networks) == 1 else trained
    else:
        found = [prefix for prefix in networks if re.match(rf"{re.escape(part)}(?![^./])", prefix)]
    if len(found) != 1:
        raise InvalidArgumentError(
            f"`part` must name one network of the checkpoint, one of {_parts(networks)}. "
            f"Received: {part!r}",
            argument="part",
        )
    return found[0]


def _parts(prefixes: Iterable[str]) -> list[str]:
    return [prefix.rstrip("./") for prefix in prefixes]


def _enclosing(prefix: str) -> list[str]:
    """Returns the shorter prefixes that a prefix begins with: "", "a/" and "a/b." of "a/b.c."."""
    ends = [match.end() for match in re.finditer(r"[./]", prefix)]
    return [prefix[:end] for end in (0, *ends[:-1])] if ends else []


def _layer_tensor(name: str, prefixes: Iterable[str], known: re.Pattern[str]) -> str | None:
    """Returns a tensor's name without one of the prefixes, if it is then one of a known layer."""
    layer = name.rpartition(".")[0]
    for prefix in prefixes:
        if name.startswith(prefix) and known.fullmatch(layer, len(prefix)):
            return name.removeprefix(prefix)
    return None
