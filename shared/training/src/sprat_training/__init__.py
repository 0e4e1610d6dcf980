"""From labelled texts to a model that can be served, and how good it is.

In reading order:

* `config`: what the user asks for
* `datasets`: labelled texts from files
* `data`: what is fitted, and what was found in the files
* `encoding`: texts to vectors
* `regression`, `fitting`: vectors to a calibrated head, by cross-validation
* `figures`, `label_issues`: how good it is, and which labels are doubted
* `verdict`: is it good enough, why not, and what to do next
* `model_card`: the card, and writing the artefact
* `train`: the whole training in one function
* `report`, `html_report`: what a user reads of it
* `evaluation`: metrics of any intent model, and routing between a small model and a frontier model
"""

import sprat_inference  # noqa: F401 - pins the thread pools before numpy is loaded
