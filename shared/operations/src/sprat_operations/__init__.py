"""What the command line works out, for any front end. Nothing is printed here.

* `connection`, `installation`, `chosen_policy`, `local_run`: which Kafka, installation, policy and secret are meant
* `doctor`: what is reachable, what is missing, how to fix it
* `topics`, `rights`, `acls`, `erase`, `gateway_stores`, `local_cache`: what an operator sets up and removes
* `lag`, `group_lag`, `traffic`, `board`: how far groups are behind, and what an installation handles
* `result_stream`, `topic_reader`, `trace`, `record_summary`: records, read and told
* `dead_letters`, `dead_letter_selection`, `replay`: what could not be handled, and sending it again
* `feedback`, `corrections`, `correction_table`: the right answers of people, until a model is trained with them
* `models`, `named_models`, `goals`: what is announced and served, and what is kept of its answers
* `egress`, `audit_verification`, `audit_proof`: what was sent to providers, and whether the record of it is whole
"""
