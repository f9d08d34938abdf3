"""Live traffic: real kernels at both ends of the simulated adapter."""
