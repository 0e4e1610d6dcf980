"""The HTTP front door: texts in, Results out, and the page; everything goes through the topics."""
