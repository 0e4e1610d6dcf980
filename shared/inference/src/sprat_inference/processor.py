"""How the libraries use the processor: one thread each, and its widest instructions. Importing this module sets both.

By default numpy, CTranslate2 and tokenizers start as many threads each as there are cores. That doubles the CPU time
without a faster answer. Parallelism has one switch: `threads` of :class:`~sprat_inference.encoder.TokenEncoder`.

CTranslate2 stops at AVX2 by itself, because early processors with AVX-512 ran slower while they used it. Those with
VNNI do not: the default intent model took 7 % less CPU (AMD EPYC with both, 60 pairs of 96 texts of CLINC150), and was
right on as many of its 4,500 texts (4,302). Rounding differs: 3 of the 4,500 labels, 4 % of the confidences by more
than 0.01.

OpenBLAS reads its setting when numpy is loaded, and CTranslate2 when it first computes. `sprat_inference` therefore
imports this module first. Variables that the operator has set stay as they are: `AVX2` switches AVX-512 off.
"""

import os
import sys
from collections.abc import Collection, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Final

PINS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
"""Environment variable → value; each is read by one of the libraries."""
VARIABLE: Final = "CT2_FORCE_CPU_ISA"
AVX512: Final = "AVX512"
NEEDED: Final = frozenset({"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"})
"""Of the flags of a processor: those without which CTranslate2 refuses, and VNNI."""

_CPU_INFO = Path("/proc/cpuinfo")


def pin_threads(environment: MutableMapping[str, str]) -> dict[str, str]:
    """Set each of :data:`PINS` that `environment` lacks, and return those that were set."""
    missing = {name: value for name, value in PINS.items() if name not in environment}
    environment.update(missing)
    return missing


def processor_flags(cpu_info: Path = _CPU_INFO) -> frozenset[str]:
    """Return the flags of the first processor, as Linux names them; none on another system."""
    with suppress(OSError), cpu_info.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip() == "flags":
                return frozenset(value.split())
    return frozenset()


def choose_instruction_set(environment: MutableMapping[str, str], flags: Collection[str]) -> None:
    """Set `VARIABLE` to AVX-512 where the processor has all that it needs and `environment` names nothing else."""
    if frozenset(flags) >= NEEDED:
        environment.setdefault(VARIABLE, AVX512)


def instruction_set() -> str:
    """Return what CTranslate2 is told to use, for the log."""
    return os.environ.get(VARIABLE, "chosen by CTranslate2")


PINNED_IN_TIME = "numpy" not in sys.modules
"""False when numpy was loaded before: its pool then has the size that the environment gave at that moment."""

# The libraries read the environment and offer no other switch.
pin_threads(os.environ)
choose_instruction_set(os.environ, processor_flags())
