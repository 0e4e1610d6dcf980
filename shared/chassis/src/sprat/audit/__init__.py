"""What makes the audit of egress a proof: keys, signatures, chains of records, checkpoints at a second place."""
