"""The parts of a Module by name, and its dtype and device by PyTorch's short methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core import Tensor
from ..errors import CheckpointError, DTypeError
from .parameter import Parameter

if TYPE_CHECKING:
    from .module import Module


class Access:
    """What `Module` inherits: each is a few attributes or a call of ``to``.

    >>> import gradlib as gl
    >>> model = gl.nn.Sequential(gl.nn.Dense(2, 3), gl.nn.ReLU()).double()
    >>> model.get_parameter("0.bias").dtype, model.get_submodule("1")
    (dtype('float64'), ReLU())
    """

    if TYPE_CHECKING:

        def to(self, dtype: Any = None, device: str | None = None) -> Module:
            """Stand for Module.to."""

    # -- by name

    def add_module(self, name: str, module: Module | None) -> None:
        """Make a module an attribute of this name; also `register_module`."""
        self._free(name)
        if module is not None and not isinstance(module, Access):
            raise DTypeError(f"add_module(name, module): {module!r} is not a Module\n  need one, or None")
        setattr(self, name, module)

    register_module = add_module

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Make a Parameter (or None) an attribute of this name."""
        self._free(name)
        if param is not None and not isinstance(param, Parameter):
            raise DTypeError(
                f"register_parameter(name, param): param is of type {type(param).__name__}\n"
                f"  need nn.Parameter(...), or None"
            )
        setattr(self, name, param)

    def _free(self, name: str) -> None:
        if not name or "." in name or (name not in vars(self) and hasattr(self, name)):
            raise ValueError(
                f"{type(self).__name__}: {name!r} cannot be the name of a part\n  need a free one, without a dot"
            )

    def get_submodule(self, target: str) -> Module:
        """Return the module of this name, such as ``"features.0"``; ``""`` is this one."""
        module: Any = self
        for part in target.split(".") if target else []:
            module = vars(module).get(part)
            if not isinstance(module, Access):
                raise self._missing(target, "module", "named_modules")
        return module  # type: ignore[no-any-return]

    def get_parameter(self, target: str) -> Parameter:
        """Return the Parameter of this name, such as ``"features.0.weight"``."""
        found = self._tensor(target)
        if not isinstance(found, Parameter):
            raise self._missing(target, "Parameter", "named_parameters")
        return found

    def get_buffer(self, target: str) -> Tensor:
        """Return the buffer of this name, such as ``"norm.running_mean"``."""
        prefix, _, key = target.rpartition(".")
        found = self._tensor(target)
        if found is None or key not in vars(self.get_submodule(prefix)).get("_buffers", {}):
            raise self._missing(target, "buffer", "named_buffers")
        return found

    def _tensor(self, target: str) -> Tensor | None:
        prefix, _, key = target.rpartition(".")
        found = vars(self.get_submodule(prefix)).get(key)
        return found if isinstance(found, Tensor) else None

    def _missing(self, target: str, kind: str, listing: str) -> CheckpointError:
        return CheckpointError(f"{type(self).__name__} has no {kind} {target!r}\n  need a name of {listing}()")

    # -- dtype and device

    def half(self) -> Module:
        """Return the module, in float16."""
        return self.to("float16")

    def bfloat16(self) -> Module:
        """Return the module, in bfloat16."""
        return self.to("bfloat16")

    def float(self) -> Module:
        """Return the module, in float32."""
        return self.to("float32")

    def double(self) -> Module:
        """Return the module, in float64."""
        return self.to("float64")

    def type(self, dst_type: Any) -> Module:
        """Return the module, in a floating dtype."""
        return self.to(dst_type)

    def cpu(self) -> Module:
        """Return the module, on the CPU."""
        return self.to(device="cpu")

    def cuda(self) -> Module:
        """Return the module, on the NVIDIA GPU."""
        return self.to(device="cuda")
