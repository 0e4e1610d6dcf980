"""How well int8 agrees with float32 on this machine, for the tiny random networks of the tests."""

from sprat_inference.instruction_set import processor_flags

_VNNI = {"avx512_vnni", "avx_vnni"}

INT8_AGREES = 0.9 if _VNNI & processor_flags() else 0.2
"""The share of texts with the same label. The logits of random networks lie close together, and without VNNI a
processor adds products of eight bits in sixteen, which overflow at weights as large as theirs."""
