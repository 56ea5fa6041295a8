"""What the benchmark of a GPU counts, on operators whose bytes and kernels are known."""

import importlib.util
from pathlib import Path

import pytest
import torch

PATH = Path(__file__).parents[2] / "benchmarks" / "gpu_profile.py"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def code():
    spec = importlib.util.spec_from_file_location("benchmark_gpu_profile", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_bytes_that_operators_move(code):
    a, b = torch.ones(1000), torch.ones(1000)
    assert code.traffic(lambda: a + b, CPU)["bytes"] == 3 * 4000
    assert code.traffic(lambda: a.view(10, 100).T, CPU)["bytes"] == 0
    assert code.traffic(lambda: torch.ones(1).expand(500) + a[:500], CPU)["bytes"] == 4 + 4 + 4 * 1000
    moved = code.traffic(lambda: torch.fft.rfft(a), CPU)
    assert moved["bytes"] == 2 * (4000 + 8 * 501)


@pytest.mark.parametrize(
    ("kernel", "kind"),
    [
        ("void regular_fft_factor<168u, EPT<14u>, ...>", "transforms"),
        ("sm90_xmma_gemm_f32f32_tf32f32_f32_tn_n", "matrix products"),
        ("void at::native::vectorized_elementwise_kernel<4, MulFunctor>", "arithmetic"),
        ("void at::native::reduce_kernel<512, 1, ReduceOp<float>>", "sums"),
        ("something new", "other"),
    ],
)
def test_kinds_of_kernels(code, kernel, kind):
    assert code.kind_of(kernel) == kind


def test_times_of_operators(code):
    found = code.kernels(lambda: torch.ones(10_000).exp().sum(), CPU)
    assert found["busy"] > 0
    assert found["launched"] >= 2
    assert found["kinds"]


def test_bandwidth_is_positive(code, monkeypatch):
    monkeypatch.setattr(code, "COPIED", 1 << 16)
    assert code.bandwidth(CPU) > 0
