"""What Sprat does on one's own machine: texts a second, CPU, latency by rate, memory.

* `plan.py`, `rates.py`, `arrivals.py`: what is measured, and when each text is due
* `texts.py`, `messages.py`: what is published
* `bare.py`, `bare_run.py`: the model without a stream around it
* `open_loop.py`, `endings.py`, `bench.py`: publishing by the clock, reading the ends, both through an installation
* `installing.py`, `fresh_topics.py`: the installation that is measured, and deleting what it made elsewhere
* `latency.py`, `metering.py`, `machine.py`: what is measured of it
* `figures.py`, `report.py`, `picture.py`: what is told of it
* `session.py`: the whole run, from start to clean-up
"""
