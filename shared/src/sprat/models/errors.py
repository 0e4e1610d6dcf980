"""What can go wrong with a model, as branches of the chassis' tree of errors.

* SpratError
  + Fatal
    x BrokenArtefact   the folder cannot be served; raised while loading
  + ModelError        a batch could not be answered; the chassis looks for the text that causes it
"""

from sprat.errors import Fatal, SpratError


class BrokenArtefact(Fatal):
    """The folder is not what its card says, or cannot compute. The message says what, where, and what to do."""


class ModelError(SpratError):
    """The model raised, or computed nonsense, on a batch. The message holds no text."""
