"""Run as a script by the sandbox: gives up its rights, then runs the code that it reads.

Standard input holds JSON: {"code": ..., "tests": ..., "mark": ...}; the mark is printed last when
the tests passed. Only the standard library is here, and nothing of Penstock is imported.
"""

import ctypes
import json
import os
import resource
import struct
import sys

CPU_S = 5
MEMORY_BYTES = 512 * 2**20
_NEW_NAMESPACES = 0x10000000 | 0x20000000 | 0x40000000  # of users, processes, networks
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _SIGKILL = 1, 38, 9
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_PATH_BENEATH = 1
# Landlock's rights of its first version: write, remove, and make files of every kind (not execute,
# not read).
_WRITING = sum(1 << bit for bit in (1, 4, 5, 6, 7, 8, 9, 10, 11, 12))


def confine(folder: str) -> None:
    """Write nowhere but in ``folder``, speak with nobody, use little. Linux; elsewhere limits only.

    What this kernel refuses is skipped: the rest still holds.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        has_own_namespace = libc.unshare(_NEW_NAMESPACES) == 0
        libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
        if has_own_namespace:
            _become_first_process()
            libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        _write_only_in(libc, folder)
    limits = {
        resource.RLIMIT_CPU: CPU_S,
        resource.RLIMIT_AS: MEMORY_BYTES,
        resource.RLIMIT_FSIZE: 1_000_000,
        resource.RLIMIT_NOFILE: 32,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_CORE: 0,
    }
    for limit, most in limits.items():
        resource.setrlimit(limit, (most, most))


def _become_first_process() -> None:
    """Go on in a child, the first of its namespace: when it ends, all that it started ends."""
    child = os.fork()
    if child:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status < 0:
            os.kill(os.getpid(), -status)
        os._exit(status)


def _write_only_in(libc: ctypes.CDLL, folder: str) -> None:
    rights = ctypes.create_string_buffer(struct.pack("=Q", _WRITING), 8)
    ruleset = libc.syscall(_LANDLOCK_CREATE, rights, 8, 0)
    if ruleset < 0:
        return
    place = os.open(folder, os.O_RDONLY)
    rule = ctypes.create_string_buffer(struct.pack("=Qi", _WRITING, place), 12)
    libc.syscall(_LANDLOCK_ADD, ruleset, _PATH_BENEATH, rule, 0)
    libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0)
    os.close(place)
    os.close(ruleset)


def main() -> None:
    """Confine this process, then run the code and its tests in one namespace."""
    task = json.load(sys.stdin)
    confine(os.getcwd())  # noqa: PTH109 - the sandbox made it and started us in it
    names: dict[str, object] = {"__name__": "__main__"}
    exec(compile(task["code"], "answer", "exec"), names)  # noqa: S102 - this is what it is for
    exec(compile(task["tests"], "tests", "exec"), names)  # noqa: S102
    sys.stdout.write(f"\n{task['mark']}\n")


if __name__ == "__main__":
    main()
