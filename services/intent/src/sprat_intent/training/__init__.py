"""From an owner's own labels to a model that is served. Nothing here is used while serving.

Importing it first pins numpy to one thread: heads are fitted side by side, and a pool of numpy's for each of them would
have the threads wait for each other. They would need twice the CPU.
"""

import sprat.models  # noqa: F401 - it pins them, as long as numpy has not been loaded
