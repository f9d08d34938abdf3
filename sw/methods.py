"""The methods of the patent that configure the machine, step by step."""

from collections.abc import Sequence
from dataclasses import dataclass

from byway.sw.hosted.hosted_driver import HostedDriver
from byway.sw.hosted.set_up import Wishes
from byway.sw.hosting.adapter_driver import AdapterDriver
from byway.sw.hosting.hosting_interface import HostingInterface
from byway.sw.manager.manager import PartitionManager
from byway.sw.manager.partition import Partition

__all__ = ["SharedAdapter", "method_600", "station_address"]

_LOCALLY_ADMINISTERED = 0x02


@dataclass(frozen=True)
class SharedAdapter:
    """An adapter that partitions share.

    Parameters
    ----------
    driver : AdapterDriver
        The I/O adapter hosting device driver (560); its `capabilities` are those of step 630.
    interface : HostingInterface
        The I/O hosting interface (550).
    devices : list of HostedDriver
        The virtual hosted device driver (540) of each hosted partition, in the order given.
    """

    driver: AdapterDriver
    interface: HostingInterface
    devices: list[HostedDriver]


def station_address(partition: Partition) -> bytes:
    """Return the station address of a partition: locally administered, its number at the end."""
    return bytes((_LOCALLY_ADMINISTERED,)) + partition.number.to_bytes(5, "big")


def method_600(
    manager: PartitionManager,
    hosting: Partition,
    hosted: Sequence[Partition],
    *,
    wishes: Wishes | None = None,
) -> SharedAdapter:
    """Configure partitions to share the adapter (patent, FIG. 6).

    Parameters
    ----------
    manager : PartitionManager
        The partition manager.
    hosting : Partition
        The partition that shall own the adapter.
    hosted : sequence of Partition
        The partitions that shall share it.
    wishes : Wishes
        What each hosted partition asks for.

    Raises
    ------
    RuntimeError
        A hosted partition cannot be served; the text says why.
    """
    # Step 210: assign the I/O adapter to the hosting partition.
    assignment = manager.assign_adapter(hosting)

    # Step 620: set the I/O hosting interface up on the hosting partition.
    driver = AdapterDriver(assignment)
    interface = HostingInterface(driver)

    # Step 630: the adapter driver was queried for the adapter's capabilities when it was made, and
    # answers each hosted partition's queries with them.
    devices = []
    for partition in hosted:
        connection = manager.connect_vnic(partition, hosting)
        mac = station_address(partition)
        interface.serve(connection.server, mac)

        # Step 640: install the virtual hosted device driver, with capabilities by that query.
        device = HostedDriver(connection.client, mac, wishes)
        device.start()
        manager.dispatch()
        if not device.link_up:
            raise RuntimeError(f"partition {partition.name} has no network: {device.failure}")
        devices.append(device)
    return SharedAdapter(driver, interface, devices)
