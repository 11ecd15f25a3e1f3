"""Prints figures of a runtime, `name=value` each: figures.py RUNTIME"""
import json, os, subprocess, sys, time

runtime, runs = sys.argv[1], 15
os.chdir("/bundle")
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}


def run(*words):
    subprocess.run([runtime, *words], check=True, **QUIET)


def timed(act, times):
    """Returns median, fastest and slowest in milliseconds; the first one fills caches and does not count."""
    found = []
    for number in range(times + 1):
        start = time.perf_counter()
        act(number)
        found.append((time.perf_counter() - start) * 1000)
    found = sorted(found[1:])
    return f"{found[times // 2]:,.0f} ms ({found[0]:,.0f} to {found[-1]:,.0f})"


def alone(number):
    for words in ["create"], ["start"], ["delete", "--force"]:
        run(*words, f"f{number}")


def under_podman(_):
    subprocess.run(["podman", "--runtime", runtime, "run", "--rm", "--network", "none", "box", "true"], check=True, **QUIET)


def in_parallel():
    start = time.perf_counter()
    all_of_them = [subprocess.Popen([runtime, "run", f"p{number}"], stderr=subprocess.DEVNULL, **QUIET) for number in range(100)]
    failed = sum(one.wait() != 0 for one in all_of_them)
    return f"{time.perf_counter() - start:.1f} s" + (f", {failed} failed" if failed else "")


def memory():
    """The peak of the process that does the work, told by the last hook, which is its child."""
    with open("config.json") as file:
        config = json.load(file)
    config["hooks"] = {"poststart": [{"path": "/bin/sh", "args": ["sh", "-c", "grep VmHWM /proc/$PPID/status >/tmp/peak"]}]}
    os.makedirs("/hooked", exist_ok=True)
    config["root"]["path"] = "/bundle/rootfs"
    with open("/hooked/config.json", "w") as file:
        json.dump(config, file)
    run("run", "--bundle", "/hooked", "measured")
    with open("/tmp/peak") as file:
        return f"{int(file.read().split()[1]):,} kB"


def calls():
    subprocess.run(["strace", "-f", "-qq", "-o", "/tmp/trace", runtime, "run", "traced"], check=True, **QUIET)
    with open("/tmp/trace", errors="replace") as file:
        return sum("resumed>" not in line and "(" in line for line in file)


path = subprocess.check_output(["which", runtime], text=True).strip()
print(f"create, start and delete of `true` alone, median of {runs}={timed(alone, runs)}")
print(f"`podman run --rm` of `true`, median of 5={timed(under_podman, 5)}")
print(f"100 times `run` of `true` at once={in_parallel()}")
print(f"system calls of `run` of `true`, with the program={calls():,}")
print(f"peak memory of the process that does the work={memory()}")
print(f"bytes of the file (crun also loads libraries)={os.stat(path).st_size:,}")
