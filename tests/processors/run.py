"""Runs the tests of layers, models, optimization and training as other processors would.

    make test-processors
    python tests/processors/run.py --only "without oneDNN" tests/layers/test_convolution.py

TensorFlow chooses its kernels by the processor's instruction sets. If the machine allows it (Linux
on Intel, with a C compiler), the script hides instruction sets from the whole process, which then
runs as on a processor without them. Otherwise it limits oneDNN by ONEDNN_MAX_CPU_ISA, unless
TensorFlow cannot run with that. With oneDNN off, TensorFlow runs as on a CPU without VNNI.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[2]
TESTS = ["tests/layers", "tests/models", "tests/optimization", "tests/training"]

# name: hidden instruction sets, environment variables.
PROCESSORS: dict[str, tuple[str, dict[str, str]]] = {
    "the machine's own": ("", {}),
    "without oneDNN": ("", {"TF_ENABLE_ONEDNN_OPTS": "0"}),
    "AVX-512, VNNI and BF16": ("amx fp16", {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}),
    "AVX-512 and VNNI": ("amx fp16 bf16", {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI"}),
    "AVX-512, oneDNN on": (
        "amx fp16 bf16 vnni",
        {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "TF_ENABLE_ONEDNN_OPTS": "1"},
    ),
    "AVX2, oneDNN on": ("amx fp16 bf16 vnni avx512", {"TF_ENABLE_ONEDNN_OPTS": "1"}),
    "AVX2": ("amx fp16 bf16 vnni avx512", {"TF_ENABLE_ONEDNN_OPTS": "0"}),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--only", action="append", choices=PROCESSORS, help="run as on this one (repeatable)"
    )
    parser.add_argument(
        "tests", nargs="*", default=TESTS, help="files for pytest; options after --"
    )
    arguments = parser.parse_args()
    flags = processor_flags()
    print("processor:", processor_name(), "with", " ".join(sorted(flags & NOTED)) or "none noted")
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        library = hiding_library(pathlib.Path(folder))
        for name in arguments.only or PROCESSORS:
            print(f"\n== {name}", flush=True)
            environment = environment_of(name, flags, library)
            if environment is None:
                print(
                    "skipped: this machine cannot hide instruction sets, and TensorFlow would call"
                )
                print("float16 kernels that a limited oneDNN does not have")
                continue
            command = [sys.executable, "-m", "pytest", "-p", "no:faulthandler"]
            command += [*in_parallel(arguments.tests), *arguments.tests]
            if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode:
                failed.append(name)
    print("\nfailed:", ", ".join(failed) or "none")
    return 1 if failed else 0


# Flags of /proc/cpuinfo that decide which kernels TensorFlow chooses.
NOTED = {
    *("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "avx_vnni"),
    *("amx_bf16", "amx_int8"),
}


def processor_flags() -> set[str]:
    return set(field_of_cpuinfo("flags").split())


def processor_name() -> str:
    return field_of_cpuinfo("model name") or platform.processor() or platform.machine()


def field_of_cpuinfo(field: str) -> str:
    path = pathlib.Path("/proc/cpuinfo")
    text = path.read_text() if path.exists() else ""
    found = re.search(rf"^{field}\s*: (.*)$", text, re.MULTILINE)
    return found.group(1) if found else ""


def environment_of(
    name: str, flags: set[str], library: pathlib.Path | None
) -> dict[str, str] | None:
    """Returns environment variables that emulate a processor, or None if this machine cannot."""
    hidden, variables = PROCESSORS[name]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **variables}
    if not hidden:
        return environment
    if library is not None:
        return {**environment, "LD_PRELOAD": str(library), "HIDE_INSTRUCTIONS": hidden}
    if "ONEDNN_MAX_CPU_ISA" not in variables or "avx512_fp16" in flags:
        return None
    return environment


def hiding_library(folder: pathlib.Path) -> pathlib.Path | None:
    """Builds the library that hides instructions; None without a compiler or CPUID faulting."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or "cpuid_fault" not in processor_flags():
        return None
    library = folder / "hide_instructions.so"
    source = pathlib.Path(__file__).with_name("hide_instructions.c")
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", source, "-o", library, "-ldl"], check=True)
    return library


def in_parallel(tests: list[str]) -> list[str]:
    if len(tests) == 1 and (ROOT / tests[0]).is_file():
        return []  # a second process would only import TensorFlow
    return "--numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder".split()


if __name__ == "__main__":
    sys.exit(main())
