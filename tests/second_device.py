"""A stand-in for a second device, on which the package can be seen to run where there is no accelerator.

Its tensors keep their data on the CPU and compute there, so results equal the CPU's. Like those of an accelerator they
refuse to meet the CPU's tensors, and what would make a program wait for an accelerator can be counted, with the line
that did it::

    module.to(DEVICE)
    with counting() as found:
        module(x).mean().backward()
    assert found.reads == found.copies == []

A *read* is a value, or a number of values, that the host needs to go on: ``item``, ``bool``, ``tolist``, ``cpu``, a
mask as an index, ``nonzero``, ``unique``. A *copy* brings the host's data to the device:
``torch.tensor(..., device=DEVICE)``, ``to(DEVICE)``, an index on the CPU. Both make an accelerator's queue run dry.

What differs from a real one: random numbers come from the CPU's generator, there is a single stream, no kernel is
missing, float64 is there, and an integer division by zero raises. Checkpoints come back on the CPU whatever
``map_location`` says; what takes them up moves them.

Importing this registers the device with torch, which can be done once in a process, and before the first backward pass
of the process: tests that need it run in a process of their own (:mod:`tests.test_second_device`).
"""

import copy
import functools
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedParameter
from torch.utils._mode_utils import no_dispatch
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "second"
_ROOT = Path(__file__).resolve().parents[1]
_OURS = tuple(str(_ROOT / folder) + "/" for folder in ("discrete_gan", "recipes"))
_TESTS = str(_ROOT / "tests") + "/"
_ATEN = torch.ops.aten

# What an accelerator must wait for, beside the operators that torch marks as such.
_WAITING = {
    _ATEN.masked_scatter_backward.default,
    _ATEN._linalg_check_errors.default,
    _ATEN._linalg_eigh.default,
    _ATEN._linalg_eigvals.default,
    _ATEN._linalg_svd.default,
    _ATEN.linalg_eig.default,
}
_MARKS = {torch.Tag.dynamic_output_shape, torch.Tag.data_dependent_output}
_INDEXING = {
    _ATEN.index.Tensor,
    _ATEN.index_put.default,
    _ATEN.index_put_.default,
    _ATEN._index_put_impl_.default,
    _ATEN._unsafe_index.Tensor,
    _ATEN._unsafe_index_put.default,
}
# A mask as an index is filled without its size where one value goes to all of it.
_INDEXED_WRITES = _INDEXING - {_ATEN.index.Tensor, _ATEN._unsafe_index.Tensor}
_UNBOUNDED = 2**46  # bytes, of which none are allocated: a tensor may be made larger in place
# Take a number from the CPU as a tensor without axes, beside the elementwise operators.
_TAKING_NUMBERS = {_ATEN.index_fill.int_Tensor, _ATEN.index_fill_.int_Tensor, *_INDEXED_WRITES}


class Event(NamedTuple):
    """One read or copy.

    Attributes:
        operator: Of torch, as ``aten.nonzero.default``.
        where: Innermost line of the package or of a recipe, of the tests where there is none.
    """

    operator: str
    where: str

    def __str__(self) -> str:
        return f"{self.where} ({self.operator})"


class Traffic:
    """What :func:`counting` found.

    Attributes:
        reads: From the device, in order.
        copies: To the device, in order.
    """

    def __init__(self) -> None:
        self.reads: list[Event] = []
        self.copies: list[Event] = []

    @property
    def count(self) -> int:
        """Number of reads."""
        return len(self.reads)

    def __str__(self) -> str:
        lines = [f"{len(self.reads)} reads, {len(self.copies)} copies"]
        for kind, events in (("read", self.reads), ("copy", self.copies)):
            times = {event: events.count(event) for event in events}
            lines += [
                f"  {kind} at {event}" + (f", {number} times" if number > 1 else "") for event, number in times.items()
            ]
        return "\n".join(lines)

    __repr__ = __str__


_counters: list[Traffic] = []


@contextmanager
def counting() -> Iterator[Traffic]:
    """Reads and copies inside, by any thread."""
    found = Traffic()
    _counters.append(found)
    try:
        yield found
    finally:
        _counters.remove(found)


_lacking: list[torch.dtype] = []


@contextmanager
def lacking(dtype: torch.dtype) -> Iterator[None]:
    """A device that cannot hold numbers of this type inside, as Apple's GPUs cannot hold float64."""
    _lacking.append(dtype)
    try:
        yield
    finally:
        _lacking.remove(dtype)


class OnSecond(Tensor):
    """A tensor on the device, around its data on the CPU."""

    _data: Tensor

    @staticmethod
    def __new__(cls, data: Tensor) -> "OnSecond":
        if data.dtype in _lacking:
            raise TypeError(f"Cannot make a tensor of {data.dtype} on {NAME}:0, which has no such numbers ({_where()})")
        made = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            data.shape,
            strides=data.stride(),
            storage_offset=data.storage_offset(),
            dtype=data.dtype,
            device=DEVICE,
            storage_size=_UNBOUNDED,
        )
        made._data = data
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _run(func, args, kwargs or {})

    # What follows asks for the data behind torch's dispatcher.

    @property
    def data(self) -> Tensor:  # type: ignore[override]
        return self.detach()

    @data.setter
    def data(self, value: "OnSecond") -> None:
        Tensor.data.__set__(self, value)  # type: ignore[attr-defined]
        self._data = value._data

    def untyped_storage(self) -> torch.UntypedStorage:
        return self._data.untyped_storage()

    def data_ptr(self) -> int:
        return self._data.data_ptr()

    def __deepcopy__(self, memo: dict[int, Any]) -> "OnSecond":
        if id(self) in memo:
            return memo[id(self)]
        if not self.is_leaf:
            raise RuntimeError("Only Tensors created explicitly by the user support the deepcopy protocol")
        made = OnSecond(self._data.clone())
        made.requires_grad_(self.requires_grad)
        memo[id(self)] = made
        for name, value in vars(self).items():
            if name != "_data":
                setattr(made, name, copy.deepcopy(value, memo))
        if self.grad is not None:
            made.grad = copy.deepcopy(self.grad, memo)
        return made

    def tolist(self) -> Any:
        return self.detach().cpu().tolist()

    def numpy(self, *, force: bool = False) -> Any:
        if force:
            return self.detach().cpu().numpy()
        raise TypeError(f"can't convert {NAME}:0 device type tensor to numpy. Use Tensor.cpu() first.")

    def __reduce_ex__(self, proto: Any) -> Any:
        return self.detach().cpu().__reduce_ex__(proto)

    def __repr__(self, **options: Any) -> str:
        return f"{self._data!r} on {NAME}"

    __format__ = Tensor.__format__


def peek(value: Any) -> Any:
    """The data of tensors, tuples, lists and dictionaries of them, which is not counted as a read."""
    if isinstance(value, OnSecond):
        return value._data.detach()
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, dict):
        return {key: peek(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [peek(each) for each in value]
    return value


def moved(value: Any) -> Any:
    """A copy on the device, of tensors and modules and what holds them."""
    if isinstance(value, nn.Module):
        return copy.deepcopy(value).to(DEVICE)
    if isinstance(value, Tensor):
        return value.detach().to(DEVICE).requires_grad_(value.requires_grad)
    if isinstance(value, tuple | list):
        return type(value)(map(moved, value))
    return {key: moved(each) for key, each in value.items()} if isinstance(value, dict) else value


def devices(value: Any) -> set[str]:
    """Of the tensors in a result."""
    if isinstance(value, Tensor):
        return {value.device.type}
    each = value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list) else ()
    return set().union(*map(devices, each)) if each else set()


def assert_alike(function: Callable[..., Any], *inputs: Any, copies: int = 0, reads: int = 0) -> None:
    """On the device the function returns what it returns on the CPU, stays there, and never waits.

    Args:
        function: Of the inputs; returns tensors.
        inputs: Copied, so that what it changes in them is another's.
        copies: Host data that it may bring to the device.
        reads: How often it waits all the same.
    """
    here, there = copy.deepcopy(inputs), moved(inputs)
    torch.manual_seed(0)
    expected = function(*here)
    torch.manual_seed(0)
    with counting() as found:
        result = function(*there)
    assert devices(result) == {NAME}, devices(result)
    assert (found.count, len(found.copies)) == (reads, copies), found
    torch.testing.assert_close(peek(result), peek(expected))


def _run(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Compute on the CPU what was called on the device."""
    if func in _FUSED:
        return tuple(map(OnSecond, _FUSED[func](*_strip(args))))
    if func is _ATEN._efficientzerotensor.default:  # a tensor without data
        func = _ATEN.zeros.default
    ours, theirs = _tensors((args, kwargs))
    if func is _ATEN.copy_.default:
        _note(func, args[0], args[1])
    elif func is _ATEN._to_copy.default:
        _note(func, kwargs.get("device"), args[0])
    else:
        _check(func, args, kwargs, theirs)
    wrapper_of = {id(each._data): each for each in ours}
    inner_args, inner_kwargs = _strip(args), _strip(kwargs)
    on_cpu = _is_host(kwargs.get("device"))
    if kwargs.get("device") is not None:
        inner_kwargs["device"] = torch.device("cpu")
    result = func(*inner_args, **inner_kwargs)

    def wrapped(value: Any) -> Any:
        if isinstance(value, tuple | list):
            return type(value)(map(wrapped, value))
        if not isinstance(value, Tensor):
            return value
        if id(value) in wrapper_of:  # written into, and handed back
            return _reshaped(wrapper_of[id(value)])
        if on_cpu or any(value is each for each in theirs):
            return value
        return OnSecond(value)

    return wrapped(result)


def _reshaped(tensor: OnSecond) -> OnSecond:
    """The tensor after an operator such as ``transpose_``, with the shape and the strides that its data have now."""
    data = tensor._data
    if tensor.shape != data.shape or tensor.stride() != data.stride():
        with no_dispatch():
            _ATEN.as_strided_.default(tensor, data.shape, data.stride(), data.storage_offset())
    return tensor


def _tensors(value: Any) -> tuple[list[OnSecond], list[Tensor]]:
    """All tensors inside: those of the device, and those of the CPU."""
    ours: list[OnSecond] = []
    theirs: list[Tensor] = []
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, OnSecond):
            ours.append(each)
        elif isinstance(each, Tensor):
            theirs.append(each)
        elif isinstance(each, tuple | list):
            waiting.extend(each)
        elif isinstance(each, dict):
            waiting.extend(each.values())
    return ours, theirs


def _strip(value: Any) -> Any:
    """The same with the data of the device's tensors."""
    if isinstance(value, OnSecond):
        return value._data
    if isinstance(value, tuple | list):
        return type(value)(map(_strip, value))
    if isinstance(value, dict):
        return {key: _strip(each) for key, each in value.items()}
    return value


def _is_host(device: Any) -> bool:
    return device is not None and torch.device(device).type == "cpu"


def _note(func: Any, target: Any, source: Tensor) -> None:
    """Count a copy between the devices; ``target`` is a tensor, a device, or None for that of the source."""
    to_host = isinstance(source, OnSecond) and (
        _is_host(target) if not isinstance(target, Tensor) else not isinstance(target, OnSecond)
    )
    if to_host:
        _record("reads", func)
    elif isinstance(target, OnSecond) and not isinstance(source, OnSecond):
        _record("copies", func)


def _check(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], theirs: list[Tensor]) -> None:
    """Refuse an operator on both devices, and count what an accelerator would wait for."""
    generator = kwargs.get("generator")
    if generator is not None and generator.device.type != NAME:
        raise RuntimeError(f"Expected a '{NAME}' device type for generator but found '{generator.device.type}'")
    indices = [each for each in args[1] if isinstance(each, Tensor)] if func in _INDEXING else []
    for each in indices:
        if not isinstance(each, OnSecond):
            _record("copies", func)
    single = func in _INDEXED_WRITES and args[2].numel() == 1 and not (len(args) > 3 and args[3])
    if not single and any(each.dtype in (torch.bool, torch.uint8) for each in indices):
        _record("reads", func)
    if _waits(func):
        _record("reads", func)
    for each in theirs:
        number = each.dim() == 0 and _takes_numbers(func) and each is not _written(func, args)
        if number or any(each is index for index in indices):
            continue
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, {NAME}:0 and cpu! "
            f"(a CPU tensor of shape {tuple(each.shape)} in {func} at {_where()})"
        )


@functools.cache
def _waits(func: Any) -> bool:
    """Whether the host needs values to go on."""
    return func in _WAITING or (func not in _INDEXING and bool(_MARKS & set(func.tags)))


@functools.cache
def _takes_numbers(func: Any) -> bool:
    """Whether a CPU tensor without axes may come along, as a number."""
    return torch.Tag.pointwise in func.tags or func in _TAKING_NUMBERS or "fill" in func.__name__


def _written(func: Any, args: tuple[Any, ...]) -> Any:
    """The tensor that an operator changes in place, if it is one that does."""
    return args[0] if func._schema.is_mutable and args else None


def _record(kind: str, func: Any) -> None:
    if _counters:
        event = Event(str(func), _where())
        for counter in _counters:
            getattr(counter, kind).append(event)


def _where() -> str:
    """Innermost line of the package or of a recipe, else of the tests.

    A backward pass runs in a thread of its own: what torch itself does there is put down to who called it.
    """
    main = threading.main_thread().ident
    frames = [sys._getframe(), *([sys._current_frames()[main]] if main is not None else [])]
    for roots in (_OURS, (_TESTS,)):
        for frame in frames:
            each = frame
            while each is not None:
                name = each.f_code.co_filename
                if name.startswith(roots) and name != __file__:
                    return f"{Path(name).relative_to(_ROOT)}:{each.f_lineno}"
                each = each.f_back
    return "unknown"


# The fused cells of recurrent layers, which torch has for accelerators alone.


def _gates(*parts: Tensor | None) -> Tensor:
    return sum(part for part in parts if part is not None)  # type: ignore[return-value]


def _lstm_cell(
    input_gates: Tensor,
    hidden_gates: Tensor,
    cx: Tensor,
    input_bias: Tensor | None = None,
    hidden_bias: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    parts = _gates(input_gates, hidden_gates, input_bias, hidden_bias).chunk(4, dim=1)
    i, f, g, o = parts[0].sigmoid(), parts[1].sigmoid(), parts[2].tanh(), parts[3].sigmoid()
    cy = f * cx + i * g
    return o * cy.tanh(), cy, torch.cat([i, f, g, o], dim=1)


def _lstm_cell_backward(
    grad_hy: Tensor | None, grad_cy: Tensor | None, cx: Tensor, cy: Tensor, workspace: Tensor, has_bias: bool
) -> tuple[Tensor, Tensor, Tensor]:
    i, f, g, o = workspace.chunk(4, dim=1)
    tanh = cy.tanh()
    grad_hy = torch.zeros_like(cy) if grad_hy is None else grad_hy
    total = grad_hy * o * (1 - tanh * tanh) + (0 if grad_cy is None else grad_cy)
    gates = torch.cat(
        [total * g * i * (1 - i), total * cx * f * (1 - f), total * i * (1 - g * g), grad_hy * tanh * o * (1 - o)],
        dim=1,
    )
    return gates, total * f, gates.sum(dim=0) if has_bias else gates.new_empty(0)


def _gru_cell(
    input_gates: Tensor,
    hidden_gates: Tensor,
    hx: Tensor,
    input_bias: Tensor | None = None,
    hidden_bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    reset_in, update_in, new_in = _gates(input_gates, input_bias).chunk(3, dim=1)
    reset_h, update_h, new_h = _gates(hidden_gates, hidden_bias).chunk(3, dim=1)
    reset, update = (reset_in + reset_h).sigmoid(), (update_in + update_h).sigmoid()
    new = (new_in + reset * new_h).tanh()
    return (hx - new) * update + new, torch.cat([reset, update, new, hx, new_h], dim=1)


def _gru_cell_backward(grad_hy: Tensor, workspace: Tensor, has_bias: bool) -> tuple[Tensor, ...]:
    reset, update, new, hx, new_h = workspace.chunk(5, dim=1)
    of_update = grad_hy * (hx - new) * update * (1 - update)
    of_new = grad_hy * (1 - update) * (1 - new * new)
    of_reset = of_new * new_h * reset * (1 - reset)
    input_gates = torch.cat([of_reset, of_update, of_new], dim=1)
    hidden_gates = torch.cat([of_reset, of_update, of_new * reset], dim=1)
    biases = (input_gates.sum(dim=0), hidden_gates.sum(dim=0)) if has_bias else (hx.new_empty(0), hx.new_empty(0))
    return input_gates, hidden_gates, grad_hy * update, *biases


_FUSED = {
    _ATEN._thnn_fused_lstm_cell.default: _lstm_cell,
    _ATEN._thnn_fused_lstm_cell_backward_impl.default: _lstm_cell_backward,
    _ATEN._thnn_fused_gru_cell.default: _gru_cell,
    _ATEN._thnn_fused_gru_cell_backward.default: _gru_cell_backward,
}


# Registration with torch.


class _Backend:
    """The module ``torch.second``."""

    def is_initialized(self) -> bool:
        return True

    def is_available(self) -> bool:
        return True

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def manual_seed_all(self, seed: int) -> None:
        """Random numbers come from the CPU's generator."""

    def _is_in_bad_fork(self) -> bool:
        return False

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


_setup_privateuseone_for_python_backend(NAME, backend_module=_Backend())
DEVICE = torch.device(NAME, 0)

# Operators without a tensor of the device among their arguments, which make one.
_FACTORIES = torch.library.Library("_", "IMPL")
_FACTORIES.fallback(lambda func, *args, **kwargs: _run(func, args, kwargs), "PrivateUse1")
# torch.tensor leaves subclasses out of its own calls, and finds these.
_KERNELS = torch.library.Library("aten", "IMPL")
_KERNELS.impl("copy_", lambda *args: _run(_ATEN.copy_.default, args, {}), "PrivateUse1")
_KERNELS.impl("_local_scalar_dense", lambda x: _run(_ATEN._local_scalar_dense.default, (x,), {}), "PrivateUse1")
# torch makes these by resizing an empty tensor.
for _func in (_ATEN.arange.default, _ATEN.arange.start, _ATEN.arange.start_step, _ATEN.linspace.default):
    _KERNELS.impl(
        _func, functools.partial(lambda func, *args, **kwargs: _run(func, args, kwargs), _func), "PrivateUse1"
    )
# Parameters without a size cannot become the device's in place, as they do on others: they follow when they have one.
_to_other_device = UninitializedParameter.__torch_function__.__func__  # type: ignore[attr-defined]
_make_real = vars(LazyModuleMixin)["_infer_parameters"]


def _to_device(cls: Any, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
    """``to`` of a parameter without a size."""
    if func is Tensor.to and any(isinstance(each, torch.device) and each.type == NAME for each in args):
        return args[0]
    return _to_other_device(cls, func, types, args, kwargs)


def _make_real_there(self: Any, module: Any, args: Any, kwargs: dict[str, Any] | None = None) -> None:
    """Sizes for the parameters of a module, from its first input."""
    _make_real(self, module, args, kwargs)
    module.to(args[0].device)


UninitializedParameter.__torch_function__ = classmethod(_to_device)  # type: ignore[assignment]
setattr(LazyModuleMixin, "_infer_parameters", _make_real_there)  # noqa: B010

# Mixed precision changes nothing here.
_PRECISION = torch.library.Library("_", "IMPL")
_PRECISION.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
torch.serialization.register_package(
    0, lambda storage: None, lambda storage, location: storage if location.startswith(NAME) else None
)
