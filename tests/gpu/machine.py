"""What the machine is and what its GPU can do at best, by the driver alone."""

from __future__ import annotations

import ctypes
import importlib
import shutil
import subprocess
import time
from typing import Any, Callable, Dict, List

COPY_BYTES = 4 << 30
PRODUCT = 8192


def named() -> Dict[str, Any]:
    """Name, driver, memory and clocks, where nvidia-smi is there to tell."""
    keys = ("gpu", "driver", "memory_mib", "sm_mhz", "memory_mhz")
    if not shutil.which("nvidia-smi"):
        return {}
    asked = "name,driver_version,memory.total,clocks.max.sm,clocks.max.mem"
    done = subprocess.run(["nvidia-smi", f"--query-gpu={asked}", "--format=csv,noheader,nounits"],
                          capture_output=True, text=True, check=False, timeout=60)
    lines = done.stdout.strip().splitlines()
    return dict(zip(keys, (v.strip() for v in lines[0].split(",")))) if lines else {}


def median_s(once: Callable[[], None], n: int = 7) -> float:
    times = []
    for _ in range(n):
        started = time.perf_counter()
        once()
        times.append(time.perf_counter() - started)
    return sorted(times)[n // 2]


def copy_gb_s() -> float:
    """Bytes read and written a second of a large copy on the device; 0 where there is no driver."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    context, buffers = ctypes.c_void_p(), [ctypes.c_uint64(), ctypes.c_uint64()]
    size = ctypes.c_size_t(COPY_BYTES)

    def check(status: int) -> None:
        if status:
            raise RuntimeError(f"the driver says {status}")

    def copy() -> None:
        check(cuda.cuMemcpyDtoD_v2(buffers[0], buffers[1], size))
        check(cuda.cuCtxSynchronize())

    check(cuda.cuInit(0))
    check(cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0))
    check(cuda.cuCtxSetCurrent(context))
    try:
        for i, b in enumerate(buffers):
            check(cuda.cuMemAlloc_v2(ctypes.byref(b), size))
            check(cuda.cuMemsetD32_v2(b, 0x3f801234 + i, ctypes.c_size_t(COPY_BYTES // 4)))
        copy()
        return 2 * COPY_BYTES / median_s(copy) / 1e9
    finally:
        for b in buffers:
            cuda.cuMemFree_v2(b)
        cuda.cuDevicePrimaryCtxRelease_v2(0)


def product_tflops() -> float:
    """A large bf16 product through PyTorch, where it is there; else 0."""
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return 0
    if not torch.cuda.is_available():
        return 0
    a, b = (torch.randn(PRODUCT, PRODUCT, device="cuda", dtype=torch.bfloat16) for _ in range(2))

    def ten() -> None:
        for _ in range(10):
            a @ b  # pylint: disable=pointless-statement
        torch.cuda.synchronize()

    ten()
    found = float(20 * PRODUCT**3 / median_s(ten, 3) / 1e12)
    del a, b
    torch.cuda.empty_cache()
    return found


def ceilings() -> Dict[str, Any]:
    """read_gb_s and product_tflops, measured now; what cannot be measured is not there."""
    measured: List[Any] = [("read_gb_s", copy_gb_s()), ("product_tflops", product_tflops())]
    return {name: round(value, 1) for name, value in measured if value}
