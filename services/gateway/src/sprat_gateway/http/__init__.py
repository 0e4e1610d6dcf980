"""How a request is let in, limited and refused."""
