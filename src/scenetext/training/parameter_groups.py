"""Which parameters learn, how fast and with how much decay: groups by name pattern, and what is frozen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pydantic import NonNegativeFloat
from torch import nn

from scenetext.config import Settings
from scenetext.errors import ConfigError, did_you_mean

NORMS_WITH_STATISTICS = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm),
    *(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
)
NORMS = (*NORMS_WITH_STATISTICS, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
"""Layers whose parameters are never decayed, of however many axes."""


class ParameterGroupSettings(Settings):
    """Parameters that learn differently from the rest."""

    pattern: str
    """Glob over whole parameter names, as in `encoder.*` or `*.bias`; of several that match, the first in the list
    counts. Wrappers (`module.`, `_orig_mod.`) are not part of the names."""
    learning_rate_factor: NonNegativeFloat = 1.0
    """Multiplies the learning rate at every step; 0 = frozen: no gradient, no optimiser state, no decay."""
    weight_decay: NonNegativeFloat | None = None
    """Decay of the matrices and kernels among them; null = the optimiser's."""


REST = ParameterGroupSettings(pattern="*")
"""What holds for parameters that no pattern matches."""


@dataclass(frozen=True)
class ParameterGroup:
    """Trainable parameters with one learning rate and one decay.

    Attributes:
        settings: the pattern that they match, and its factors.
        parameters: name -> parameter, in the order of the model.
        weight_decay: 0 for gains, biases and norms.
    """

    settings: ParameterGroupSettings
    parameters: Mapping[str, nn.Parameter]
    weight_decay: float


def parameter_groups(
    model: nn.Module, weight_decay: float, groups: Sequence[ParameterGroupSettings] = ()
) -> list[ParameterGroup]:
    """Trainable parameters by pattern, and within each first those that are decayed, then those that are not.

    Not decayed is what has fewer than two axes (gains, biases, logit_scale) and the parameters of norms, those in
    shortcuts too. The published oCLIP code looks for name parts instead and so decays the batch norms of the shortcuts;
    here they are not decayed.

    Args:
        weight_decay: where the settings of a group give none.
        groups: parameters that match no pattern come last.

    Returns:
        Groups without parameters are dropped.

    Raises:
        ConfigError: a pattern that changes nothing, see `assign_groups`.
    """
    names_and_parameters = _named_parameters(model)
    assigned = assign_groups(list(names_and_parameters), groups)
    undecayed = _parameters_of_norms(model)
    divided: list[ParameterGroup] = []
    for settings in (*groups, REST):
        decay = weight_decay if settings.weight_decay is None else settings.weight_decay
        members = {
            name: parameter
            for name, parameter in names_and_parameters.items()
            if parameter.requires_grad and settings.learning_rate_factor > 0 and assigned[name] is settings
        }
        plain = {name: each for name, each in members.items() if each.ndim < 2 or id(each) in undecayed}
        decayed = {name: each for name, each in members.items() if name not in plain}
        divided += [ParameterGroup(settings, decayed, decay), ParameterGroup(settings, plain, 0.0)]
    return [group for group in divided if group.parameters]


def freeze(model: nn.Module, groups: Sequence[ParameterGroupSettings]) -> list[str]:
    """Takes the parameters of factor 0 out of training; call it before the model is wrapped for several processes.

    Returns:
        Names of all parameters that are frozen now, those included that were before.

    Raises:
        ConfigError: a pattern that changes nothing, see `assign_groups`.
    """
    names_and_parameters = _named_parameters(model)
    assigned = assign_groups(list(names_and_parameters), groups)
    for name, parameter in names_and_parameters.items():
        if assigned[name].learning_rate_factor == 0:
            parameter.requires_grad_(False)
            parameter.grad = None
    return [name for name, parameter in names_and_parameters.items() if not parameter.requires_grad]


def frozen_by_pattern(
    model: nn.Module, groups: Sequence[ParameterGroupSettings]
) -> dict[str | None, list[nn.Parameter]]:
    """What `freeze` froze, by the pattern that says so; None: what the model had frozen itself, as TCM its text.

    Raises:
        ConfigError: a pattern that changes nothing, see `assign_groups`.
    """
    names_and_parameters = _named_parameters(model)
    assigned = assign_groups(list(names_and_parameters), groups)
    found: dict[str | None, list[nn.Parameter]] = {}
    for name, parameter in names_and_parameters.items():
        if not parameter.requires_grad:
            group = assigned[name]
            found.setdefault(None if group.learning_rate_factor else group.pattern, []).append(parameter)
    return found


def keep_frozen_norms_still(module: nn.Module) -> None:
    """Puts the norms of frozen parts into evaluation mode, so that their statistics are not updated either.

    A part is frozen where it has parameters and none of them learns. `train()` undoes this: call it after each.
    """
    parameters = list(module.parameters())
    if parameters and not any(parameter.requires_grad for parameter in parameters):
        for layer in module.modules():
            if isinstance(layer, NORMS_WITH_STATISTICS):
                layer.eval()
        return
    for child in module.children():
        keep_frozen_norms_still(child)


def assign_groups(names: Sequence[str], groups: Sequence[ParameterGroupSettings]) -> dict[str, ParameterGroupSettings]:
    """For every parameter name the first group whose pattern matches, `REST` where none does.

    Raises:
        ConfigError: a pattern matches no name (the message lists near ones), or only names that earlier patterns match.
    """
    assigned = {name: next((group for group in groups if fnmatchcase(name, group.pattern)), REST) for name in names}
    for position, group in enumerate(groups):
        key = f"optimizer.groups.{position}.pattern: {group.pattern!r}"
        matched = [name for name in names if fnmatchcase(name, group.pattern)]
        if not matched:
            raise ConfigError(f"{key} matches no parameter{near_patterns(group.pattern, names)}")
        if all(assigned[name] is not group for name in matched):
            earlier = assigned[matched[0]].pattern
            raise ConfigError(f"{key} comes too late, {earlier!r} takes all that it matches; put it in front of that")
    return assigned


def near_patterns(pattern: str, names: Sequence[str]) -> str:
    """The end of a message about a pattern that matches none of the names: what was meant, and what there is."""
    near = did_you_mean(pattern, _possible_patterns(names), repr)
    return f"{near} Parts of the model: {', '.join(_parts(names))}"


def _named_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters by names without what compilation and distributed training put into them."""
    named = {name.replace("_orig_mod.", ""): parameter for name, parameter in model.named_parameters()}
    while named and all(name.startswith("module.") for name in named):
        named = {name.removeprefix("module."): parameter for name, parameter in named.items()}
    return named


def _parameters_of_norms(model: nn.Module) -> set[int]:
    norms = (module for module in model.modules() if isinstance(module, NORMS))
    return {id(parameter) for norm in norms for parameter in norm.parameters(recurse=False)}


def _possible_patterns(names: Sequence[str]) -> Iterator[str]:
    for name in names:
        yield name
        parts = name.split(".")
        for length in range(1, len(parts)):
            yield ".".join(parts[:length]) + ".*"


def _parts(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(name.partition(".")[0] for name in names))
