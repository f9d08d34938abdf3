"""The whole machine: the partition manager, both drivers and the protocol stack send over TCP.

The software is Byway's own and runs as in ``byway send``; memory, register bus and wire are other
people's, with stalls. Patent, FIG. 6 and FIG. 7: methods 600 and 700.
"""

import hashlib
from pathlib import Path

from bench_adapter import FlowBench, flow
from bench_engine import FlowEngine

from byway.sim.flows.frames import rightly_summed
from byway.sim.scenarios.machine import Host, Machine
from byway.sim.scenarios.traffic import Traffic
from byway.sim.scenarios.transfer import Transfer
from byway.sim.wire.capture import Capture
from byway.sim.wire.link_partner import LinkPartner
from byway.sw.contract.registers import ADAPTER_PAGE, MANAGER_PAGE, AdapterPage, ManagerPage
from byway.sw.stack.tcp import MAXIMUM_MSS

_HOSTED = "10.0.0.1"
_OWNER = "10.0.0.3"
_MTU = 1500


def _send(engine: FlowEngine, machine: Machine, host: Host, address: str, data: bytes) -> None:
    """Send `data` from `host` to a partner that must have all of it, and nothing broken."""
    partner = LinkPartner(mtu=_MTU)
    with Capture(Path(f"{address}.pcapng")) as capture:
        transfer = Transfer(
            engine,
            memory=host.memory,
            device=host.device,
            partner=partner,
            doorbells=machine.doorbells,
            address=address,
            mss=MAXIMUM_MSS,
            data=data,
        )
        Traffic(
            engine,
            [transfer],
            software=machine.software,
            deliver=machine.deliver,
            capture=capture,
        ).run()
    assert partner.digest.hexdigest() == hashlib.sha256(data).hexdigest()
    assert partner.counts.bad == 0
    assert transfer.figures.super_frames > 0
    assert transfer.figures.retransmissions == 0
    assert transfer.ip.touched.copied == 0


def _check(bench: FlowBench, machine: Machine) -> None:
    for number, frame in enumerate(bench.frames):
        assert rightly_summed(frame.data) == frame.data, f"frame {number}: checksum"
    assert machine.counts().transmit_bytes == 0
    adapter = AdapterPage(bench.registers, ADAPTER_PAGE)
    assert adapter.frames.read().count == len(bench.frames)
    assert adapter.dropped.read().count == 0
    assert ManagerPage(bench.registers, MANAGER_PAGE).faults.read().count == 0


@flow(stall=0.1, longest_latency=20)
def hosted_and_owner_send_over_tcp(bench: FlowBench) -> None:
    """One after the other, each from its own memory, with every channel stalling."""
    engine = FlowEngine(bench)
    machine = Machine(engine, mtu=_MTU)
    _send(engine, machine, machine.hosted[0], _HOSTED, bench.rng.randbytes(40_321))
    _send(engine, machine, machine.owner, _OWNER, bench.rng.randbytes(14_321))
    _check(bench, machine)
