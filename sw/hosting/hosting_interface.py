"""The I/O hosting interface (550): the server side of the virtual NICs of all hosted partitions.

It stands between the virtual hosted device drivers and the adapter driver: control messages pass
through it, data do not.

Source: patent, FIG. 5 and method 600, steps 620 and 630.
"""

from byway.sw.hosting.adapter_driver import AdapterDriver
from byway.sw.hosting.client_session import ClientSession
from byway.sw.manager.connection import ServerEnd
from byway.sw.vnic.codes import LinkState

__all__ = ["HostingInterface"]


class HostingInterface:
    """Serves the hosted partitions that share one adapter.

    Parameters
    ----------
    driver : AdapterDriver
        The adapter's driver.

    Attributes
    ----------
    driver : AdapterDriver
    sessions : list of ClientSession
        One for each partition served.
    """

    def __init__(self, driver: AdapterDriver):
        self.driver = driver
        self.sessions: list[ClientSession] = []

    def serve(self, end: ServerEnd, mac: bytes) -> ClientSession:
        """Serve the client at the other end of a connection, now or when it comes.

        Parameters
        ----------
        end : ServerEnd
            The server's end, in the hosting partition.
        mac : bytes
            Station address for the client.
        """
        session = ClientSession(self.driver, end, mac)
        self.sessions.append(session)
        return session

    def announce_link(self, state: LinkState) -> None:
        """Tell every client that the wire came or went."""
        for session in self.sessions:
            session.announce_link(state)
