"""What this machine can do in int8."""

import pytest

from sprat_inference.processor import processor_flags


def needs_vnni() -> None:
    """Skip the rest of a test, and say so, where the processor has no instructions for int8.

    Without them CTranslate2 and ONNX Runtime add products of eight bits in sixteen, which overflow: labels differ from
    those of float32, and all takes longer. The bounds of the tests hold for processors that have them.
    """
    if processor_flags().isdisjoint({"avx512_vnni", "avx_vnni"}):
        pytest.skip("int8 is judged on a processor with VNNI alone")
