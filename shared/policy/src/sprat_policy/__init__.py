"""The policy file: which answers are kept, and what may leave the perimeter."""
