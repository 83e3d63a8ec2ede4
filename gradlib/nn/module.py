"""`Module`: layers and networks, and the walks over their parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import backend as backends
from ..core import Tensor, no_grad
from ..core.transfer import to_device
from ..errors import CheckpointError, DeviceError, DTypeError, operand
from ..spec import as_dtype, is_floating
from .access import Access
from .parameter import Buffer, Parameter

Hook = Callable[..., Any]


class Handle:
    """What a hook's registration returns: `remove` takes the hook away again."""

    def __init__(self, hooks: dict[int, Hook]) -> None:
        self._hooks = hooks
        self._key = max(hooks, default=-1) + 1

    def _add(self, hook: Hook) -> Handle:
        self._hooks[self._key] = hook
        return self

    def remove(self) -> None:
        """Take the hook away; doing so twice is harmless."""
        self._hooks.pop(self._key, None)


class Unmatched(NamedTuple):
    """What `Module.load_state_dict` returns."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module(Access):
    """Base class of layers and networks.

    Assign Parameters and Modules as attributes, and define ``forward``; calling the module calls that.
    Parts are found by looking at the attributes, in the order in which they were assigned.

    Examples
    --------
    >>> import gradlib as gl
    >>> class Net(gl.nn.Module):
    ...     def __init__(self):
    ...         self.hidden = gl.nn.Dense(4, 8, activation="relu")
    ...         self.out = gl.nn.Dense(8, 3)
    ...
    ...     def forward(self, x):
    ...         return self.out(self.hidden(x))
    >>> net = Net()
    >>> net
    Net(
      (hidden): Dense(4, 8, activation='relu')
      (out): Dense(8, 3)
    )
    >>> [name for name, p in net.named_parameters()]
    ['hidden.weight', 'hidden.bias', 'out.weight', 'out.bias']
    """

    training: bool = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; each subclass defines it."""
        raise NotImplementedError(
            f"{type(self).__name__} does not define forward\n"
            f"  need def forward(self, ...); of a ModuleList or a ModuleDict the parts are called"
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        hooks = self.__dict__
        for hook in list(hooks.get("_forward_pre_hooks", {}).values()):
            changed = hook(self, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        output = self.forward(*args, **kwargs)
        for hook in list(hooks.get("_forward_hooks", {}).values()):
            changed = hook(self, args, output)
            if changed is not None:
                output = changed
        return output

    if not TYPE_CHECKING:  # a type checker would take it for every name

        def __getattr__(self, name: str) -> Any:
            """Compute a parametrized tensor; only reached for what is not there."""
            parts = self.__dict__.get("parametrizations")
            if parts is not None and name in vars(parts):
                return vars(parts)[name]()
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        parts = self.__dict__.get("parametrizations")
        if parts is not None and name in vars(parts):
            vars(parts)[name].right_inverse(value)
            return
        before = self.__dict__.get(name)
        if isinstance(before, Parameter) and isinstance(value, Tensor) and not isinstance(value, Parameter):
            raise DTypeError(
                f"{type(self).__name__}.{name} is a Parameter; a plain Tensor in its place would no longer be learned\n"
                f"  need nn.Parameter(value), or {name}.assign(value)"
            )
        if isinstance(value, Buffer):
            self.__dict__.setdefault("_buffers", {})[name] = value.persistent
        object.__setattr__(self, name, value)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is copied and pickled; what an op computed, as `utils.weight_norm` does, by its value."""
        return {
            name: value.detach() if isinstance(value, Tensor) and value.node is not None else value
            for name, value in vars(self).items()
        }

    # -- its parts

    def children(self) -> Iterator[Module]:
        """Iterate over the modules that are attributes of this one."""
        return (child for _, child in self.named_children())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Iterate over the modules that are attributes of this one, with the attributes' names."""
        return ((name, value) for name, value in list(vars(self).items()) if isinstance(value, Module))

    def modules(self) -> Iterator[Module]:
        """Iterate over this module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """Iterate over this module (named ``""``) and all below it (``"features.0"``), each once."""
        seen: set[int] = set()
        for name, module in self._walk(""):
            if id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def _walk(self, prefix: str) -> Iterator[tuple[str, Module]]:
        """Iterate over all modules, a shared one under each of its names."""
        yield prefix, self
        for name, child in self.named_children():
            yield from child._walk(f"{prefix}.{name}" if prefix else name)

    def parameters(self) -> Iterator[Parameter]:
        """Iterate over all Parameters, each once."""
        return (parameter for _, parameter in self.named_parameters())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Iterate over all Parameters with their names (``"features.0.weight"``), a shared one once."""
        seen: set[int] = set()
        for name, value in self._named_tensors(lambda module, key, value: isinstance(value, Parameter)):
            if id(value) not in seen:
                seen.add(id(value))
                yield name, value

    def buffers(self) -> Iterator[Tensor]:
        """Iterate over all buffers: Tensors that belong to the state but are not learned."""
        return (buffer for _, buffer in self.named_buffers())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Iterate over all buffers with their names."""
        return self._named_tensors(
            lambda module, key, value: key in vars(module).get("_buffers", {}) and isinstance(value, Tensor)
        )

    def _named_tensors(self, wanted: Callable[[Module, str, Any], bool]) -> Iterator[tuple[str, Any]]:
        for prefix, module in self._walk(""):
            for key, value in list(vars(module).items()):
                if wanted(module, key, value):
                    yield f"{prefix}.{key}" if prefix else key, value

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Make `tensor` an attribute that moves with the module and, if `persistent`, is part of the state dict."""
        vars(self).setdefault("_buffers", {})[name] = persistent
        setattr(self, name, tensor)

    # -- state

    def state_dict(self) -> dict[str, Tensor]:
        """Return all Parameters and persistent buffers by name, detached: they share memory with the module.

        A Parameter used in two places appears under both names.
        """
        return {name: tensor.detach() for name, tensor in self._state()}

    def _state(self) -> Iterator[tuple[str, Tensor]]:
        return self._named_tensors(
            lambda module, key, value: (
                isinstance(value, Parameter)
                or (isinstance(value, Tensor) and vars(module).get("_buffers", {}).get(key, False))
            )
        )

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> Unmatched:
        """Overwrite Parameters and buffers with those of `state`, by name; dtype and device stay the module's.

        Returns the names that are missing and those that are unexpected: none, unless ``strict=False``.

        Raises
        ------
        CheckpointError : names are missing or unexpected (unless ``strict=False``), or shapes differ; all
            of them are listed, and the module is left as it was.
        """
        if not isinstance(state, Mapping):
            raise CheckpointError(
                f"load_state_dict(state): state is of type {type(state).__name__}\n"
                f"  need names to values: model.state_dict() or gl.io.load(path)"
            )
        own = dict(self._state())
        unmatched = Unmatched([name for name in own if name not in state], [name for name in state if name not in own])
        problems = []
        if strict:
            problems += [f"missing     {name}" for name in unmatched.missing_keys]
            problems += [f"unexpected  {name}" for name in unmatched.unexpected_keys]
        for name in own.keys() & state.keys():
            value = state[name]
            if not isinstance(value, (Tensor, np.generic)) and not backends.is_array(value):
                problems.append(f"mismatched  {name} is of type {type(value).__name__}")
            elif tuple(value.shape) != own[name].shape:
                problems.append(f"mismatched  {operand(name, value)}, the module has {operand('', own[name])[2:]}")
            elif is_floating(value.dtype) != is_floating(own[name].dtype):
                problems.append(f"mismatched  {operand(name, value)}, the module has {own[name].dtype}")
        if problems:
            raise CheckpointError(
                f"load_state_dict: the state does not fit {type(self).__name__}: {len(problems)} "
                f"problem{'s' * (len(problems) > 1)}\n" + "\n".join(f"  {line}" for line in sorted(problems))
            )
        values = {name: _like(state[name], tensor) for name, tensor in own.items() if name in state}
        for name, value in values.items():
            own[name].assign(value)
        return unmatched

    # -- changes of everything

    def apply(self, function: Callable[[Module], Any]) -> Module:
        """Call ``function(module)`` for every module, this one last; return this one."""
        for module in reversed(list(self.modules())):
            function(module)
        return self

    def train(self, mode: bool = True) -> Module:
        """Set training mode, which decides what dropout and batch normalisation do; return the module."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """Leave training mode; return the module."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Set whether the Parameters are learned; return the module."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self) -> None:
        """Forget the gradients of all Parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def to(self, dtype: Any = None, device: str | None = None) -> Module:
        """Move Parameters and buffers to a device and/or to a floating dtype, in place; return the module.

        Parameters stay the same objects, so an optimizer made before keeps them; their gradients are
        dropped where anything changes.  Integer buffers keep their dtype.
        """
        if isinstance(dtype, str) and dtype in backends.DEVICES:
            dtype, device = None, dtype
        elif isinstance(dtype, str) and not hasattr(np, dtype) and dtype != "bfloat16":
            raise DeviceError(
                f"Module.to({dtype!r}): it is neither a device nor a dtype\n"
                f"  need one of {', '.join(backends.DEVICES)}, float16, bfloat16, float32, float64"
            )
        wanted = None if dtype is None else as_dtype(dtype)
        if wanted is not None and not is_floating(wanted):
            raise DTypeError(f"Module.to(dtype): a module cannot be {wanted}\n  need a floating dtype")
        if device is not None:
            backends.get(device)
        tensors = {id(t): t for t in (*self.parameters(), *self.buffers())}
        with no_grad():
            for tensor in tensors.values():
                data = tensor.data
                if wanted is not None and is_floating(data.dtype) and data.dtype != wanted:
                    data = data.astype(wanted)
                if device is not None:
                    data = to_device(data, device=device)
                if data is not tensor.data:
                    tensor.data, tensor.grad, tensor.version = data, None, None
        return self

    # -- hooks

    @property
    def has_hooks(self) -> bool:
        """Whether anything is called before or after `forward`."""
        return bool(vars(self).get("_forward_pre_hooks") or vars(self).get("_forward_hooks"))

    def register_forward_pre_hook(self, hook: Hook) -> Handle:
        """Call ``hook(module, args)`` before each forward; what it returns, if not None, replaces the arguments."""
        return Handle(vars(self).setdefault("_forward_pre_hooks", {}))._add(hook)

    def register_forward_hook(self, hook: Hook) -> Handle:
        """Call ``hook(module, args, output)`` after each forward; what it returns, if not None, replaces the output."""
        return Handle(vars(self).setdefault("_forward_hooks", {}))._add(hook)

    # -- showing

    def extra_repr(self) -> str:
        """Return the arguments to show in the repr."""
        return ""

    def __repr__(self) -> str:
        lines = [f"({name}): {child!r}".replace("\n", "\n  ") for name, child in self.named_children()]
        extra = self.extra_repr()
        if not lines:
            return f"{type(self).__name__}({extra})"
        return "\n  ".join([f"{type(self).__name__}({extra}", *lines]) + "\n)"


def _like(value: Any, tensor: Tensor) -> Tensor:
    """Return a copy of a checkpoint's value in the tensor's dtype and on its device."""
    array = value.data if isinstance(value, Tensor) else np.asarray(value) if isinstance(value, np.generic) else value
    return Tensor(to_device(array.astype(tensor.dtype), device=tensor.device))
