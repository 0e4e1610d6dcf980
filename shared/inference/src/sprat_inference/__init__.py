"""Run small models on CTranslate2: artefacts, cards, tokenisation, encoders, and the services around them.

Importing this package pins the thread pools of numpy, CTranslate2 and tokenizers and chooses the processor's
instructions before they are loaded.
"""

from sprat_inference.processor import PINNED_IN_TIME, PINS, choose_instruction_set, pin_threads

__all__ = ["PINNED_IN_TIME", "PINS", "choose_instruction_set", "pin_threads"]
