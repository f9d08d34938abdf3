"""The translation bridge: window, walker, IOTLB, faults."""
