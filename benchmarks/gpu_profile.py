"""Where the time of a fit goes on a GPU: kernels by kind, bytes that operators move, and the memory's bandwidth."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

KINDS = {
    "transforms": ("fft", "regular_fft", "vector_fft", "bluestein"),
    "matrix products": ("gemm", "gemv", "bmm", "dot_kernel", "cutlass"),
    "linear algebra": ("cholesky", "potr", "trsm", "magma", "cusolver"),
    "sums": ("reduce",),
    "picking rows": ("index", "gather", "scatter"),
    "copies": ("copy", "memcpy", "memset", "cat"),
    "arithmetic": ("elementwise", "vectorized", "triton"),
}
COPIED = 1 << 30
PASSES = 2
"""Passes over the data of a two-dimensional transform."""


def kernels(run: Callable[[], Any], device: torch.device) -> dict[str, Any]:
    """Milliseconds by kind of kernel (of operator on a CPU), the largest ones, and those of the whole call."""
    run()
    on_gpu = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]) as found:
        begin = time.perf_counter()
        run()
        whole = time.perf_counter() - begin
    by_name: Counter[str] = Counter()
    launched = 0
    for event in found.events():
        if on_gpu == (event.device_type == torch.autograd.DeviceType.CUDA):
            own = event.time_range.elapsed_us() if on_gpu else event.self_cpu_time_total
            by_name[event.name] += own / 1e3
            launched += 1
    by_kind: Counter[str] = Counter()
    for name, taken in by_name.items():
        by_kind[kind_of(name)] += taken
    return {
        "whole": 1e3 * whole,
        "busy": sum(by_name.values()),
        "launched": launched,
        "kinds": dict(by_kind.most_common()),
        "largest": by_name.most_common(12),
    }


def kind_of(kernel: str) -> str:
    """The kind of a kernel by its name."""
    low = kernel.lower()
    return next((kind for kind, words in KINDS.items() if any(word in low for word in words)), "other")


class Traffic(TorchDispatchMode):
    """Counts the bytes of what operators are given and give, views apart."""

    def __init__(self) -> None:
        super().__init__()
        self.moved: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, words: Any = (), keywords: Any = None) -> Any:
        given = function(*words, **(keywords or {}))
        if not function.is_view:
            tensors = [t for t in tree_leaves((words, keywords, given)) if isinstance(t, torch.Tensor)]
            name = function.overloadpacket.__name__
            count = sum(min(t.numel() * t.element_size(), t.untyped_storage().nbytes()) for t in tensors)
            self.moved[name] += count * (PASSES if "fft" in name else 1)
        return given


def traffic(run: Callable[[], Any], device: torch.device) -> dict[str, Any]:
    """Bytes that the operators of a call read and write, by operator."""
    with Traffic() as counted:
        run()
    return {"bytes": counted.moved.total(), "largest": counted.moved.most_common(12)}


def bandwidth(device: torch.device) -> float:
    """Bytes a second that the device's memory reads and writes in a copy of a gigabyte."""
    one = torch.zeros(COPIED // 4, device=device)
    two = torch.empty_like(one)
    best = 0.0
    for _ in range(6):
        synchronize(device)
        begin = time.perf_counter()
        two.copy_(one)
        synchronize(device)
        best = max(best, 2 * COPIED / (time.perf_counter() - begin))
    return best


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
