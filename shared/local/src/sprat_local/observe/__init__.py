"""What observes an installation: Prometheus, Alertmanager, VictoriaMetrics, VictoriaLogs, Jaeger, a collector."""
