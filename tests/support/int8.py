"""What this machine can do in int8."""

from sprat_inference.instruction_set import processor_flags

HAS_VNNI = not processor_flags().isdisjoint({"avx512_vnni", "avx_vnni"})
"""Whether the processor has instructions for int8."""

INT8_AGREES = 0.9 if HAS_VNNI else 0.2
"""The share of texts with the same label as in float32, for tiny random networks. Their logits lie close together, and
without VNNI a processor adds products of eight bits in sixteen, which overflow at weights as large as theirs."""
