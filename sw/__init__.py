"""The software that programs the adapter: partition manager, drivers, protocol stack."""
