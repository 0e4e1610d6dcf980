"""`sprat train`."""

import sprat_inference  # noqa: F401 - pins the thread pools before numpy is loaded
