"""The commands: a module or a folder each. None imports another; what several need stands beside this folder."""
