"""Asks containerd's CRI (k8s.io/cri-api, runtime/v1/api.proto) as a kubelet does. Debian has no client of it, so messages are made here."""
import sys

import grpc


def encode(fields):
    """{number: value}: int, str, bytes, a dict for a message, a list for a repeated field."""
    out = b""
    for number, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, int):
                out += varint(number << 3) + varint(one)
                continue
            one = encode(one) if isinstance(one, dict) else one.encode() if isinstance(one, str) else one
            out += varint(number << 3 | 2) + varint(len(one)) + one
    return out


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def decode(data):
    """Returns {number: [value, ...]}: integers, and bytes for everything else."""
    found, at = {}, 0

    def read():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = read()
        if key & 7 == 0:
            value = read()
        else:
            length = {1: 8, 5: 4}.get(key & 7) or read()
            value = data[at : at + length]
            at += length
        found.setdefault(key >> 3, []).append(value)
    return found


channel = grpc.insecure_channel("unix:///run/containerd/containerd.sock")


def call(method, fields):
    return decode(channel.unary_unary(f"/runtime.v1.RuntimeService/{method}")(encode(fields), timeout=200))


def text(found, number):
    return found.get(number, [b""])[0].decode()


SANDBOX = {1: {1: "pod", 2: "uid", 3: "test", 4: 0}, 3: "/tmp/pod", 8: {1: "kubepods.slice"}}
command, *words = sys.argv[1:]
match command:
    case "pod":
        print(text(call("RunPodSandbox", {1: SANDBOX, 2: words[0]}), 1))
    case "container":
        sandbox, image, name, memory, *program = words
        # The runtime's own filter, and PostgreSQL's user.
        security = {15: {}, **({6: "postgres"} if name == "db" else {})}
        config = {1: {1: name}, 2: {1: image}, 3: program, 11: f"{name}.log", 15: {1: {4: int(memory)}, 2: security}}
        if name == "web":
            config[7] = {1: "/etc/nginx/nginx.conf", 2: "/test/nginx.conf", 3: 1}
        print(text(call("CreateContainer", {1: sandbox, 2: config, 3: SANDBOX}), 1))
    case "start":
        call("StartContainer", {1: words[0]})
    case "exec":
        said = call("ExecSync", {1: words[0], 2: words[1:], 3: 60})
        sys.stdout.write(text(said, 1) + text(said, 2))
        sys.exit(said.get(3, [0])[0])
    case "status":
        status = decode(call("ContainerStatus", {1: words[0]})[1][0])
        print(status.get(3, [0])[0], status.get(7, [0])[0])
    case "stats":
        stats = decode(call("ContainerStats", {1: words[0]})[1][0])
        print(decode(decode(stats[3][0])[2][0])[1][0], "bytes")
    case "update":
        call("UpdateContainerResources", {1: words[0], 2: {4: int(words[1])}})
    case "stop":
        call("StopContainer", {1: words[0], 2: int(words[1])})
    case "remove":
        call("RemoveContainer", {1: words[0]})
    case "podstatus" | "address":
        status = decode(call("PodSandboxStatus", {1: words[0]})[1][0])
        print(status.get(3, [0])[0] if command == "podstatus" else text(decode(status[5][0]), 1))
    case "podremove":
        call("StopPodSandbox", {1: words[0]})
        call("RemovePodSandbox", {1: words[0]})
