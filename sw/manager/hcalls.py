"""All services of the partition manager to a partition, as methods with LoPAR's names.

Each takes unsigned 64-bit integers and returns a `ReturnCode`, or a tuple that starts with one.
Wrong arguments are answered by a return code; they never raise, and never change anything.
"""

from byway.sw.manager.crq_hcalls import CrqHcalls
from byway.sw.manager.rtce_hcalls import RtceHcalls
from byway.sw.manager.tce_hcalls import TceHcalls
from byway.sw.manager.vioctl import VioControlHcalls

__all__ = ["Hcalls"]


class Hcalls(TceHcalls, RtceHcalls, CrqHcalls, VioControlHcalls):
    """The hcalls of one partition."""
