"""The TCP mechanism (patent 520): opens a connection, sends a stream, retransmits, closes.

The application's bytes stay where they are: a connection holds references to the application's
buffers until the partner has acknowledged them, and hands the references down. Where the device
segments, the mechanism builds super-frames as long as the window and the IP packet allow.

Sources: RFC 9293 (states, segments, closing), RFC 7323 (window scale, timestamps); what governs the
pace stands in `byway.sw.stack.congestion` and `byway.sw.stack.retransmission`. It opens actively,
and receives only as much as a sender needs: data that arrives is acknowledged and handed up in
order.
"""

import enum
from collections.abc import Callable

from scapy.layers.inet import TCP
from scapy.packet import Packet, Raw

from byway.sw.stack.congestion import CongestionControl
from byway.sw.stack.ip import IpMechanism
from byway.sw.stack.network_device import FrameOutcome
from byway.sw.stack.retransmission import RetransmissionTimer
from byway.sw.stack.send_buffer import SendBuffer

__all__ = ["MAXIMUM_MSS", "MINIMUM_MSS", "TcpConnection", "TcpMechanism", "TcpState"]

#: Range of payload bytes a segment may be limited to.
MINIMUM_MSS = 64
MAXIMUM_MSS = 9000

_HEADER_LENGTH = 20
_TIMESTAMPS_LENGTH = 12
_IP_LENGTH = 20
_MAXIMUM_RETRIES = 8
_RECEIVE_WINDOW = 0xFFFF
_MODULUS = 1 << 32


class TcpState(enum.Enum):
    """States of an actively opened connection [RFC 9293, 3.3.2]."""

    CLOSED = "CLOSED"
    SYN_SENT = "SYN-SENT"
    ESTABLISHED = "ESTABLISHED"
    FIN_WAIT_1 = "FIN-WAIT-1"
    FIN_WAIT_2 = "FIN-WAIT-2"
    CLOSING = "CLOSING"
    CLOSE_WAIT = "CLOSE-WAIT"
    LAST_ACK = "LAST-ACK"


#: States in which data, or the FIN, may have to be sent, for the first time or again.
_SENDING = (
    TcpState.ESTABLISHED,
    TcpState.CLOSE_WAIT,
    TcpState.FIN_WAIT_1,
    TcpState.CLOSING,
    TcpState.LAST_ACK,
)


def _signed(difference: int) -> int:
    """A difference of sequence numbers as a signed number [RFC 9293, 3.4]."""
    difference %= _MODULUS
    return difference - _MODULUS if difference >= _MODULUS // 2 else difference


class TcpConnection:
    """One connection; made by `TcpMechanism.connect`.

    Offsets count the stream's bytes from 0 and never wrap; sequence numbers exist only in headers.
    The SYN lies before offset 0, the FIN after the last byte.

    Attributes
    ----------
    state : TcpState
    error : str or None
        Why the connection ended before its time.
    retransmissions : int
        Segments, or super-frames, sent again.
    super_frames : int
        Super-frames handed down.
    """

    def __init__(
        self,
        mechanism: "TcpMechanism",
        remote: tuple[str, int],
        local_port: int,
        initial_sequence: int,
    ):
        self.remote = remote
        self.local_port = local_port
        self.state = TcpState.SYN_SENT
        self.error: str | None = None
        self.retransmissions = 0
        self.super_frames = 0
        self.buffer = SendBuffer()
        self.timer = RetransmissionTimer(mechanism.minimum_rto_ns)
        self._mechanism = mechanism
        self._initial_sequence = initial_sequence
        self._acknowledged = -1  # Offset before which the partner has everything; -1 is the SYN.
        self._next = -1  # Offset to be sent next.
        self._highest = -1  # Offset past everything ever sent.
        self._receive_next = 0
        self._window = 0
        self._window_shift = 0
        self._timestamps = True
        self._recent_timestamp = 0
        self._mss = MINIMUM_MSS
        self._congestion = CongestionControl(MINIMUM_MSS)
        self._closing = False
        self._acknowledge_now = False
        self._on_receive: Callable[[bytes], None] | None = None

    # -- the application's side

    @property
    def mss(self) -> int:
        """Payload bytes of a full segment."""
        return self._mss

    @property
    def acknowledged(self) -> int:
        """Bytes that the partner has acknowledged."""
        return min(max(self._acknowledged, 0), self.buffer.end)

    def write(self, mapping: int, address: int, length: int) -> None:
        """Append `length` bytes at `address`, inside the device's `mapping`, to the stream.

        Nothing is copied: the bytes must stay as they are until they are acknowledged. Raises
        `ValueError` after `close`.
        """
        if self._closing or self.state is TcpState.CLOSED:
            raise ValueError("The connection does not take data any more")
        self.buffer.append(mapping, address, length)

    def close(self) -> None:
        """Send FIN after what was written."""
        self._closing = True

    def on_receive(self, callback: Callable[[bytes], None]) -> None:
        """Hand received data to `callback`, in order."""
        self._on_receive = callback

    def abort(self, reason: str) -> None:
        """End the connection at once, with `reason` as its error."""
        self.error = reason
        self._end()

    def _end(self) -> None:
        self.state = TcpState.CLOSED
        self.timer.stop()

    # -- sending

    def _sequence(self, offset: int) -> int:
        return (self._initial_sequence + 1 + offset) % _MODULUS

    @property
    def _fin_sent(self) -> bool:
        return self._closing and self._highest > self.buffer.end

    @property
    def _in_flight(self) -> int:
        return self._next - self._acknowledged

    def _header(self, flags: str, offset: int) -> Packet:
        options: list[tuple[str, object]] = []
        if "S" in flags:
            advertised = min(MAXIMUM_MSS, self._mechanism.ip.mtu - _IP_LENGTH - _HEADER_LENGTH)
            options = [("MSS", advertised), ("NOP", None), ("WScale", 0)]
        if self._timestamps:
            now = self._mechanism.now() // 1000 % _MODULUS
            options += [("NOP", None), ("NOP", None), ("Timestamp", (now, self._recent_timestamp))]
        return TCP(
            sport=self.local_port,
            dport=self.remote[1],
            seq=self._sequence(offset),
            ack=self._receive_next if "A" in flags else 0,
            flags=flags,
            window=_RECEIVE_WINDOW,
            options=options,
        )

    def _maximum_payload(self) -> int:
        """Bytes of the longest run to hand down at once: whole segments, or one."""
        headers = _IP_LENGTH + _HEADER_LENGTH + _TIMESTAMPS_LENGTH * self._timestamps
        room = self._mechanism.ip.maximum_super_frame - headers
        return max(self._mss, room // self._mss * self._mss)

    def _completed(self, outcome: FrameOutcome) -> None:
        if outcome is FrameOutcome.REFUSED and self.error is None:
            self.abort("The device refused a frame")

    def _send(self, flags: str, offset: int, length: int = 0) -> None:
        if offset < self._highest:
            self.retransmissions += 1
        else:
            self.timer.sample_begins(offset + max(length, 1), self._mechanism.now())
        large = length > self._mss
        self.super_frames += large
        self._acknowledge_now = False
        self._mechanism.ip.send(
            self.remote[0],
            self._header(flags, offset),
            self.buffer.fragments(offset, length) if length else (),
            mss=self._mss if large else 0,
            on_complete=self._completed,
        )
        self.timer.start(self._mechanism.now())

    def _next_length(self) -> int:
        """Bytes to send now, 0 to wait for the window to open further."""
        left = self.buffer.end - self._next
        window = min(self._congestion.window, self._window)
        usable = window - self._in_flight
        length = min(left, usable, self._maximum_payload())
        length = self.buffer.reach(self._next, length, self._mechanism.ip.maximum_payload_fragments)
        if length <= 0:
            return 0
        if length == left:
            return length
        if length < self._maximum_payload() and self._in_flight and length < window // 3:
            return 0  # Worth waiting: the wire has work, and a longer run costs no more.
        if length >= self._mss:
            return length // self._mss * self._mss
        return 0 if self._in_flight else length

    def output(self) -> None:
        """Hand down whatever may be sent now."""
        if self.state is TcpState.SYN_SENT and self._next < 0 and self._mechanism.ip.room:
            self._send("S", -1)
            self._advance(0)
        while self.state in _SENDING and self._mechanism.ip.room and (n := self._next_length()):
            offset = self._next
            flags = "PA" if offset + n == self.buffer.end else "A"
            self._send(flags, offset, n)
            self._advance(offset + n)
        if (
            self._closing
            and self.state in _SENDING
            and self._next == self.buffer.end
            and self._mechanism.ip.room
        ):
            self._send("FA", self._next)
            self._advance(self._next + 1)
            if self.state is TcpState.ESTABLISHED:
                self.state = TcpState.FIN_WAIT_1
            elif self.state is TcpState.CLOSE_WAIT:
                self.state = TcpState.LAST_ACK
        if self._acknowledge_now and self._mechanism.ip.room:
            self._acknowledge_now = False
            self._mechanism.ip.send(self.remote[0], self._header("A", self._next))

    def _advance(self, offset: int) -> None:
        self._next = offset
        self._highest = max(self._highest, offset)

    def expire(self) -> None:
        """Act on the retransmission timer: send again from the first byte not acknowledged."""
        if self.timer.retries >= _MAXIMUM_RETRIES:
            self.abort(f"No answer from {self.remote[0]} after {_MAXIMUM_RETRIES} retransmissions")
            return
        self.timer.back_off(self._mechanism.now())
        if self.state is TcpState.SYN_SENT:
            self._next = -1
            return
        if self._window == 0 and self._in_flight == 0 and self._next < self.buffer.end:
            self._send("A", self._next, 1)  # Probe of a closed window [RFC 9293, 3.8.6.1].
            self._highest = max(self._highest, self._next + 1)
            return
        self._congestion.timed_out(self._in_flight)
        self._next = self._acknowledged

    # -- receiving

    def receive(self, packet: Packet) -> None:
        """Take a segment of this connection."""
        segment = packet[TCP]
        length = packet.len - 4 * packet.ihl - 4 * segment.dataofs
        offset = self._acknowledged + _signed(segment.ack - self._sequence(self._acknowledged))
        flags = segment.flags
        if flags.R:
            acceptable = self.state is not TcpState.SYN_SENT or (flags.A and offset == 0)
            if acceptable:
                self.abort(f"{self.remote[0]} reset the connection")
            return
        if self.state is TcpState.SYN_SENT:
            if flags.S and flags.A and offset == 0:
                self._establish(segment)
            return
        for name, value in segment.options:
            if name == "Timestamp":
                self._recent_timestamp = value[0]
        if flags.A and offset <= self._highest:
            self._acknowledge(offset, segment.window << self._window_shift, length == 0)
        self._take(segment, length)

    def _establish(self, segment: TCP) -> None:
        options = dict(segment.options)
        self._timestamps = "Timestamp" in options
        if self._timestamps:
            self._recent_timestamp = options["Timestamp"][0]
        self._window_shift = min(options.get("WScale", 0), 14)
        self._window = segment.window
        self._receive_next = (segment.seq + 1) % _MODULUS
        overhead = _TIMESTAMPS_LENGTH * self._timestamps
        largest = min(options.get("MSS", 536), self._mechanism.ip.mtu - _IP_LENGTH - _HEADER_LENGTH)
        self._mss = min(largest - overhead, self._mechanism.mss_limit)
        self._congestion = CongestionControl(self._mss)
        self._acknowledged = 0
        self.timer.sample_ends(0, self._mechanism.now())
        self.timer.stop()
        self.state = TcpState.ESTABLISHED
        self._acknowledge_now = True

    def _acknowledge(self, offset: int, window: int, bare: bool) -> None:
        if offset < self._acknowledged:
            return
        opened = window != self._window
        self._window = window
        if offset > self._acknowledged:
            self._advance_acknowledged(offset)
        elif (
            bare
            and not opened
            and self._in_flight
            and self._congestion.duplicate(self._in_flight, self._next)
        ):
            self._resend_first()
        if self._window == 0 and self._next < self.buffer.end and not self.timer.running:
            self.timer.start(self._mechanism.now())

    def _advance_acknowledged(self, offset: int) -> None:
        now = self._mechanism.now()
        advanced = offset - self._acknowledged
        self._acknowledged = offset
        self._next = max(self._next, offset)
        self.timer.sample_ends(offset, now)
        self.buffer.release(min(offset, self.buffer.end))
        if self._congestion.acknowledged(offset, advanced):
            self._resend_first()
        if self._in_flight:
            self.timer.restart(now)
        else:
            self.timer.stop()
        if self._fin_sent and offset > self.buffer.end:
            if self.state is TcpState.FIN_WAIT_1:
                self.state = TcpState.FIN_WAIT_2
            elif self.state in (TcpState.CLOSING, TcpState.LAST_ACK):
                self._end()

    def _resend_first(self) -> None:
        length = min(self._mss, self.buffer.end - self._acknowledged)
        if length > 0:
            self._send("A", self._acknowledged, length)
        else:
            self._send("FA", self._acknowledged)

    def _take(self, segment: TCP, length: int) -> None:
        """Take the data and the FIN of a segment if they come next [RFC 9293, 3.10.7.4]."""
        fin = bool(segment.flags.F)
        if not length and not fin:
            return
        self._acknowledge_now = True
        if segment.seq != self._receive_next:
            return
        if length and self._on_receive is not None:
            self._on_receive(bytes(segment[Raw].load)[:length])
        self._receive_next = (self._receive_next + length + fin) % _MODULUS
        if not fin:
            return
        if self.state is TcpState.ESTABLISHED:
            self.state = TcpState.CLOSE_WAIT
        elif self.state is TcpState.FIN_WAIT_1:
            self.state = TcpState.CLOSING
        elif self.state is TcpState.FIN_WAIT_2:
            # The last acknowledgement leaves with the next output; TIME-WAIT holds nothing here.
            self.output()
            self._end()


class TcpMechanism:
    """TCP over `ip`; an `IpUser`.

    Parameters
    ----------
    ip : IpMechanism
    clock : callable
        Time in nanoseconds.
    mss_limit : int
        Most payload bytes of a segment, `MINIMUM_MSS` to `MAXIMUM_MSS`; the partner's MSS and the
        device's MTU limit it too.
    minimum_rto_ns : int
        Lower bound of the retransmission timer.
    """

    def __init__(
        self,
        ip: IpMechanism,
        clock: Callable[[], int],
        *,
        mss_limit: int = MAXIMUM_MSS,
        minimum_rto_ns: int = 2_000_000,
    ):
        if mss_limit not in range(MINIMUM_MSS, MAXIMUM_MSS + 1):
            raise ValueError(f"MSS must be {MINIMUM_MSS} to {MAXIMUM_MSS}, not {mss_limit}")
        self.ip = ip
        self.now = clock
        self.mss_limit = mss_limit
        self.minimum_rto_ns = minimum_rto_ns
        self._connections: dict[tuple[str, int, int], TcpConnection] = {}
        self._next_port = 49152
        ip.attach(self)

    def connect(self, address: str, port: int, *, initial_sequence: int = 0) -> TcpConnection:
        """Open a connection; its state tells when it is established."""
        local_port = self._next_port
        self._next_port += 1
        connection = TcpConnection(self, (address, port), local_port, initial_sequence)
        self._connections[address, port, local_port] = connection
        return connection

    def flush(self) -> None:
        """Send what can be sent: call it after writes and closes, once for many."""
        for connection in self._connections.values():
            connection.output()
        self.ip.flush()

    @property
    def deadline_ns(self) -> int | None:
        """When the next timer expires; None if none runs."""
        return min(
            (c.timer.deadline_ns for c in self._connections.values() if c.timer.running),
            default=None,
        )

    def tick(self) -> None:
        """Act on the timers that have expired."""
        expired = False
        for connection in list(self._connections.values()):
            if connection.timer.running and connection.timer.deadline_ns <= self.now():
                connection.expire()
                expired = True
        if expired:
            self.flush()

    def receive(self, packet: Packet) -> None:
        """Take a packet from the IP mechanism."""
        if TCP not in packet:
            return
        key = (packet.src, packet[TCP].sport, packet[TCP].dport)
        connection = self._connections.get(key)
        if connection is not None and connection.state is not TcpState.CLOSED:
            connection.receive(packet)

    def drained(self) -> None:
        """Send what the acknowledgements of this batch allow."""
        for connection in self._connections.values():
            connection.output()
