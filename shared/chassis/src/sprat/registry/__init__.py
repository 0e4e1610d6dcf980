"""Which model serves which texts, by the compacted topic of announcements.

Read `model_table` (what the records of that topic add up to), `retirement` (how a model is withdrawn, and the protocol
of it), `announcements` (reading and writing the topic).
"""
