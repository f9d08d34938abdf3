"""The machine of a scenario: partitions with marked memory, set up, and who judges them."""

from collections import Counter
from collections.abc import Callable

from byway.rtl.mac.wires import WIRES
from byway.rtl.transmit.transmit_path import id_width
from byway.sim.board.board import BoardParameters
from byway.sim.board.wire import GMII
from byway.sim.engines.engine import WatchingEngine
from byway.sim.fuzz.judge import Judge
from byway.sim.fuzz.names import Names
from byway.sim.fuzz.partition import FuzzedPartition
from byway.sim.fuzz.plan import Host, Plan
from byway.sim.fuzz.plant import Plant
from byway.sim.fuzz.watch import HcallWatch, RegisterWatch
from byway.sw.contract.registers import AdapterPage
from byway.sw.hardware import Hardware, PhysicalMemory, RegisterBus
from byway.sw.hosted.hosted_driver import HostedDriver
from byway.sw.hosted.set_up import Wishes
from byway.sw.hosting.adapter_driver import AdapterDriver
from byway.sw.hosting.hosting_interface import HostingInterface
from byway.sw.manager.adapter_sharing import AdapterAssignment
from byway.sw.manager.manager import PartitionManager
from byway.sw.manager.memory import PAGE_SIZE
from byway.sw.methods import station_address

__all__ = ["World", "board_of"]

_MEMORY_BYTES = 4 << 20
_HOSTING_PAGES, _HOSTED_PAGES = 160, 120
_HOSTING_BLOCK, _HOSTED_BLOCK = 16, 10
_CLIENT_WINDOW, _ADAPTER_WINDOW = 96, 160
_WISHES = Wishes(transmit_entries=64, receive_buffers=2)
#: Handlers of a hostile owner in a row after which its interrupts are taken to be a storm.
_STORM = 16
#: Reads that a handler of a hostile owner has; honest ones that wait may have many more.
_POLLS = 500


def board_of(plan: Plan) -> BoardParameters:
    """The board of a scenario."""
    return BoardParameters(memory_bytes=_MEMORY_BYTES, memory=plan.manner, watches_bus=True)


class _Hardware:
    """An engine as the software's hardware, with other registers."""

    def __init__(self, hardware: Hardware, registers: RegisterBus):
        self._hardware = hardware
        self.registers = registers
        self.memory: PhysicalMemory = hardware.memory

    @property
    def adapter_interrupt(self) -> bool:
        return self._hardware.adapter_interrupt

    @property
    def manager_interrupt(self) -> bool:
        return self._hardware.manager_interrupt

    @property
    def time_ns(self) -> int:
        return self._hardware.time_ns


class World:
    """A machine that `plan` describes, on `engine`, with all links up.

    Parameters
    ----------
    engine : WatchingEngine
        Just opened, on a board of `board_of`.
    plan : Plan
    plant : Plant

    Attributes
    ----------
    judge : Judge
    manager : PartitionManager
    hcalls : HcallWatch
    assignment : AdapterAssignment
    hosting : FuzzedPartition
    hosted : list of FuzzedPartition
    devices : list of HostedDriver
        Of the hosted partitions.
    names : Names
    crashes : Counter
        Exceptions of hostile software, by type.
    """

    def __init__(self, engine: WatchingEngine, plan: Plan, plant: Plant):
        self.engine = engine
        self.crashes: Counter[str] = Counter()
        self.judge = Judge(
            plant.grants,
            # One bit more than the adapter's own IDs.
            walker_id=1 << id_width(1 + plan.design.hosted, WIRES[GMII.name].outstanding),
            bus_bytes=plan.design.data_width // 8,
            one_owner=plan.host is not Host.HOSTILE,
        )
        planted = plant.hardware(engine)
        self._registers = RegisterWatch(planted.registers)
        self.manager = PartitionManager(_Hardware(planted, self._registers))
        self.hcalls = HcallWatch(
            lambda: engine.cycle,
            self.judge.grants.called,
            lambda cycle, text: self.judge.accuse(cycle, "hcall", text),
        )
        self.names = Names(pages=_CLIENT_WINDOW)
        self._calls_in_a_row = 0
        self.hosting = self.create("hosting", _HOSTING_PAGES, hostile=plan.host is Host.HOSTILE)
        self.hosted = [
            self.create(f"hosted{number}", _HOSTED_PAGES, hostile=hostile)
            for number, hostile in enumerate(plan.hostile, 1)
        ]
        self.assignment = self.assign(self.hosting)
        driver = AdapterDriver(self.assignment, ring_entries_log2=plan.ring_log2)
        self.interface = HostingInterface(driver)
        self.devices = [
            self._connect(client, allowed)
            for client, allowed in zip(self.hosted, plan.bucket, strict=True)
        ]
        self.hosting.claim(_HOSTING_BLOCK)
        for client in self.hosted:
            client.claim(_HOSTED_BLOCK)
        self._learn_names()

    def create(self, name: str, pages: int, *, hostile: bool) -> FuzzedPartition:
        """A partition that is looked at."""
        partition = self.manager.create_partition(name, pages * PAGE_SIZE)
        self.hcalls.look_at(partition)
        made = FuzzedPartition(partition, self.judge, hostile=hostile)
        handle = partition.on_interrupt

        def on_interrupt(source: int, handler: Callable[[], None] | None) -> None:
            handle(source, None if handler is None else lambda: self._run(made, handler))

        partition.on_interrupt = on_interrupt
        return made

    def assign(self, owner: FuzzedPartition) -> AdapterAssignment:
        """Give the adapter to `owner`, who may not be the first."""
        self.judge.judge_beats(self.engine.take_beats())
        self.judge.tables.clear()
        window = _ADAPTER_WINDOW * PAGE_SIZE
        assignment = self.manager.assign_adapter(owner.partition, window_bytes=window)
        self.judge.grants.add_adapter(assignment)
        for ring in range(len(assignment.liobn)):
            table = self._registers.table(ring)
            if table is not None:
                self.judge.tables.append((ring, table))
        return assignment

    def terminate(self, partition: FuzzedPartition) -> None:
        """Let a partition die."""
        begun = self.engine.cycle
        partition.alive = False
        self.manager.terminate(partition.partition)
        self.judge.grants.terminated(partition.name, begun, self.engine.cycle)

    def _connect(self, client: FuzzedPartition, bucket_allowed: bool) -> HostedDriver:
        connection = self.manager.connect_vnic(
            client.partition,
            self.hosting.partition,
            window_bytes=_CLIENT_WINDOW * PAGE_SIZE,
            bit_bucket_allowed=bucket_allowed,
        )
        client.connection = connection
        self.judge.grants.add_connection(connection)
        mac = station_address(client.partition)
        self.interface.serve(connection.server, mac)
        device = HostedDriver(connection.client, mac, _WISHES)
        device.start()
        self.manager.dispatch()
        if not device.link_up:
            text = f"{client.name} has no network: {device.failure}"
            self.judge.accuse(self.engine.cycle, "set-up", text)
        return device

    def _learn_names(self) -> None:
        names = self.names
        owner = self.hosting.name
        names.liobns += [(owner, liobn) for liobn in self.assignment.liobn]
        for client in self.hosted:
            assert client.connection is not None
            names.panes.append((owner, client.connection.server.r_liobn))
            for end in client.connection:
                names.units.append((end.owner.name, end.unit))
                names.liobns.append((end.owner.name, end.liobn))
                names.handles += [(end.owner.name, handle) for handle in end.sub_crqs]

    # Software

    def dispatch(self) -> None:
        """Let the software act until it has nothing to do."""
        self._calls_in_a_row = 0
        try:
            self.manager.dispatch()
        except Exception as error:
            text = f"the manager raised {type(error).__name__}: {error}"
            self.judge.accuse(self.engine.cycle, "manager", text)
            raise

    def _run(self, partition: FuzzedPartition, handler: Callable[[], None]) -> None:
        """Run a partition's interrupt handler; honest software does not fail."""
        self._registers.patience = _POLLS if partition.hostile else None
        try:
            handler()
        except Exception as error:
            if not partition.hostile:
                text = f"the software of {partition.name} raised {type(error).__name__}: {error}"
                self.judge.accuse(self.engine.cycle, "software", text)
            self.crashes[type(error).__name__] += 1
        finally:
            self._registers.patience = None
        if partition.hostile and partition is self.hosting:
            self._calls_in_a_row += 1
            if self._calls_in_a_row % _STORM == 0:
                self.calm()

    def calm(self) -> None:
        """Switch the interrupts of all rings off, as the firmware of a storming partition would."""
        if self.hosting.alive:
            page = AdapterPage(self.assignment.adapter_page)
            for ring in range(len(self.assignment.liobn)):
                page.ring[ring].interrupt_enable.write()
