"""Flows: what software does with the adapter and what must follow, the same on every bench.

A flow knows a `byway.sim.flows.flow.Bench` alone. It runs on every engine, whose outcomes are
compared cycle for cycle, and between other people's models in ``tests/flows``.
"""
