"""The log: Kafka clients behind the ports `EventLog` and `Tail`, topic creation, lag, and doubles in memory."""
