"""Pin the thread pools of numpy, CTranslate2 and tokenizers to one thread each; importing this module does it.

By default each of the three pools starts as many threads as there are cores. That doubles the CPU time without a
faster answer. Parallelism has one switch: `threads` of :class:`~sprat_inference.encoder.TokenEncoder`.

OpenBLAS reads its setting when numpy is loaded, so the pins must be set before. `sprat_inference` therefore imports
this module first. Variables that the operator has set stay as they are.
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
"""Environment variable → value; each is read by one of the libraries."""


def pin_threads(environment: MutableMapping[str, str]) -> dict[str, str]:
    """Set each of :data:`PINS` that `environment` lacks, and return those that were set."""
    missing = {name: value for name, value in PINS.items() if name not in environment}
    environment.update(missing)
    return missing


PINNED_IN_TIME = "numpy" not in sys.modules
"""False when numpy was loaded before: its pool then has the size that the environment gave at that moment."""

pin_threads(os.environ)  # the libraries read the environment and offer no other switch
