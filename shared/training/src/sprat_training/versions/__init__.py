"""Versions of a model in its folder: the card, and how one takes the place of another."""
