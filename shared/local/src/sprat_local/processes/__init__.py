"""Child processes: started, supervised, and stopped with their parent."""
