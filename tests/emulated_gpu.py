"""A GPU that is not there: tensors say "cuda", and numbers are computed on the CPU.

Within :func:`emulated_gpu` a tensor of device "cuda" is one of the CPU whose storage is marked.
Every operation is seen below autograd, so forward and backward passes and the optimiser are, too:

- ``mixed``: operations on tensors of both devices, which a GPU refuses;
- ``waits``: what makes the host wait for the GPU, by the line that asks for it;
- CUDA graphs: what is captured is not executed, leaves its results undefined, and is replayed into
  the same storages. What Python decided at the capture stays decided.

It knows no streams, and neither rounding nor speed of a real one.
"""

import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from unittest import mock

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

CUDA = torch.device("cuda", 0)
# Operations whose result has a size or a value that the host has to know.
KNOWN_BY_HOST = {
    "_local_scalar_dense", "_unique2", "bincount", "equal", "is_nonzero", "item", "masked_select",
    "nonzero", "repeat_interleave", "unique_consecutive", "unique_dim",
}  # fmt: skip
# Their indices may lie on the CPU: they are copied, and the host waits.
INDEXED = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}
# Arguments that are written to, of which the schema is silent.
WRITTEN_UNTOLD = {"aten::native_batch_norm": slice(3, 5)}
OURS = ("resnet_study", "benchmarks")


class Generator(torch.Generator):
    """A generator of the CPU that remembers which device it was made for."""

    def __new__(cls, device="cpu"):
        made = super().__new__(cls, device="cpu")
        made.kind = torch.device(device).type
        return made


class Marks:
    """Which storages lie on the GPU."""

    def __init__(self):
        self._storages: dict[int, StorageWeakRef] = {}

    def add(self, tensor):
        """Mark a tensor's storage; returns the tensor, and anything else as it is."""
        if isinstance(tensor, torch.Tensor) and not tensor.is_meta:
            storage = StorageWeakRef(tensor.untyped_storage())
            self._storages[storage.cdata] = storage
        return tensor

    def __contains__(self, tensor: torch.Tensor) -> bool:
        storage = self._storages.get(tensor.untyped_storage()._cdata)
        return storage is not None and not storage.expired()


class Unseen:
    """Within it operations are neither seen nor translated."""

    def __enter__(self):
        self.guards = (torch._C._DisableTorchDispatch(), torch._C.DisableTorchFunction())

    def __exit__(self, *_):
        del self.guards


class Graph:
    """What ``torch.cuda.CUDAGraph`` is to those who use it."""

    def __init__(self, keep_graph: bool = False):
        self.calls = []

    def replay(self) -> None:
        """Compute again what was captured, into the storages of then."""
        with torch.no_grad(), Unseen():
            for function, args, kwargs, results in self.calls:
                again = function(*args, **kwargs)
                for old, new in zip(tree_leaves(results), tree_leaves(again), strict=True):
                    if isinstance(old, torch.Tensor) and old is not new:
                        old.copy_(new)


class Stream:
    """One of many; here everything is done in order."""

    def __init__(self, *_, **__):
        pass

    def wait_stream(self, other) -> None:
        """Nothing to wait for."""

    def synchronize(self) -> None:
        """Nothing to wait for."""


class Autocast(torch.autocast):
    """That of the CPU, whatever device it is asked for."""

    def __init__(self, device_type, *args, **kwargs):
        super().__init__("cpu", *args, **kwargs)


class Gpu:
    """What was seen: ``waits`` and ``mixed`` operations by line, and how many ``captures``."""

    def __init__(self):
        self.marks = Marks()
        self.waits, self.mixed = Counter(), Counter()
        self.captures = 0
        self.graph: Graph | None = None  # that is being captured

    def wait(self, what: str) -> None:
        """Note that the host waits, which it must not while a graph is captured."""
        self.waits[f"{what}: {_line_of_ours()}"] += 1
        if self.graph is not None:
            raise RuntimeError(f"{what}: operation not permitted when stream is capturing")

    @contextmanager
    def capture(self, graph: Graph, pool=None, stream=None, capture_error_mode="global"):
        """What ``torch.cuda.graph`` does: note the calls, and leave everything as it was."""
        self.graph, self.before, self.made = graph, {}, {}
        self.captures += 1
        try:
            yield
        finally:
            self.graph = None
            with torch.no_grad(), Unseen():
                for tensor, value in self.before.values():
                    tensor.copy_(value)
                for tensor in self.made.values():
                    if tensor.is_floating_point():
                        tensor.fill_(float("nan"))

    def note(self, function, args, kwargs):
        """Add a call to the graph that is being captured; returns its results."""
        for tensor in _written(function, args, kwargs):
            key = _storage(tensor)
            if key not in self.made and key not in self.before:
                self.before[key] = (tensor, tensor.clone())
        results = function(*args, **kwargs)
        known = {_storage(tensor) for tensor in _tensors((args, kwargs))}
        fresh = {_storage(tensor): tensor for tensor in _tensors(results)}
        self.made |= {key: tensor for key, tensor in fresh.items() if key not in known}
        self.graph.calls.append((function, args, kwargs, results))
        return results


def _line_of_ours() -> str:
    """The innermost line of the project that is being executed, such as ``loop.py:88``."""
    frames = traceback.extract_stack()
    ours = [frame for frame in frames if any(f"/{name}/" in frame.filename for name in OURS)]
    frame = (ours or frames)[-1]
    return f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.line}"


def _storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _tensors(values) -> list[torch.Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, torch.Tensor)]


def _written(function, args, kwargs) -> Iterable[torch.Tensor]:
    """The tensors that a call writes to."""
    schema = function._schema
    untold = args[WRITTEN_UNTOLD.get(schema.name, slice(0))]
    given = dict(zip((argument.name for argument in schema.arguments), args, strict=False)) | kwargs
    told = [
        given.get(argument.name)
        for argument in schema.arguments
        if argument.alias_info is not None and argument.alias_info.is_write
    ]
    return _tensors((told, untold))


class Below(TorchDispatchMode):
    """Sees every operation, below autograd."""

    def __init__(self, gpu: Gpu):
        super().__init__()
        self.gpu = gpu

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs, gpu = kwargs or {}, self.gpu
        name = function._schema.name.split("::")[1]
        given = _tensors((args, kwargs))
        here = [tensor in gpu.marks for tensor in given]
        if any(here):
            self._look(name, args, given, here)
        results = (
            function(*args, **kwargs) if gpu.graph is None else gpu.note(function, args, kwargs)
        )
        if any(here) and name != "_local_scalar_dense":
            tree_map(gpu.marks.add, results)
        return results

    def _look(self, name: str, args, given: list[torch.Tensor], here: list[bool]) -> None:
        """Note an operation on the GPU that mixes devices or makes the host wait."""
        if name in KNOWN_BY_HOST or (name in INDEXED and _by_truth(args)):
            self.gpu.wait(name)
        if all(here):
            return
        if name == "copy_":
            self.gpu.wait(f"copy {'to' if here[0] else 'from'} the GPU")
        elif name in INDEXED and here[0]:
            self.gpu.wait("index of the CPU")
        # A number may lie on either device.
        elif any(tensor.dim() for tensor, on in zip(given, here, strict=True) if not on):
            self.gpu.mixed[f"{name}: {_line_of_ours()}"] += 1


def _by_truth(args) -> bool:
    """Whether an index is a mask, whose count the host has to know."""
    return any(part is not None and part.dtype in (torch.bool, torch.uint8) for part in args[1])


class Above(TorchFunctionMode):
    """Translates devices in what Python asks for."""

    def __init__(self, gpu: Gpu):
        super().__init__()
        self.gpu = gpu

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs, gpu = dict(kwargs or {}), self.gpu
        if function == torch.Tensor.device.__get__:
            return CUDA if args[0] in gpu.marks else function(*args)
        if function == torch.Tensor.is_cuda.__get__:
            return args[0] in gpu.marks
        if function in (torch.Tensor.cpu, torch.Tensor.numpy, torch.Tensor.tolist):
            return self._to_host(function, *args, **kwargs)
        if function is torch.Tensor.cuda:
            return self._move(args[0], CUDA)
        if function is torch.Tensor.to:
            return self._move(*args, **kwargs)
        if function is torch.Tensor.pin_memory:
            return args[0]
        return self._make(function, args, kwargs)

    def _to_host(self, function, tensor, **kwargs):
        if tensor not in self.gpu.marks:
            return function(tensor, **kwargs)
        if function is torch.Tensor.numpy:
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        self.gpu.wait(function.__name__)
        with Unseen():
            return tensor.detach().clone() if function is torch.Tensor.cpu else function(tensor)

    def _make(self, function, args, kwargs):
        """Call what may make a tensor, with a generator of the same device."""
        device = kwargs.get("device")
        wanted = "cpu" if device is None else torch.device(device).type
        own = getattr(kwargs.get("generator"), "kind", wanted)
        if own != wanted:
            raise RuntimeError(f"Expected a '{wanted}' generator but found '{own}'")
        if wanted != "cuda":
            return function(*args, **kwargs)
        if function is torch.tensor:
            self.gpu.wait("a value to the GPU")
        return tree_map(self.gpu.marks.add, function(*args, **kwargs | {"device": "cpu"}))

    def _move(self, tensor, *args, **kwargs):
        """``Tensor.to`` a device, a type, or both."""
        places = [each for each in (*args, kwargs.get("device")) if _is_place(each)]
        if not places:
            return tensor.to(*args, **kwargs)
        target = torch.device(places[0]).type
        args = [each for each in args if isinstance(each, torch.dtype)]
        options = {
            name: value
            for name, value in kwargs.items()
            if name not in ("device", "non_blocking") and value is not None
        }
        if target == "meta":
            return tensor.to("meta", *args, **options)
        if target == ("cuda" if tensor in self.gpu.marks else "cpu"):
            return tensor.to(*args, **options) if args or options else tensor
        self.gpu.wait(f"to {target}")
        with Unseen():
            moved = tensor.detach().clone().to(*args, **options)
        moved.requires_grad_(tensor.requires_grad and not tensor.is_leaf)
        return self.gpu.marks.add(moved) if target == "cuda" else moved


def _is_place(value: object) -> bool:
    return isinstance(value, str | torch.device)


@contextmanager
def emulated_gpu() -> Iterator[Gpu]:
    """Within it this machine has one GPU, ``cuda:0``; gives what is seen of its use."""
    gpu = Gpu()
    instead = {
        "CUDAGraph": Graph,
        "Stream": Stream,
        "current_device": lambda: 0,
        "current_stream": lambda device=None: Stream(),
        "device_count": lambda: 1,
        "get_device_capability": lambda device=None: (9, 0),
        "get_device_name": lambda device=None: "No GPU",
        "graph": gpu.capture,
        "is_available": lambda: True,
        "is_current_stream_capturing": lambda: gpu.graph is not None,
        "max_memory_allocated": lambda device=None: 0,
        "memory_allocated": lambda device=None: 0,
        "reset_peak_memory_stats": lambda device=None: None,
        "set_device": lambda device: None,
        "stream": lambda stream: nullcontext(),
        "synchronize": lambda device=None: None,
    }
    with ExitStack() as stack:
        for name, value in instead.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, value))
        stack.enter_context(mock.patch.object(torch, "Generator", Generator))
        stack.enter_context(mock.patch.object(torch, "autocast", Autocast))
        stack.enter_context(Below(gpu))
        stack.enter_context(Above(gpu))
        yield gpu
