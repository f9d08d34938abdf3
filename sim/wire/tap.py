"""A TAP device: the end of a network device of the kernel that a program holds [Linux tun].

What the kernel hands over bears a virtio-net header, and asks for no more than `Tap.offer` allowed.
"""

import errno
import fcntl
import os
import struct
from enum import IntFlag

from byway.sim.wire.virtio_net import VirtioNetHeader

__all__ = ["Tap", "TapOffload"]

_CLONE_DEVICE = "/dev/net/tun"
# ioctl requests, and flags of TUNSETIFF.
_TUNSETIFF = 0x400454CA
_TUNSETOFFLOAD = 0x400454D0
_TUNSETVNETHDRSZ = 0x400454D8
_TUNSETVNETLE = 0x400454DC
_TUNSETCARRIER = 0x400454E2
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR, _IFF_TUN_EXCL = 0x0002, 0x1000, 0x4000, 0x8000
_NOTHING = VirtioNetHeader()
#: The longest super-frame, with room for VLAN tags. Kernels make none beyond 64 KiB for a TAP (its
#: ``tso_max_size``), not over IPv6 either, whatever its device would take.
_LONGEST = VirtioNetHeader.SIZE + 14 + 8 + 65_535


class TapOffload(IntFlag):
    """What a kernel may leave to the device behind a TAP."""

    CHECKSUM = 0x01
    TSO4 = 0x02
    TSO6 = 0x04
    TSO_ECN = 0x08
    USO4 = 0x20
    USO6 = 0x40


#: What a kernel knows since Linux 6.2.
_UDP_SEGMENTATION = TapOffload.USO4 | TapOffload.USO6


class Tap:
    """A new TAP device in the network namespace of the calling thread.

    It has no carrier, and its kernel may leave nothing to it, until the one who holds it says so.

    Parameters
    ----------
    name : str
        What the kernel calls it, at most 15 bytes.

    Raises `OSError` if it cannot be had, `EBUSY` among others if the name is taken.
    """

    def __init__(self, name: str):
        self.name = name
        self._file = os.open(_CLONE_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        flags = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR | _IFF_TUN_EXCL
        try:
            fcntl.ioctl(self._file, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
            fcntl.ioctl(self._file, _TUNSETVNETHDRSZ, struct.pack("i", VirtioNetHeader.SIZE))
            fcntl.ioctl(self._file, _TUNSETVNETLE, struct.pack("i", 1))
        except OSError:
            os.close(self._file)
            raise
        self.offer(TapOffload(0))
        self.set_carrier(False)

    def fileno(self) -> int:
        """The file to wait for, readable when the kernel has sent a frame."""
        return self._file

    def offer(self, offloads: TapOffload) -> TapOffload:
        """Let the kernel leave these, and only these, to the device; returns those that it knows.

        A kernel before Linux 6.2 cuts its datagrams itself.
        """
        try:
            fcntl.ioctl(self._file, _TUNSETOFFLOAD, int(offloads))
        except OSError as error:
            known = offloads & ~_UDP_SEGMENTATION
            if error.errno != errno.EINVAL or known == offloads:
                raise
            fcntl.ioctl(self._file, _TUNSETOFFLOAD, int(known))
            return known
        return offloads

    def set_carrier(self, up: bool) -> None:
        """Tell the kernel whether the device has a link."""
        fcntl.ioctl(self._file, _TUNSETCARRIER, struct.pack("i", up))

    def read(self) -> tuple[VirtioNetHeader, bytes] | None:
        """The next frame that the kernel sends, without FCS; None if there is none now."""
        try:
            content = os.read(self._file, _LONGEST)
        except BlockingIOError:
            return None
        return VirtioNetHeader.unpack(content), content[VirtioNetHeader.SIZE :]

    def write(self, frame: bytes, header: VirtioNetHeader = _NOTHING) -> bool:
        """Let the kernel receive `frame`, without FCS; False if it does not take it.

        With a `header` for large send the kernel takes it for the segments that it stands for.
        """
        try:
            os.write(self._file, header.pack() + frame)
        except OSError as error:
            # The interface is down, the queue is full, or the frame makes no sense to it.
            if error.errno in (errno.EIO, errno.EAGAIN, errno.EINVAL, errno.ENOBUFS):
                return False
            raise
        return True

    def close(self) -> None:
        """Let the device go."""
        os.close(self._file)
