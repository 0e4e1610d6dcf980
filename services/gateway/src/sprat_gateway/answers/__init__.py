"""Where Results stand for those who ask later."""
