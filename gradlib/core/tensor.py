"""`Tensor`: an array and its place on the tape."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import backend as backends
from ..errors import DTypeError, GradientError, ShapeError, message, operand
from ..spec import Spec, as_dtype, default_complex, default_float, int64, is_complex, is_differentiable, is_floating
from .interchange import Interchange
from .methods import ArrayMethods
from .operators import op
from .scopes import current_backend

if TYPE_CHECKING:
    from .node import Node


class Version:
    """Counts the in-place changes of one buffer; a tensor and its views share it."""

    __slots__ = ("count", "pinned")

    def __init__(self) -> None:
        self.count = 0
        self.pinned = False  # memory the tape or another tensor may read: written never, copied instead


class Hook:
    """What `Tensor.register_hook` returns."""

    def __init__(self, hooks: list[Any], hook: Any) -> None:
        self._hooks, self._hook = hooks, hook

    def remove(self) -> None:
        """Take the hook away; doing so twice is harmless."""
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)


class Tensor(ArrayMethods, Interchange):
    """An immutable array on a device, which knows the op that made it.

    Make one with `gl.tensor` (copies) or `gl.asarray` (shares).  ``data`` is the NumPy or CuPy array,
    ``grad`` the accumulated gradient of a leaf, ``requires_grad`` whether the tape follows it.
    """

    __slots__ = ("__weakref__", "data", "grad", "hooks", "index", "node", "requires_grad", "version")
    __array_ufunc__ = None  # ``ndarray * tensor`` reaches Tensor.__rmul__

    data: Any
    requires_grad: bool
    node: Node | None
    index: int
    grad: Tensor | None
    version: Version | None
    hooks: list[Any]  # of a leaf; only there once `register_hook` was called

    def __init__(self, data: Any, requires_grad: bool = False) -> None:
        if requires_grad and not is_differentiable(data.dtype):
            raise GradientError(
                f"tensor(requires_grad=True): gradient of {data.dtype}: only floating and complex dtypes have one\n"
                f"  need x.to(gl.float32)"
            )
        self.data = data
        self.requires_grad = requires_grad
        self.node = None
        self.index = 0
        self.grad = None
        self.version = None

    # -- what it is

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> Any:
        return self.data.dtype

    @property
    def ndim(self) -> int:
        return self.data.ndim  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        return int(self.data.size)

    @property
    def spec(self) -> Spec:
        return Spec(self.data.shape, self.data.dtype)

    @property
    def is_leaf(self) -> bool:
        """Whether the user made it, rather than a recorded op."""
        return self.node is None

    def __repr__(self) -> str:
        extra = "" if self.device == "cpu" else f", device={self.device!r}"
        if self.node is not None:
            extra += f", from={self.node.prim.name}"
        elif self.requires_grad:
            extra += ", requires_grad=True"
        if hasattr(type(self.data), "physical"):  # under vmap
            return f"tensor(one example of a batch: {self.dtype}{list(self.shape)}{extra})"
        values = np.array2string(
            np.asarray(backends.backend_of(self.data).to_host(self.data)), separator=", ", prefix="tensor("
        )
        return f"tensor({values}, dtype={self.dtype}{extra})"

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return int(self.shape[0])

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self._only("bool"))

    def __float__(self) -> float:
        return float(self._real("float"))

    def __int__(self) -> int:
        return int(self._real("int"))

    def __complex__(self) -> complex:
        return complex(self._only("complex"))

    def __index__(self) -> int:
        if is_differentiable(self.dtype):
            raise DTypeError(f"{self.dtype} tensor cannot be used as an index\n  need an integer dtype")
        return int(self._only("index"))

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(
            "x[index] = value: a tensor is immutable\n"
            "  need a new one, x.at[index].set(value), or x.assign(values) to overwrite all of a leaf"
        )

    def _only(self, what: str) -> Any:
        if self.size != 1:
            raise ShapeError(message(f"{what}(x): x has {self.size} elements, not 1", [operand("x", self)]))
        self._refuse_example(f"{what}(x)")
        return self.numpy().reshape(())[()]

    def _refuse_example(self, what: str) -> None:
        if hasattr(type(self.data), "physical"):
            raise self.data.refuse(what)

    def _real(self, what: str) -> Any:
        if is_complex(self.dtype):
            raise DTypeError(f"{what}(x): x is {self.dtype}\n  need gl.real(x), gl.imag(x), or complex(x)")
        return self._only(what)

    # -- leaving the tape

    def item(self) -> Any:
        """Return the only element as a Python number."""
        return self._only("item").item()

    def numpy(self) -> Any:
        """Return the values as a NumPy array: a read-only view on the CPU, a copy from other devices."""
        self._refuse_example("x.numpy()")
        host = backends.backend_of(self.data).to_host(self.data).view()
        host.flags.writeable = False
        return host

    def tolist(self) -> Any:
        """Return the values as nested Python lists."""
        return self.numpy().tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        host = self.numpy()
        return np.array(host, dtype) if copy or (dtype is not None and dtype != host.dtype) else host

    def detach(self) -> Tensor:
        """Return the same values, sharing memory, as a constant."""
        result = Tensor(self.data)
        result.version = shared_version(self)
        if self.node is not None:
            result.version.pinned = True
        return result

    def __getstate__(self) -> Any:
        if self.node is not None:
            raise GradientError(
                f"copy or pickle: this tensor is the result of {self.node.prim.name}, and a tape is not copied\n"
                f"  need x.detach()"
            )
        return object.__getstate__(self)

    # -- on the tape

    def backward(self, gradient: Any = None, retain_graph: bool = False) -> None:
        """Add the derivative of this tensor to ``.grad`` of every leaf it depends on.

        ``gradient`` is the cotangent, of this tensor's shape; it may be left out for a single element.
        """
        from .reverse import backward

        backward(self, gradient, retain_graph)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> Hook:
        """Call ``hook(gradient)`` when the gradient of this tensor is known; what it returns, if not None, replaces it.

        Hooks run in the order they were registered, in every backward pass and in `grad`, `vjp` and `jacobian`;
        ``remove()`` of the result takes this one away.

        >>> import gradlib as gl
        >>> x = gl.tensor(3.0, requires_grad=True)
        >>> handle = x.register_hook(lambda g: 10.0 * g)
        >>> (x * x).backward()
        >>> x.grad
        tensor(60., dtype=float32)
        """
        if not self.requires_grad:
            raise GradientError(
                message("register_hook(): this tensor has no gradient", [operand("x", self)], "need requires_grad=True")
            )
        from .reverse import hooks_of

        hooks = hooks_of(self)
        hooks.append(hook)
        return Hook(hooks, hook)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set whether the tape follows this leaf; return it."""
        if self.node is not None:
            raise GradientError(
                f"requires_grad_(): the result of {self.node.prim.name} is not a leaf\n  need x.detach()"
            )
        if requires_grad and not is_differentiable(self.dtype):
            raise GradientError(
                f"requires_grad_(): gradient of {self.dtype}: only floating and complex dtypes have one"
            )
        self.requires_grad = requires_grad
        return self

    def assign(self, value: Any) -> Tensor:
        """Overwrite the values in place: the one change a tensor allows, and not on the tape.

        Shape, dtype and device stay.  A backward that still needs the old values raises `GradientError`.
        """
        if self.node is not None:
            raise GradientError(
                f"assign(): this tensor is the result of {self.node.prim.name}; only a leaf can be assigned\n"
                f"  need a new tensor, or x.detach()"
            )
        new = value.data if isinstance(value, Tensor) else np.asarray(value)
        if tuple(new.shape) != self.shape:
            raise ShapeError(
                message(
                    "assign(x, value): shapes differ", [operand("x", self), operand("value", new)], "need equal shapes"
                )
            )
        cut = is_complex(new.dtype) if is_floating(self.dtype) else not np.can_cast(new.dtype, self.dtype, "same_kind")
        if cut:
            raise DTypeError(
                message(
                    f"assign(x, value): the values would be cut from {new.dtype} to {self.dtype}",
                    [operand("x", self), operand("value", new)],
                    f"need value.to({self.dtype})",
                )
            )
        target = backends.backend_of(self.data)
        if backends.backend_of(new) is not target:
            new = target.asarray(backends.backend_of(new).to_host(new))
        writable(self)[...] = new
        if self.version is not None:
            self.version.count += 1
        return self

    def to(self, dtype: Any = None, device: str | None = None) -> Tensor:
        """Return this tensor in another dtype and/or on another device (itself if nothing changes); differentiable."""
        result = self
        if isinstance(dtype, str) and dtype in backends.DEVICES:
            dtype, device = None, dtype
        if dtype is not None and as_dtype(dtype) is not self.dtype:
            result = op.cast(result, dtype=as_dtype(dtype))
        if device is not None and device != self.device:
            result = op.to_device(result, device=device)
        return result


def zeros_as(like: Any, *, shape: tuple[int, ...], dtype: Any) -> Any:
    """Return zeros on the device of `like`: a Tensor for a Tensor, a plain array for an array."""
    if isinstance(like, Tensor):
        return Tensor(zeros_as(like.data, shape=shape, dtype=dtype))
    return backends.backend_of(like).zeros(shape, dtype)


def ones_as(like: Any, *, shape: tuple[int, ...], dtype: Any) -> Any:
    """Return ones on the device of `like`: a Tensor for a Tensor, a plain array for an array."""
    result = zeros_as(like, shape=shape, dtype=dtype)
    (result.data if isinstance(result, Tensor) else result)[...] = 1
    return result


def shared_version(tensor: Tensor) -> Version:
    """Return the version of the tensor's buffer, made when first asked for."""
    if tensor.version is None:
        tensor.version = Version()
    return tensor.version


def writable(tensor: Tensor) -> Any:
    """Return the array of a leaf for writing: a copy, now its own, of read-only memory or what the tape may read."""
    data, version = tensor.data, tensor.version
    pinned = version is not None and version.pinned
    if pinned or (isinstance(data, np.ndarray) and not data.flags.writeable):
        tensor.data = data = data.copy()
    if pinned:
        tensor.version = Version()
        tensor.version.count = version.count  # type: ignore[union-attr]  # what the tape kept stays recognisable
    return data


def host_array(data: Any, dtype: Any = None) -> np.ndarray[Any, Any]:
    """Return Python data as an array with gradlib's defaults: floats become float32, complex64, ints int64."""
    if dtype is not None:
        return np.asarray(data, as_dtype(dtype))
    given = isinstance(data, (np.ndarray, np.generic))
    array = np.asarray(data)
    if not given and array.dtype == np.float64:
        array = array.astype(default_float)
    elif not given and array.dtype == np.complex128:
        array = array.astype(default_complex)
    elif not given and array.dtype.kind == "i":
        array = array.astype(int64)
    as_dtype(array.dtype)  # objects, strings: a clear error
    return array


def tensor(data: Any, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Return a new Tensor with a copy of `data` (number, nested list, array or Tensor).

    An array keeps its dtype; Python floats become float32, Python ints int64.

    >>> import gradlib as gl
    >>> gl.tensor([1.0, 2.0])
    tensor([1., 2.], dtype=float32)
    """
    return Tensor(_array(data, dtype, device, copy=True), requires_grad)


_NO_COPY = "asarray(data, copy=False): data is of another kind, dtype or device"


def asarray(data: Any, *, dtype: Any = None, device: str | None = None, copy: bool | None = None) -> Tensor:
    """Return `data` as a Tensor, sharing memory where the device and dtype allow; a Tensor is returned as it is.

    With ``copy=True`` it has memory of its own; with ``copy=False`` what would need a copy is a ValueError.
    """
    if isinstance(data, Tensor):
        result = data.to(dtype=dtype, device=device)
        if copy is False and result is not data:
            raise ValueError(
                message("asarray(data, copy=False): needs a copy", [operand("data", data)], "need copy=None")
            )
        return op.copy(result) if copy and result is data else result
    array = _array(data, dtype, device, copy=bool(copy))
    if copy is False and not (backends.is_array(data) and _same_memory(array, data)):
        raise ValueError(message(_NO_COPY, [operand("data", data)], "need copy=None"))
    return Tensor(array)


def _same_memory(array: Any, other: Any) -> bool:
    """Whether an array is another, or the same memory in an array of another device."""
    return array is other or (isinstance(array, np.ndarray) and np.may_share_memory(array, other))


def _array(data: Any, dtype: Any, device: str | None, copy: bool) -> Any:
    if isinstance(data, Tensor):
        data, device = data.data, device or data.device
    elif isinstance(data, (list, tuple)) and any(isinstance(d, Tensor) for d in data):
        data = np.stack([d.numpy() if isinstance(d, Tensor) else np.asarray(d) for d in data])
    if not backends.is_array(data):
        data, copy = host_array(data, dtype), not isinstance(data, np.generic) and copy
    source = backends.backend_of(data)
    # a plain NumPy array goes to the default device; an array made on a device stays there
    target = current_backend(device) if device or source.name == "cpu" else source
    if dtype is not None and data.dtype != as_dtype(dtype):
        data, copy = data.astype(as_dtype(dtype)), False
    as_dtype(data.dtype)
    if target is not source:
        return target.asarray(source.to_host(data).copy() if target.name == "sim" else source.to_host(data))
    return data.copy() if copy else data
