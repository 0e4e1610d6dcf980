"""Which model serves which texts: announcements, the model table, retirement."""
