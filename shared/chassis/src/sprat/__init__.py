"""The chassis of Sprat: what every service needs to run on Kafka, and nothing else.

Read in this order:

1. `errors`, `settings`, `keys`, `retry`, `lifecycle`: what all other modules use.
2. `kafka`: consume, publish, commit.
3. `registry`: which model serves which texts.
4. `processing`: from a record to acknowledged results and a committed offset.
5. `context`: what a service gets from the chassis.
6. `runtime`: the life of a service's process.

Beside these: `channels` and `model` (what a service declares and what it asks a model), `cache`, `health`, `telemetry`,
and `plugins`, by which tools find services.
"""
