"""What a model would do on texts whose answers are known: accuracy, cost, and the share that is escalated.

Importing it first pins numpy to one thread, as a training does: a pool of numpy's would double the CPU.
"""

import sprat.models  # noqa: F401 - it pins them, as long as numpy has not been loaded
