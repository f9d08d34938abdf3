"""The flows of `byway.sim.flows.refusals` between other people's models."""

from bench_adapter import cocotb_tests

from byway.sim.flows import refusals

globals().update(cocotb_tests(refusals, __name__))
