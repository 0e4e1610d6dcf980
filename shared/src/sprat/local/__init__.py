"""The local infrastructure: a real Apache Kafka and a Redis as child processes, with no Docker, Java install or root.

Everything here listens on 127.0.0.1 alone and dies with the process that started it.
"""
