"""Child processes: started, followed, kept to their ports and folders, gone with their parent."""
