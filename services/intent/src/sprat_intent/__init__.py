"""The intent service: assigns one of the labels of its model to a text, or none."""
