"""Choose the processor's instructions that CTranslate2 uses; importing this module does it.

CTranslate2 stops at AVX2 by itself, because early processors with AVX-512 ran slower while they used it. Those with
VNNI do not: the default intent model took 7 % less CPU (AMD EPYC with both, 60 pairs of 96 texts of CLINC150), and was
right on as many of its 4,500 texts (4,302). Rounding differs: 3 of the 4,500 labels, 4 % of the confidences by more
than 0.01.

CTranslate2 reads the variable when it first computes. One that the operator has set stays as it is: `AVX2` switches
this off.
"""

import os
from collections.abc import Collection, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Final

VARIABLE: Final = "CT2_FORCE_CPU_ISA"
AVX512: Final = "AVX512"
NEEDED: Final = frozenset({"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"})
"""Of the flags of a processor: those without which CTranslate2 refuses, and VNNI."""

_CPU_INFO = Path("/proc/cpuinfo")


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


choose_instruction_set(os.environ, processor_flags())
