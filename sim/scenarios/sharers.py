"""Two hosted partitions and their hosting partition, each of which can be started by itself."""

import hashlib
import random

from byway.sim.scenarios.error import ScenarioError
from byway.sim.scenarios.machine import PARTITION_BYTES
from byway.sim.scenarios.traffic import Traffic
from byway.sim.scenarios.transfer import Transfer
from byway.sim.scenarios.watched_hardware import WatchedHardware
from byway.sim.wire.link_partner import LinkPartner
from byway.sw.hosted.hosted_driver import HostedDriver
from byway.sw.hosting.adapter_driver import AdapterDriver
from byway.sw.hosting.hosting_interface import HostingInterface
from byway.sw.hosting.owner_device import OwnerDevice
from byway.sw.manager.connection import VirtualConnection
from byway.sw.manager.manager import PartitionManager
from byway.sw.manager.partition import Partition
from byway.sw.stack.tcp import MAXIMUM_MSS

__all__ = ["SHARERS", "Sharers", "station"]

#: Hosted partitions.
SHARERS = 2


def station(number: int) -> bytes:
    """Station address of the owner's device, 0, or of a hosted partition's, from 1."""
    return bytes((2, 0, 0, 0, 7, number))


class Sharers:
    """A machine whose partitions all run when it is made.

    Parameters
    ----------
    hardware : WatchedHardware
        Around an adapter for so many hosted partitions as there are `SHARERS`.
    rng : random.Random
        Makes what is sent.

    Attributes
    ----------
    manager : PartitionManager
    hosting, owner, driver
        The hosting partition, its own device, and the adapter's driver in it.
    hosted, devices, connections : list
        The hosted partitions, their devices, and their virtual adapters.
    intact : bool
        All that was sent over TCP has arrived as it was.
    """

    def __init__(self, hardware: WatchedHardware, rng: random.Random):
        self.hardware = hardware
        self.rng = rng
        self.intact = True
        self.manager = PartitionManager(hardware, on_hcall=self.called)
        self.hosting = self.manager.create_partition("hosting", PARTITION_BYTES)
        self.hosted = [
            self.manager.create_partition(f"hosted{1 + number}", PARTITION_BYTES)
            for number in range(SHARERS)
        ]
        self.connections: list[VirtualConnection] = []
        self.devices: list[HostedDriver] = []
        self._transfers = 0
        self.start_hosting()
        for number in range(SHARERS):
            self.connect(number)
            self.start_hosted(number)

    def called(self, caller: Partition, *what: object) -> None:
        """A partition has made an hcall."""

    def software(self) -> bool:
        """Let all software act until it has nothing to do; returns whether it did anything."""
        return self.manager.dispatch()

    def start_hosting(self) -> None:
        """Give the adapter to the hosting partition, and start its drivers."""
        self.driver = AdapterDriver(self.manager.assign_adapter(self.hosting))
        self.interface = HostingInterface(self.driver)
        self.owner = OwnerDevice(self.driver, station(0))

    def connect(self, number: int) -> None:
        """Give a hosted partition a virtual adapter, served by the hosting partition."""
        connection = self.manager.connect_vnic(self.hosted[number], self.hosting)
        self.connections[number : number + 1] = [connection]
        self.serve(number)

    def serve(self, number: int) -> None:
        """Serve the virtual adapter that a hosted partition has."""
        self.interface.serve(self.connections[number].server, station(1 + number))

    def start_hosted(self, number: int) -> None:
        """Start the driver of a hosted partition."""
        device = HostedDriver(self.connections[number].client, station(1 + number))
        self.devices[number : number + 1] = [device]
        device.start()
        self.manager.dispatch()
        if not device.link_up:
            raise ScenarioError(f"partition hosted{1 + number} has no network: {device.failure}")

    def send(self, *numbers: int, length: int) -> list[Transfer]:
        """Let hosted partitions send so many random bytes each, at once, until all has arrived."""
        sent = [self._transfer(number, length) for number in numbers]
        transfers = [transfer for transfer, _partner, _data in sent]
        Traffic(self.hardware, transfers, software=self.software, deliver=self.driver.receive).run()
        for _transfer, partner, data in sent:
            self.intact &= partner.digest.digest() == hashlib.sha256(data).digest()
            self.intact &= not partner.counts.bad
        return transfers

    def _transfer(self, number: int, length: int) -> tuple[Transfer, LinkPartner, bytes]:
        self._transfers += 1
        data = self.rng.randbytes(length)
        place = self._transfers
        partner = LinkPartner(f"02:00:00:00:02:{place:02x}", f"10.0.1.{place}")
        transfer = Transfer(
            self.hardware,
            memory=self.hosted[number].memory,
            device=self.devices[number],
            partner=partner,
            doorbells=self.hardware.doorbells,
            address=f"10.0.0.{place}",
            mss=MAXIMUM_MSS,
            data=data,
        )
        return transfer, partner, data
