"""The benchmark: throughput, CPU, latency by rate, memory."""
