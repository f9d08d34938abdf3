"""Runs a command inside a network namespace.

Its arguments: ``PARENT NAMESPACE HOSTS GROUP COMMAND...``.

A program of its own, with nothing but Python's library: between a fork and what is run in it, a
process with threads may do little. PARENT is the process that started it, NAMESPACE the number of
an open file, HOSTS a file to stand where ``/etc/hosts`` is. With GROUP ``own`` the command gets a
process group of its own, in the foreground of the terminal, as a shell with job control needs; with
``shared`` Ctrl-C reaches it together with who waits for it.

The command and all that it starts live in a process namespace of their own, whose first process is
this program's child: when the one who started the launcher ends, in whatever way, the kernel ends
them all. The exit code is the command's, 128 and the signal's number if one ended it, 126 or 127 if
it could not be run.
"""

import contextlib
import ctypes
import os
import signal
import sys

_CLONE_NEWNS, _CLONE_NEWPID, _CLONE_NEWNET = 0x00020000, 0x20000000, 0x40000000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_PR_SET_PDEATHSIG = 1

#: Signals to a terminal's whole process group, for the command and for the one who waits for it.
_FOR_THE_COMMAND = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)

_libc = ctypes.CDLL(None, use_errno=True)


def _call(function: str, *arguments: object) -> None:
    if getattr(_libc, function)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")


def _mount(source: str | None, target: str, kind: str | None, flags: int) -> None:
    def encoded(text: str | None) -> bytes | None:
        return None if text is None else text.encode()

    _call("mount", encoded(source), encoded(target), encoded(kind), ctypes.c_ulong(flags), None)


def _end_with(parent: int) -> None:
    """Be killed when `parent`, which runs now, ends."""
    _call("prctl", _PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _wait(child: int) -> int:
    """Reap children until `child` ends; return its exit code as a shell tells it."""
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _take_terminal() -> None:
    """Be a process group of its own, in the foreground of the terminal, if there is one."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.tcsetpgrp(0, os.getpgrp())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)


def _execute(command: list[str], *, own_group: bool) -> None:
    """Become `command`; never returns."""
    if own_group:
        _take_terminal()
    for number in _FOR_THE_COMMAND:
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"byway: Cannot run {command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


def _have_own_mounts(hosts: str) -> bool:
    """Put `hosts` in its place, for this process and those below; False where that cannot be.

    As in a chroot, whose mounts belong to others: there the command does without.
    """
    try:
        _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
        _mount(hosts, "/etc/hosts", None, _MS_BIND)
    except OSError:
        return False
    return True


def _first_process(command: list[str], *, own_group: bool, own_mounts: bool) -> int:
    """The first process of the process namespace: it reaps, and all ends with it."""
    # What looks at processes and interfaces, if it may be mounted here, shows those inside.
    for kind, target in (("proc", "/proc"), ("sysfs", "/sys")) if own_mounts else ():
        with contextlib.suppress(OSError):
            _mount(kind, target, kind, 0)
    child = os.fork()
    if not child:
        _execute(command, own_group=own_group)
    return _wait(child)


def main(parent: int, namespace: int, hosts: str, command: list[str], *, own_group: bool) -> int:
    """Run `command`; returns its exit code."""
    for number in _FOR_THE_COMMAND:
        signal.signal(number, signal.SIG_IGN)
    _end_with(parent)
    _call("setns", namespace, _CLONE_NEWNET)
    os.close(namespace)
    _call("unshare", _CLONE_NEWNS | _CLONE_NEWPID)
    own_mounts = _have_own_mounts(hosts)
    ready, go = os.pipe()
    first = os.fork()
    if not first:
        # In its own process namespace the parent has no number: that it runs, a pipe tells.
        os.close(go)
        _call("prctl", _PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
        if os.read(ready, 1) != b"g":
            os._exit(1)
        os.close(ready)
        os._exit(_first_process(command, own_group=own_group, own_mounts=own_mounts))
    os.close(ready)
    os.write(go, b"g")
    os.close(go)
    return _wait(first)


if __name__ == "__main__":
    _parent, _namespace, _hosts, _group, *_command = sys.argv[1:]
    try:
        sys.exit(main(int(_parent), int(_namespace), _hosts, _command, own_group=_group == "own"))
    except OSError as _error:
        print(f"byway: Cannot start {_command[0]}: {_error.strerror}", file=sys.stderr)
        sys.exit(126)
