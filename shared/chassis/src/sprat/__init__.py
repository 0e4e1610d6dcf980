"""The chassis of Sprat: what every service needs to run on Kafka, and nothing else."""
