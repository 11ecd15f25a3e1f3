//! Errors in hilum.conf, reported by `hilum check`: the parser of the board and of the image builder.

use super::Told;
use crate::support::{hilum, host};
use std::process::Command;

/// A complete workload in lines 2 to 4.
const WORKLOAD: &str = "[workload web]\nroot /images/web\nexec /bin/httpd\n";

#[expect(clippy::too_many_lines, reason = "a table: one mistake, the line that makes it")]
pub(crate) fn told() -> Vec<Told> {
    let folder = tempfile::tempdir().expect("a folder");
    let check = |bytes: &[u8]| {
        std::fs::write(folder.path().join("hilum.conf"), bytes).expect("the file");
        let mut command = Command::new(hilum(host()));
        super::said(command.args(["check", "--config", "hilum.conf"]), folder.path())
    };
    let in_workload = |lines: &str| check(format!("hilum 1\n{WORKLOAD}{lines}\n").as_bytes());
    let in_system = |lines: &str| check(format!("hilum 1\n[system]\n{lines}\n").as_bytes());
    let on_bridge = |lines: &str| {
        let system = "[system]\nlink eth0 10.0.2.15/24 via 10.0.2.2\nbridge br0 10.77.0.1/24\n";
        let other = "[workload db]\nroot /r\nexec /x\nlink veth br0 10.77.0.2/24 via 10.77.0.1\npublish 80:80/tcp\n";
        check(format!("hilum 1\n{system}{other}{WORKLOAD}{lines}\n").as_bytes())
    };
    let many: String = (0..33).map(|number| format!("[workload w{number}]\nroot /r\nexec /x\n")).collect();
    vec![
        ("The file is empty", check(b"")),
        ("The version is missing", check(WORKLOAD.as_bytes())),
        ("The version is unknown", check(b"hilum 2\n")),
        ("Lines end with CR LF", check(b"hilum 1\r\n[system]\r\n")),
        ("The file starts with a byte order mark", check(b"\xef\xbb\xbfhilum 1\n")),
        ("A character is not UTF-8", check(b"hilum 1\n[system]\nhostname k\xfcche\n")),
        ("The file is a program", check(b"\x7fELF\x02\x01\x01\0\0\0")),
        ("The file is too large", check("# padding\n".repeat(7_000).as_bytes())),
        ("A line is too long", in_workload(&format!("env TEXT \"{}\"", "x".repeat(1_100)))),
        ("A key is misspelt", in_workload("memroy 32M")),
        ("A key belongs to the other section", in_workload("bridge br0 10.77.0.1/24")),
        ("A key does not exist", in_workload("colour blue")),
        ("A key precedes the first section", check(b"hilum 1\nhostname kitchen\n")),
        ("A section is misspelt", in_workload("[Workload db]")),
        ("There are two sections [system]", check(b"hilum 1\n[system]\n[system]\n")),
        ("A workload's name has capital letters", in_workload("[workload DB]")),
        ("Two workloads have the same name", in_workload("[workload web]")),
        ("There are too many workloads", check(format!("hilum 1\n{many}").as_bytes())),
        ("A workload has no program", check(b"hilum 1\n[workload web]\nroot /images/web\n")),
        ("A workload has no root filesystem", check(b"hilum 1\n[workload web]\nexec /bin/httpd\n")),
        ("A key is given twice", in_workload("exec /bin/other")),
        ("A value is missing", in_workload("user")),
        ("There is an extra word", in_system("hostname living room")),
        ("A quote is not closed", in_workload("env TEXT \"two words")),
        ("A path is relative", in_workload("directory srv")),
        ("A program has no absolute path", check(b"hilum 1\n[workload web]\nroot /r\nexec httpd\n")),
        ("A variable is set twice", in_workload("env LANG C\nenv LANG C.UTF-8")),
        ("A duration has no unit", in_workload("stop TERM 5")),
        ("An amount of memory has an unknown unit", in_workload("memory 32MB")),
        ("A percentage has no percent sign", in_workload("cpu 50")),
        ("A capability is written as in C", in_workload("capability CAP_NET_ADMIN")),
        ("A system call is misspelt", in_workload("seccomp default +ptrac")),
        ("A signal is misspelt", in_workload("stop HUPP")),
        ("A user id is too large", in_workload("user 70000")),
        ("A mount point is below /proc", in_workload("mount /data /proc/data")),
        ("A volume has no folder of volumes", in_workload("volume web /var/lib/web")),
        ("A workload would have full control of the host", in_workload("share user\ncapability sys_admin")),
        ("A needed workload does not exist", in_workload("needs db")),
        ("A workload needs itself", in_workload("needs web")),
        ("Two workloads need each other", in_workload("needs db\n[workload db]\nroot /r\nexec /x\nneeds web")),
        ("The delays are too long for the limit", in_workload("restart always delay=30s max=30s limit=5/60s")),
        ("The longest delay is shorter than the first one", in_workload("restart always delay=1m max=30s")),
        ("An action at the limit has no limit", in_workload("restart always else=reboot")),
        ("An address is not valid", in_system("link eth0 10.0.2.256/24 via 10.0.2.2")),
        ("An address has no prefix length", in_system("bridge br0 10.77.0.1")),
        ("A gateway is in another network", in_system("link eth0 10.0.2.15/24 via 10.0.3.1")),
        ("A name server is given by name", in_system("nameserver dns.example")),
        ("A bridge does not exist", on_bridge("link veth br1 10.77.0.3/24")),
        ("An address is not in the bridge's network", on_bridge("link veth br0 10.78.0.3/24")),
        ("An address is in use", on_bridge("link veth br0 10.77.0.2/24")),
        ("A port is in use", on_bridge("link veth br0 10.77.0.3/24 via 10.77.0.1\npublish 80:80/tcp")),
        ("A port is published without a network", in_workload("publish 80:80/tcp")),
        ("A published port has no protocol", on_bridge("publish 80:80")),
        ("A disk's filesystem is missing", in_system("mount LABEL=data /data")),
        ("The size of a log has an unknown unit", in_system("log /data/log size=1MB")),
    ]
}
