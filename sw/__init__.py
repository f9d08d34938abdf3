"""The software that programs the adapter: partition manager, partitions, drivers, protocol stack."""
