"""Where Results stand for those who ask later: the page's store, or sealed in Redis."""
