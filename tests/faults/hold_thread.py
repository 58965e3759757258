"""Stops one thread of a process, by its name, as a debugger does, until it is killed itself.

python3 hold_thread.py PID NAME prints "held" once the thread stands, or why it does not. The NAME
"main" means the first thread of the process.
"""
import ctypes
import os
import signal
import sys
from pathlib import Path

PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def main() -> None:
    pid, name = int(sys.argv[1]), sys.argv[2]
    tasks = [pid] if name == "main" else [
        int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()
        if (task / "comm").read_text().strip() == name]
    if len(tasks) != 1:
        print(f"{len(tasks)} threads have the name {name}", flush=True)
        return
    for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
        if libc.ptrace(request, tasks[0], None, None) != 0:
            print(os.strerror(ctypes.get_errno()), flush=True)
            return
    os.waitpid(tasks[0], 0x40000000)  # __WALL
    print("held", flush=True)
    signal.pause()


main()
