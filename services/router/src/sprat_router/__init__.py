"""The router: validates texts, keeps or escalates answers, writes the results."""
