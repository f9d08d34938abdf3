"""What stands around the adapter in a simulation: memory, register master, wire."""
