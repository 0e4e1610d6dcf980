"""From an owner's labels to a model that can be served: datasets, fitting, calibration, evaluation, reports."""

import sprat_inference  # noqa: F401 - pins the thread pools before numpy is loaded
