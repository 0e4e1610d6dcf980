"""Child processes: started, supervised, stopped with their parent."""
