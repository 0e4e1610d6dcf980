"""What a model would do on texts whose answers are known: accuracy, cost, and the share that is escalated."""
