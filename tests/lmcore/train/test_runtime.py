import os
import subprocess
import sys
from pathlib import Path

import pytest

from lmcore import runtime


def test_a_plain_choice_stays():
    assert runtime.resolve_device("cuda") == "cuda"
    assert runtime.resolve_precision("bf16", "cpu") == "bf16"
    assert runtime.resolve_precision("fp32", "cuda") == "fp32"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("flags\t\t: fpu avx2 avx512_bf16", "bf16"),
        ("flags : amx_bf16", "bf16"),
        ("flags : avx2", "fp32"),
        ("", "fp32"),
    ],
)
def test_bf16_needs_a_cpu_that_multiplies_it(
    line: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "cpuinfo").write_text(f"processor : 0\n{line}\n")
    flags = runtime.cpu_flags(tmp_path / "cpuinfo")
    monkeypatch.setattr(runtime, "cpu_flags", lambda: flags)
    assert runtime.resolve_precision("auto", "cpu") == expected
    assert runtime.resolve_precision("auto", "cuda") == "bf16"


def test_a_system_without_cpuinfo_has_no_flags(tmp_path: Path):
    assert runtime.cpu_flags(tmp_path / "missing") == frozenset()


def test_a_hidden_gpu_is_not_taken(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert runtime.resolve_device("auto") == "cpu"


def test_limits_on_threads_reach_torch():
    code = (
        "from lmcore import runtime; runtime.limit_threads(1); import os, torch; "
        "assert torch.get_num_threads() == 1 and os.environ['OMP_WAIT_POLICY'] == 'PASSIVE'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "OMP_NUM_THREADS": "2"})


def test_the_kind_of_cpu_names_its_architecture():
    assert runtime.cpu_kind().startswith(os.uname().machine)
