"""One thread each for the pools that numpy, CTranslate2 and tokenizers would start: importing this pins them.

Their defaults start as many threads as there are cores, in each of three pools, and double the CPU used without
answering sooner. Parallelism is asked for in one place only: `threads` of :class:`~sprat.models.encoder.Encoder`.

OpenBLAS reads its setting when numpy is loaded, so the pin has to come first; `sprat.models` imports this module before
any other for that reason. What the operator has set already stays as it is.
"""

import os
import sys
from collections.abc import MutableMapping

PINS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
"""Environment variable → value, each read by one of the libraries."""


def pin_threads(environment: MutableMapping[str, str]) -> dict[str, str]:
    """Set each of :data:`PINS` that `environment` lacks, and return those that were set."""
    missing = {name: value for name, value in PINS.items() if name not in environment}
    environment.update(missing)
    return missing


PINNED_IN_TIME = "numpy" not in sys.modules
"""False when numpy was loaded first: its pool then has the size that the environment gave at that moment."""

pin_threads(os.environ)  # the libraries read the environment and offer no other switch
