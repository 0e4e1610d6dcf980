"""The router: judges texts, keeps or escalates answers, writes the results."""
