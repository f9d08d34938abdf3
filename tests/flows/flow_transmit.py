"""The flows of `byway.sim.flows.transmit` between other people's models."""

from bench_adapter import cocotb_tests

from byway.sim.flows import transmit

globals().update(cocotb_tests(transmit, __name__))
