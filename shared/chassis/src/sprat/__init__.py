"""The chassis of Sprat: what every service needs to run on Kafka, and nothing else.

Read in this order; each folder imports only those above it in this list:

1. `base`: errors, settings, keys, retries, and the protocol of a model: what all other modules use.
2. `telemetry`: signals, spans, logs, and the server of health and metrics.
3. `kafka`: consume, publish, sign, commit.
4. `registry`: which model serves which texts.
5. `processing`: from a record to acknowledged results and a committed offset; the cache of answers.
6. `context`: what a service gets from the chassis.
7. `runtime`: the life of a service's process.

`audit`, beside `registry`, is the signed log of what left the house.
"""
