"""The demo: the sample texts through the whole system, and the account of what came of them."""
