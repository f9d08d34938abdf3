"""The buffers of LOGIN: how the two ends exchange the handles of their sub-CRQs.

All numbers are big-endian. Source: LoPAR, "Login Support".
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["LoginBuffer", "LoginResponseBuffer"]

_VERSION = 1
_LOGIN = struct.Struct(">8I")
_RESPONSE = struct.Struct(">9I4x")
_HANDLE = 8


@dataclass(frozen=True, kw_only=True)
class LoginBuffer:
    """What the client brings to a login.

    Parameters
    ----------
    transmit_completion, receive_completion : tuple of int
        Handles of the client's queues.
    response_ioba, response_length : int
        Room for the response in the client's window.
    """

    transmit_completion: tuple[int, ...]
    receive_completion: tuple[int, ...]
    response_ioba: int
    response_length: int

    def pack(self) -> bytes:
        """Return the buffer."""
        first, second = self.transmit_completion, self.receive_completion
        second_at = _LOGIN.size + len(first) * _HANDLE
        return _LOGIN.pack(
            second_at + len(second) * _HANDLE,
            _VERSION,
            *(len(first), _LOGIN.size),
            *(len(second), second_at),
            self.response_ioba,
            self.response_length,
        ) + _pack_handles((*first, *second))

    @classmethod
    def unpack(cls, buffer: bytes) -> "LoginBuffer":
        """Return what `buffer` says.

        Raises
        ------
        ValueError
            The buffer is short, of another length than it says, of another version, or a list
            of handles lies outside it.
        """
        if len(buffer) < _LOGIN.size:
            raise ValueError(f"a login buffer has at least {_LOGIN.size} bytes, not {len(buffer)}")
        length, version, first, first_at, second, second_at, ioba, room = _LOGIN.unpack_from(buffer)
        _check(buffer, length, version)
        return cls(
            transmit_completion=_unpack_handles(buffer, first_at, first),
            receive_completion=_unpack_handles(buffer, second_at, second),
            response_ioba=ioba,
            response_length=room,
        )


@dataclass(frozen=True, kw_only=True)
class LoginResponseBuffer:
    """What the server answers a login with.

    Parameters
    ----------
    transmit_submission, receive_add : tuple of int
        Handles of the server's queues.
    receive_sizes : tuple of int
        Bytes of the buffers for each queue of `receive_add`.
    transmit_descriptors : bytes
        Types of transmit descriptors understood, the best first.
    """

    transmit_submission: tuple[int, ...]
    receive_add: tuple[int, ...]
    receive_sizes: tuple[int, ...]
    transmit_descriptors: bytes

    def pack(self) -> bytes:
        """Return the buffer."""
        first, second = self.transmit_submission, self.receive_add
        second_at = _RESPONSE.size + len(first) * _HANDLE
        sizes_at = second_at + len(second) * _HANDLE
        types_at = sizes_at + len(self.receive_sizes) * _HANDLE
        return (
            _RESPONSE.pack(
                types_at + len(self.transmit_descriptors),
                _VERSION,
                *(len(first), _RESPONSE.size),
                *(len(second), second_at),
                sizes_at,
                *(len(self.transmit_descriptors), types_at),
            )
            + _pack_handles((*first, *second, *self.receive_sizes))
            + self.transmit_descriptors
        )

    @classmethod
    def unpack(cls, buffer: bytes) -> "LoginResponseBuffer":
        """Return what `buffer`, or the beginning of it, says.

        Raises
        ------
        ValueError
            As for `LoginBuffer.unpack`; the buffer may be longer than its content.
        """
        if len(buffer) < _RESPONSE.size:
            raise ValueError(
                f"a login response has at least {_RESPONSE.size} bytes, not {len(buffer)}"
            )
        fields = _RESPONSE.unpack_from(buffer)
        length, version, first, first_at, second, second_at, sizes_at, types, types_at = fields
        buffer = buffer[:length]
        _check(buffer, length, version)
        return cls(
            transmit_submission=_unpack_handles(buffer, first_at, first),
            receive_add=_unpack_handles(buffer, second_at, second),
            receive_sizes=_unpack_handles(buffer, sizes_at, second),
            transmit_descriptors=buffer[types_at : types_at + types],
        )


def _check(buffer: bytes, length: int, version: int) -> None:
    if length != len(buffer):
        raise ValueError(f"the buffer says {length} bytes and has {len(buffer)}")
    if version != _VERSION:
        raise ValueError(f"the buffer's version must be {_VERSION}, not {version}")


def _pack_handles(handles: Sequence[int]) -> bytes:
    return struct.pack(f">{len(handles)}Q", *handles)


def _unpack_handles(buffer: bytes, at: int, count: int) -> tuple[int, ...]:
    if at + count * _HANDLE > len(buffer):
        raise ValueError(f"{count} handles at {at} lie outside a buffer of {len(buffer)} bytes")
    return struct.unpack_from(f">{count}Q", buffer, at)
