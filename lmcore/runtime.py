"""What this machine can do, found out without importing torch, so that a plan may ask."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

Precision = Literal["bf16", "fp32"]
Device = Literal["cpu", "cuda"]

FAST_BFLOAT16 = {"avx512_bf16", "amx_bf16"}
"""CPU flags with which bfloat16 products beat float32; without them they lose."""

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def resolve_device(choice: Literal["auto", "cpu", "cuda"] = "auto") -> Device:
    """`cuda` where a GPU and a torch that can use it are there, else `cpu`; a plain choice stays as it is."""
    if choice != "auto":
        return choice
    return "cuda" if _has_gpu() and _torch_knows_cuda() else "cpu"


def resolve_precision(choice: Literal["auto", "bf16", "fp32"] = "auto", device: Device = "cpu") -> Precision:
    """`bf16` on a GPU and on CPUs that multiply it in hardware, else `fp32`; a plain choice stays."""
    if choice != "auto":
        return choice
    return "bf16" if device == "cuda" or FAST_BFLOAT16 & cpu_flags() else "fp32"


def cpu_kind() -> str:
    """The part of this CPU on which floating-point bits depend, such as `x86_64-avx512_bf16`."""
    flags = cpu_flags()
    widest = next((flag for flag in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if flag in flags), "")
    return "-".join(filter(None, (platform.machine(), widest)))


@cache
def cpu_flags(path: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """The instruction-set flags that Linux lists; empty on another system."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    for line in text.splitlines():
        name, _, flags = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(flags.split())
    return frozenset()


def usable_cores() -> int:
    """The number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def limit_threads(number: int) -> None:
    """Tell OpenMP and MKL, before torch is imported, how many threads to use and to sleep while they wait.

    Spinning threads (the default) starve when another process is busy: beside one, the same training step
    ran nine times slower. The setting changes no bits.
    """
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(number)
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


def die_with_parent(by: int = signal.SIGKILL) -> None:
    """Run in a child before its work starts: the kernel ends it when its parent is gone (Linux)."""
    if _libc:
        _libc.prctl(_PR_SET_PDEATHSIG, by)


def _has_gpu() -> bool:
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    return hidden not in ("", "-1") and Path("/dev/nvidiactl").exists()


def _torch_knows_cuda() -> bool:
    try:
        return not version("torch").endswith("+cpu")
    except PackageNotFoundError:
        return False
