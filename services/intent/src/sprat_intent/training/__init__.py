"""From an owner's own labels to a model that is served. Nothing here is used while serving."""
