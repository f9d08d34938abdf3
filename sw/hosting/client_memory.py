"""Small buffers of a client, as the commands name them: fetched and stored by H_COPY_RDMA."""

from byway.sw.manager.connection import ServerEnd
from byway.sw.manager.memory import PAGE_SIZE
from byway.sw.manager.return_codes import ReturnCode
from byway.sw.vnic.window import DmaWindow

__all__ = ["ClientMemory"]


class ClientMemory:
    """What the client has mapped in its own window, seen through the second pane.

    Parameters
    ----------
    end : ServerEnd
        The server's end of the connection with the client.
    window : DmaWindow
        Its first pane.

    Attributes
    ----------
    maximum : int
        Most bytes of one buffer.
    """

    def __init__(self, end: ServerEnd, window: DmaWindow):
        self._end = end
        self._staging = window.allocate(PAGE_SIZE, read=True, write=True)
        self.maximum = self._staging.length

    def fetch(self, ioba: int, length: int) -> bytes | None:
        """Return `length` bytes, at most `maximum`, at `ioba`; None if they cannot be read."""
        code = self._end.owner.hcalls.h_copy_rdma(
            length, self._end.r_liobn, ioba, self._end.liobn, self._staging.ioba
        )
        if code is not ReturnCode.H_SUCCESS:
            return None
        return self._end.owner.memory.read(self._staging.address, length)

    def store(self, ioba: int, content: bytes) -> bool:
        """Store `content`, at most `maximum` bytes, at `ioba`; return whether it could be."""
        self._end.owner.memory.write(self._staging.address, content)
        code = self._end.owner.hcalls.h_copy_rdma(
            len(content), self._end.liobn, self._staging.ioba, self._end.r_liobn, ioba
        )
        return code is ReturnCode.H_SUCCESS
