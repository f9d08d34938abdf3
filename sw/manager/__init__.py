"""The partition manager: partitions, memory, hcalls, CRQs, TCE and RTCE tables."""
