"""Weight and spectral normalisation by a hook, as PyTorch's older ``torch.nn.utils.weight_norm`` and ``spectral_norm``.

The values are those of `utils.parametrizations`; the names in the state are the older ones, which many stored weights
have: weight_g and weight_v; weight_orig, weight_u and weight_v.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from ...core import Tensor, no_grad, op
from ...errors import DTypeError
from ...ops import normal
from ...ops.replay import replaying
from .. import functional as F
from ..parameter import Parameter
from .parametrizations import as_matrix, norm_except, singular_value, spectral_dim

__all__ = ["remove_spectral_norm", "remove_weight_norm", "spectral_norm", "weight_norm"]


class _Hook(ABC):
    """What both hooks have in common: they compute one weight before each forward pass."""

    names: tuple[str, ...]

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def compute(self, module: Any, iterate: bool = False) -> Any:
        """Return the weight; `iterate` where a forward pass needs it."""

    def __call__(self, module: Any, args: Any) -> None:
        vars(module)[self.name] = self.compute(module, iterate=True)

    def attach(self, module: Any) -> Any:
        """Compute the weight now and before each forward pass."""
        with no_grad():
            vars(module)[self.name] = self.compute(module)
        module.register_forward_pre_hook(self)
        return module


def _taken(function: str, module: Any, name: str) -> Parameter:
    """Take a Parameter away from a module and return it."""
    weight = vars(module).get(name)
    if not isinstance(weight, Parameter):
        raise DTypeError(
            f"{function}(module, {name!r}): it is no Parameter of {type(module).__name__}\n"
            f"  need the name of one: {', '.join(key for key, _ in module.named_parameters()) or 'it has none'}"
        )
    del vars(module)[name]
    return weight


def _removed(function: str, kind: type[_Hook], module: Any, name: str) -> Any:
    hooks = vars(module).get("_forward_pre_hooks", {})
    for key, hook in list(hooks.items()):
        if isinstance(hook, kind) and hook.name == name:
            with no_grad():
                weight = hook.compute(module).detach()
            del hooks[key]
            for part in (name, *(f"{name}_{suffix}" for suffix in hook.names)):
                vars(module).pop(part, None)
                vars(module).get("_buffers", {}).pop(part, None)
            setattr(module, name, Parameter(weight))
            return module
    raise DTypeError(f"{function}(module, {name!r}): {type(module).__name__} has no such hook")


class _WeightNormHook(_Hook):
    names = ("g", "v")

    def __init__(self, name: str, dim: int | None) -> None:
        super().__init__(name)
        self.dim = dim

    def compute(self, module: Any, iterate: bool = False) -> Any:
        g, v = getattr(module, f"{self.name}_g"), getattr(module, f"{self.name}_v")
        return op.multiply(v, op.divide(g, norm_except(v, self.dim)))


def weight_norm(module: Any, name: str = "weight", dim: int | None = -1) -> Any:
    """weight = g v / |v|, |v| over all axes but `dim`; state weight_g, weight_v; return the module.

    See `parametrizations.weight_norm`, which is newer; `dim` is -1 where PyTorch has 0.
    Source: Salimans, Kingma, "Weight normalization", NeurIPS 2016, equation 2.

    >>> import gradlib as gl
    >>> layer = weight_norm(gl.nn.Dense(3, 2, bias=False))
    >>> [(name, p.shape) for name, p in layer.named_parameters()]
    [('weight_g', (1, 2)), ('weight_v', (3, 2))]
    """
    weight = _taken("weight_norm", module, name)
    with no_grad():
        setattr(module, f"{name}_g", Parameter(norm_except(weight.detach(), dim)))
    setattr(module, f"{name}_v", weight)
    return _WeightNormHook(name, dim).attach(module)


def remove_weight_norm(module: Any, name: str = "weight") -> Any:
    """Make the weight an ordinary Parameter again, as it is; return the module.

    >>> import gradlib as gl
    >>> layer = remove_weight_norm(weight_norm(gl.nn.Dense(3, 2, bias=False)))
    >>> [name for name, _ in layer.named_parameters()]
    ['weight']
    """
    return _removed("remove_weight_norm", _WeightNormHook, module, name)


class _SpectralNormHook(_Hook):
    names = ("orig", "u", "v")

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float) -> None:
        super().__init__(name)
        self.n_power_iterations, self.dim, self.eps = n_power_iterations, dim, eps

    def compute(self, module: Any, iterate: bool = False) -> Any:
        weight, u, v = (getattr(module, f"{self.name}_{part}") for part in self.names)
        matrix = as_matrix(weight, self.dim)
        if iterate and module.training and not replaying():
            with no_grad():
                still = matrix.detach() if isinstance(matrix, Tensor) else matrix
                for _ in range(self.n_power_iterations):
                    v.assign(F.normalize(op.matmul(u, still), dim=0, eps=self.eps))
                    u.assign(F.normalize(op.matmul(still, v), dim=0, eps=self.eps))
        return op.divide(weight, singular_value(matrix, u, v))


def spectral_norm(
    module: Any, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Any:
    """weight = weight_orig / sigma, sigma its largest singular value; state weight_orig, weight_u, weight_v.

    See `parametrizations.spectral_norm`, which is newer, and whose iteration begins with u, not v.
    Source: Miyato et al., "Spectral normalization for generative adversarial networks", ICLR 2018, Algorithm 1.

    >>> import gradlib as gl
    >>> layer = spectral_norm(gl.nn.Dense(3, 2, bias=False))
    >>> list(layer.state_dict())
    ['weight_orig', 'weight_u', 'weight_v']
    """
    if n_power_iterations < 1:
        raise ValueError(f"spectral_norm(n_power_iterations): {n_power_iterations}\n  need 1 or more")
    weight = _taken("spectral_norm", module, name)
    axis = spectral_dim(module, dim) % weight.ndim
    setattr(module, f"{name}_orig", weight)
    with no_grad():
        for part, size in zip("uv", as_matrix(weight.detach(), axis).shape, strict=True):
            drawn = normal((size,), dtype=weight.dtype, device=weight.device)
            module.register_buffer(f"{name}_{part}", F.normalize(drawn, dim=0, eps=eps))
    return _SpectralNormHook(name, n_power_iterations, axis, eps).attach(module)


def remove_spectral_norm(module: Any, name: str = "weight") -> Any:
    """Make the weight an ordinary Parameter again, as it is; return the module.

    >>> import gradlib as gl
    >>> layer = remove_spectral_norm(spectral_norm(gl.nn.Dense(3, 2, bias=False)))
    >>> [name for name, _ in layer.named_parameters()]
    ['weight']
    """
    return _removed("remove_spectral_norm", _SpectralNormHook, module, name)
