"""The flows of `byway.sim.flows.switches` between other people's models."""

from bench_adapter import cocotb_tests

from byway.sim.flows import switches

globals().update(cocotb_tests(switches, __name__))
