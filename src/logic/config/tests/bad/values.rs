//! Values that a key does not accept: of the board, of supervision, of confinement.

use super::{in_system, in_workload};
use crate::text;
use crate::text::Text;

/// Lines of [system], and their errors.
const SYSTEM_LINES: &[(&str, &str)] = &[
    (
        "hostname -a",
        "3:10: found \"-a\", expected a host name of at most 64 letters, digits, - and ., and %m and %s in [system]",
    ),
    (
        "hostname a-%x",
        "3:10: found \"a-%x\", expected a host name of at most 64 letters, digits, - and ., and %m and %s in [system]",
    ),
    (
        "hostname a..b",
        "3:10: found \"a..b\", expected a host name of at most 64 letters, digits, - and ., and %m and %s in [system]",
    ),
    (
        "hostname",
        "3:9: \"hostname\" needs a host name of at most 64 letters, digits, - and ., and %m and %s in [system]",
    ),
    ("hostname a b", "3:12: unexpected word \"b\"; remove it, or quote words that belong together"),
    ("console loud", "3:9: found \"loud\", expected prompt, log or off"),
    (
        "console ../sda log",
        "3:9: found \"../sda\", expected a terminal below /dev such as ttyS0, or prompt, log or off",
    ),
    ("watchdog 15s", "3:10: found \"15s\", expected an absolute path without .., of at most 255 bytes"),
    ("watchdog /dev/watchdog", "3:23: \"watchdog\" needs a duration such as 100ms, 5s, 2m or 1h, up to a day"),
    ("control socket", "3:9: found \"socket\", expected off, or the absolute path of the socket"),
    ("boots /data/boots 3", "3:19: found \"3\", expected limit=COUNT, with a count from 1 to 100, or after=DURATION"),
    ("time", "3:5: \"time\" needs dhcp, the address of a time server, or keep=FILE"),
    (
        "time ntp.example.net",
        "3:6: found \"ntp.example.net\", expected dhcp, the address of a time server, or keep=FILE",
    ),
    ("time 127.0.0.1", "3:6: found \"127.0.0.1\", expected dhcp, the address of a time server, or keep=FILE"),
    ("time dhcp keep=time", "3:11: found \"keep=time\", expected dhcp, the address of a time server, or keep=FILE"),
    ("time 192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4 192.0.2.5", "3:1: too many time servers; the limit is 4"),
    ("mount /dev/vda data ext4", "3:16: found \"data\", expected an absolute path without .., not /"),
    (
        "mount /dev/vda /data",
        "3:21: \"mount\" needs the name of a filesystem such as ext4, but not btrfs (it may need several disks) or LUKS (it needs a key)",
    ),
    (
        "mount /dev/vda /data btrfs",
        "3:22: found \"btrfs\", expected the name of a filesystem such as ext4, but not btrfs (it may need several disks) or LUKS (it needs a key)",
    ),
    (
        "mount LABEL=data /data squashfs",
        "3:7: found \"LABEL=data\", expected a path, PARTUUID=, or a LABEL= or UUID= that is read of this filesystem; see Disks in docs/config.md",
    ),
    (
        "mount LABEL=data /data exfat",
        "3:7: found \"LABEL=data\", expected a path, PARTUUID=, or a LABEL= or UUID= that is read of this filesystem; see Disks in docs/config.md",
    ),
    // Ids that these filesystems cannot have, or that are not read completely (f2fs).
    (
        "mount LABEL=longer-than-12b /data xfs",
        "3:7: found \"LABEL=longer-than-12b\", expected a path, PARTUUID=, or a LABEL= or UUID= that is read of this filesystem; see Disks in docs/config.md",
    ),
    (
        "mount LABEL=longer-than- /data vfat",
        "3:7: found \"LABEL=longer-than-\", expected a path, PARTUUID=, or a LABEL= or UUID= that is read of this filesystem; see Disks in docs/config.md",
    ),
    (
        "mount LABEL=longer-than-16-bytes /data f2fs",
        "3:7: found \"LABEL=longer-than-16-bytes\", expected a path, PARTUUID=, or a LABEL= or UUID= that is read of this filesystem; see Disks in docs/config.md",
    ),
    (
        "mount LABEL=gr\u{f6}\u{df}e /data f2fs",
        "3:7: found \"LABEL=gr\u{f6}\u{df}e\", expected a path, PARTUUID=, or a LABEL= or UUID= that is read of this filesystem; see Disks in docs/config.md",
    ),
    (
        "mount UUID=ABCD-1234 /data xfs",
        "3:7: found \"UUID=ABCD-1234\", expected a path, PARTUUID=, or a LABEL= or UUID= that is read of this filesystem; see Disks in docs/config.md",
    ),
    (
        "mount UUID=0f010203-0405-4607-8809-0a0b0c0d0e0f /data exfat",
        "3:7: found \"UUID=0f010203-0405-4607-8809-0a0b0c0d0e0...\", expected a path, PARTUUID=, or a LABEL= or UUID= that is read of this filesystem; see Disks in docs/config.md",
    ),
    (
        "mount /dev/vda /data f2fs check=reformat",
        "3:22: found \"f2fs\", expected ext4, the one filesystem that check=reformat can make and, without ro, grow enlarge",
    ),
    (
        "mount /dev/vda /data ext4 wait=5",
        "3:27: found \"wait=5\", expected ro, exec, grow, wait=DURATION, check=repair|ro|reformat or else=tmpfs|stop",
    ),
    (
        "mount LABEL= /data ext4",
        "3:7: found \"LABEL=\", expected an absolute path, or LABEL=, UUID= or PARTUUID= with up to 40 bytes",
    ),
    ("mount /dev/vda / ext4", "3:16: found \"/\", expected an absolute path without .., not /"),
    ("volumes data", "3:9: found \"data\", expected an absolute path without .., of at most 255 bytes"),
    ("swap 64M", "3:6: found \"64M\", expected zram"),
    ("swap zram 0%", "3:11: found \"0%\", expected a size from 1M up such as 256M, or from 1% to 400% of the memory"),
    (
        "swap zram 401%",
        "3:11: found \"401%\", expected a size from 1M up such as 256M, or from 1% to 400% of the memory",
    ),
    (
        "swap zram 1000K",
        "3:11: found \"1000K\", expected a size from 1M up such as 256M, or from 1% to 400% of the memory",
    ),
    ("swap zram max", "3:11: found \"max\", expected a size from 1M up such as 256M, or from 1% to 400% of the memory"),
    ("swap zram 50% gzip", "3:15: found \"gzip\", expected lzo-rle, lzo, lz4, lz4hc or zstd"),
    ("log file", "3:5: found \"file\", expected kmsg, or the absolute path of a file"),
    ("log /data/log size=1", "3:15: found \"size=1\", expected size=BYTES such as size=1M"),
    ("idle sleep", "3:6: found \"sleep\", expected stay, poweroff or reboot"),
];

/// Words after `root /r`, and their errors.
const AFTER_ROOT: &[(&str, &str)] = &[
    (
        "verity=abc",
        "3:9: found \"verity=abc\", expected overlay or overlay=FOLDER, verity=DIGEST with 64 hexadecimal digits or verity=image, or behind that corrupt=stop or corrupt=reboot",
    ),
    (
        "corrupt=stop",
        "3:9: found \"corrupt=stop\", expected overlay or overlay=FOLDER, verity=DIGEST with 64 hexadecimal digits or verity=image, or behind that corrupt=stop or corrupt=reboot",
    ),
    (
        "verity",
        "3:9: found \"verity\", expected overlay or overlay=FOLDER, verity=DIGEST with 64 hexadecimal digits or verity=image, or behind that corrupt=stop or corrupt=reboot",
    ),
    (
        "overlay overlay",
        "3:17: found \"overlay\", expected overlay or overlay=FOLDER, verity=DIGEST with 64 hexadecimal digits or verity=image, or behind that corrupt=stop or corrupt=reboot",
    ),
    (
        "verity=image corrupt=now",
        "3:22: found \"corrupt=now\", expected overlay or overlay=FOLDER, verity=DIGEST with 64 hexadecimal digits or verity=image, or behind that corrupt=stop or corrupt=reboot",
    ),
    (
        "verity=image verity=image",
        "3:22: found \"verity=image\", expected overlay or overlay=FOLDER, verity=DIGEST with 64 hexadecimal digits or verity=image, or behind that corrupt=stop or corrupt=reboot",
    ),
    (
        "overlay=data",
        "3:9: found \"overlay=data\", expected overlay or overlay=FOLDER, verity=DIGEST with 64 hexadecimal digits or verity=image, or behind that corrupt=stop or corrupt=reboot",
    ),
    (
        "ro",
        "3:9: found \"ro\", expected overlay or overlay=FOLDER, verity=DIGEST with 64 hexadecimal digits or verity=image, or behind that corrupt=stop or corrupt=reboot",
    ),
];

#[test]
fn invalid_words_after_root_are_refused() {
    for (words, expected) in AFTER_ROOT {
        let text = format!("hilum 1\n[workload a]\nroot /r {words}\nexec /x\n");
        assert_eq!(super::super::refusal(text.as_bytes()), *expected, "{words}");
    }
}

/// Lines of a workload, and their errors.
const WORKLOAD_LINES: &[(&str, &str)] = &[
    ("ready", "5:6: \"ready\" needs exec, exit, fd, tcp, after or notify"),
    ("ready soon", "5:7: found \"soon\", expected exec, exit, fd, tcp, after or notify"),
    ("ready fd 2", "5:10: found \"2\", expected a descriptor from 3 to 63"),
    ("ready tcp 0", "5:11: found \"0\", expected a port from 1 to 65535"),
    ("ready tcp 65536", "5:11: found \"65536\", expected a port from 1 to 65535"),
    ("ready exec within=1s", "5:12: unexpected word \"within=1s\"; remove it, or quote words that belong together"),
    ("ready notify 5s", "5:14: found \"5s\", expected within= and a duration such as within=10s"),
    ("health ping", "5:8: found \"ping\", expected tcp, file, exec or notify"),
    ("health exec check", "5:13: found \"check\", expected an absolute path without .., of at most 255 bytes"),
    (
        "health tcp 80 every=1s",
        "5:15: found \"every=1s\", expected interval=DURATION or failures=COUNT, with a count from 1 to 100",
    ),
    (
        "health tcp 80 failures=0",
        "5:15: found \"failures=0\", expected interval=DURATION or failures=COUNT, with a count from 1 to 100",
    ),
    ("health exec /a b c d e f g h i", "5:30: too many words of a health check; the limit is 8"),
    ("critical 5s", "5:10: found \"5s\", expected within= and a duration such as within=10s"),
    ("control off", "5:9: found \"off\", expected status, operate, update or all"),
    ("control status update", "5:16: unexpected word \"update\"; remove it, or quote words that belong together"),
    ("control", "5:8: \"control\" needs status, operate, update or all"),
    ("safe yes", "5:6: unexpected word \"yes\"; remove it, or quote words that belong together"),
    ("log loud", "5:5: found \"loud\", expected quiet, or rate=COUNT/DURATION such as rate=100/1s"),
    ("log rate=0/1s", "5:5: found \"rate=0/1s\", expected quiet, or rate=COUNT/DURATION such as rate=100/1s"),
    ("user root", "5:6: found \"root\", expected numbers, UID or UID:GID"),
    ("user +1", "5:6: found \"+1\", expected numbers, UID or UID:GID"),
    ("user 1:", "5:6: found \"1:\", expected numbers, UID or UID:GID"),
    ("user 4294967295", "5:6: found \"4294967295\", expected numbers, UID or UID:GID"),
    ("user 99999999999", "5:6: found \"99999999999\", expected numbers, UID or UID:GID"),
    ("directory a/b", "5:11: found \"a/b\", expected an absolute path without .., of at most 255 bytes"),
    ("directory /a/../b", "5:11: found \"/a/../b\", expected an absolute path without .., of at most 255 bytes"),
    ("env A=B c", "5:5: found \"A=B\", expected a name without ="),
    ("env A", "5:6: \"env\" needs a value, \"\" for an empty one"),
    ("env A b c", "5:9: unexpected word \"c\"; remove it, or quote words that belong together"),
    ("stop SIGKILLL", "5:6: found \"SIGKILLL\", expected a signal such as TERM, INT, QUIT, HUP or USR1"),
    ("stop TERM 5", "5:11: found \"5\", expected a duration such as 100ms, 5s, 2m or 1h, up to a day"),
    ("stop TERM 0s", "5:11: found \"0s\", expected a duration such as 100ms, 5s, 2m or 1h, up to a day"),
    ("stop TERM 25h", "5:11: found \"25h\", expected a duration such as 100ms, 5s, 2m or 1h, up to a day"),
    (
        "stop TERM 9999999999h",
        "5:11: found \"9999999999h\", expected a duration such as 100ms, 5s, 2m or 1h, up to a day",
    ),
    ("stop TERM 5s 6s", "5:14: unexpected word \"6s\"; remove it, or quote words that belong together"),
];

#[test]
fn invalid_value_is_refused_with_expected_form() {
    for (line, expected) in SYSTEM_LINES {
        assert_eq!(in_system(line), *expected, "{line}");
    }
    for (line, expected) in WORKLOAD_LINES {
        assert_eq!(in_workload(line), *expected, "{line}");
    }
}

#[test]
fn contradictory_restart_line_is_refused() {
    const LIMIT: Text = text!("limit=COUNT/DURATION such as limit=5/60s, with a count from 1 to 1000");
    for (line, expected) in [
        ("restart", String::from("5:8: \"restart\" needs never, on-failure or always")),
        ("restart often", String::from("5:9: found \"often\", expected never, on-failure or always")),
        ("restart always quickly", String::from("5:16: found \"quickly\", expected delay=, max=, limit= or else=")),
        (
            "restart always delay=1s delay=2s",
            String::from("5:25: unexpected word \"delay=2s\"; remove it, or quote words that belong together"),
        ),
        ("restart always delay=2s max=1s", String::from("5:9: max= is shorter than delay=; raise or remove it")),
        ("restart always else=reboot", String::from("5:16: else= needs limit=, such as limit=5/60s")),
        ("restart always limit=0/60s", format!("5:16: found \"limit=0/60s\", expected {LIMIT}")),
        ("restart always limit=1001/60s", format!("5:16: found \"limit=1001/60s\", expected {LIMIT}")),
        ("restart always limit=5", format!("5:16: found \"limit=5\", expected {LIMIT}")),
        (
            "restart always limit=2/1s else=halt",
            String::from("5:27: found \"else=halt\", expected else=stop, else=reboot or else=poweroff"),
        ),
        (
            // 1 + 2 + 4 + 4 + 4 seconds.
            "restart always delay=1s max=4s limit=5/15s",
            String::from(
                "5:32: the limit cannot be reached: back-off alone takes 15000 ms; lower max= or lengthen the period",
            ),
        ),
    ] {
        assert_eq!(in_workload(line), expected, "{line}");
    }
}

#[test]
fn invalid_device_is_refused_with_expected_form() {
    for (line, expected) in [
        (
            "device /tmp/x",
            "5:8: found \"/tmp/x\", expected a path below /dev, usb=VENDOR:PRODUCT[:SERIAL] with four hexadecimal digits each, or path= and a path",
        ),
        (
            "device usb=403:6001",
            "5:8: found \"usb=403:6001\", expected a path below /dev, usb=VENDOR:PRODUCT[:SERIAL] with four hexadecimal digits each, or path= and a path",
        ),
        (
            "device usb=0403:6001:",
            "5:8: found \"usb=0403:6001:\", expected a path below /dev, usb=VENDOR:PRODUCT[:SERIAL] with four hexadecimal digits each, or path= and a path",
        ),
        // udev creates these links. Without udev the line could only fail when the workload starts.
        (
            "device /dev/serial/by-id/usb-FTDI",
            "5:8: found \"/dev/serial/by-id/usb-FTDI\", expected usb=VENDOR:PRODUCT[:SERIAL] or path=, because nothing makes links below by-... on this board",
        ),
        ("device usb=0403:6001 class=", "5:22: found \"class=\", expected class= and a name of /sys/class such as tty"),
        ("device usb=0403:6001 as ttyMETER", "5:25: found \"ttyMETER\", expected a path below /dev"),
        ("device /dev/x class=tty", "5:15: found \"class=tty\", expected r, w or rw"),
        ("device /dev/x x", "5:15: found \"x\", expected r, w or rw"),
    ] {
        assert_eq!(in_workload(line), expected, "{line}");
    }
}

#[test]
fn invalid_confinement_value_is_refused_with_expected_form() {
    for (line, expected) in [
        ("share mnt", "5:7: found \"mnt\", expected cgroup, ipc, net, net=NAME, pid, time, user or uts"),
        ("share", "5:6: \"share\" needs cgroup, ipc, net, net=NAME, pid, time, user or uts"),
        ("share net=b", "5:7: unknown workload \"b\"; correct the name, or add its section"),
        ("share net=a", "5:7: workload \"a\" cannot refer to itself; remove the name"),
        ("ids 1000", "5:5: found \"1000\", expected the first of 65,536 ids, from 65536 up"),
        (
            "capability CAP_KILL",
            "5:12: found \"CAP_KILL\", expected a capability such as net_admin, in lower case without CAP_",
        ),
        ("seccomp", "5:8: \"seccomp\" needs default, strict or off"),
        ("seccomp default ptrace", "5:17: found \"ptrace\", expected +NAME or -NAME with the name of a system call"),
        ("seccomp default +ptrac", "5:17: found \"+ptrac\", expected +NAME or -NAME with the name of a system call"),
        ("seccomp off +ptrace", "5:13: unexpected word \"+ptrace\"; remove it, or quote words that belong together"),
        (
            "tcp bind=0",
            "5:5: found \"bind=0\", expected bind=PORT,... or connect=PORT,... with at most 8 ports each, or none",
        ),
        (
            "mount /a /proc/x",
            "5:10: found \"/proc/x\", expected an absolute path, not / and not below /proc, /sys or /dev",
        ),
        ("mount /a /b rx", "5:13: found \"rx\", expected ro, rw, ro,exec or rw,exec"),
        ("memory 32MB", "5:8: found \"32MB\", expected a number of bytes such as 32M or 1G, or max"),
        ("memory 32M low=1M", "5:12: found \"low=1M\", expected high=, min= or swap= and a number of bytes"),
        ("pids many", "5:6: found \"many\", expected a number of processes, or max"),
        ("cpu 50", "5:5: found \"50\", expected a percentage of one processor such as 50% or 200%"),
        ("cpuset 0-", "5:8: found \"0-\", expected a list of processors such as 0-1,3"),
        ("io /dev/vda", "5:12: \"io\" needs rbps=, wbps=, riops= or wiops= and a number"),
        ("umask 800", "5:7: found \"800\", expected an octal number such as 022"),
        ("rlimit files 5", "5:8: found \"files\", expected the name of a resource such as nofile (getrlimit(2))"),
        ("rlimit nofile 9 5", "5:15: found \"9\", expected a soft limit below the hard one"),
        ("oom_score_adj 1001", "5:15: found \"1001\", expected a whole number from -1000 to 1000"),
        ("nice --5", "5:6: found \"--5\", expected a whole number from -20 to 19"),
        ("scheduler fifo", "5:15: \"scheduler\" needs a priority from 1 to 99"),
        ("ioprio best-effort 8", "5:20: found \"8\", expected a level from 0 to 7"),
        (
            "user 70000",
            "2:1: workload \"a\": a user or group id is above 65535, the last of its own; lower it, or write: share user",
        ),
        (
            "share user\ncapability sys_admin",
            "2:1: workload \"a\": sys_admin with share user gives full control of the host; if intended, write: privileged",
        ),
    ] {
        assert_eq!(in_workload(line), expected, "{line}");
    }
}
