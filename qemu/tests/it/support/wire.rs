//! A network namespace for PID 1, and another one at the other end of its link.

use super::Host;
use super::running::Running;
pub(crate) use super::running::until;
use hilum_qemu::Namespace;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

/// One link with DHCP, and one workload.
pub(crate) const DHCP: &str =
    "hilum 1\n[system]\ncontrol SOCKET\nlink eth0 dhcp\n[workload a]\nroot ROOT\nexec /bin/probe on-term\n";

/// PID 1 in a network namespace of its own.
pub(crate) fn start(host: &Host, config: &str) -> Namespace {
    host.start_wrapped(config, &["unshare", "--net"])
}

/// Runs a command in the network namespace of PID 1. Returns its output.
pub(crate) fn inside(namespace: &Namespace, words: &[&str]) -> String {
    beside(namespace.process_one().expect("it runs").as_raw_nonzero().get().unsigned_abs(), words)
}

/// Runs a command in the network namespace of the process with this PID. Returns its output.
pub(crate) fn beside(pid: u32, words: &[&str]) -> String {
    let pid = pid.to_string();
    let output = Command::new("nsenter").args(["--net", "--target", &pid, "--"]).args(words).output().expect("nsenter");
    [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat()
}

/// Returns how many router advertisements the kernel has received there on a link, used or not; 0 if there is no such
/// link.
pub(crate) fn advertisements(pid: u32, link: &str) -> u32 {
    let text = beside(pid, &["cat", &format!("/proc/net/dev_snmp6/{link}")]);
    let line = text.lines().find(|line| line.starts_with("Icmp6InRouterAdvertisements")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// Returns the output of `hilum net` there.
pub(crate) fn net(namespace: &Namespace) -> String {
    inside(namespace, &[super::hilum(super::host()).to_str().expect("UTF-8"), "net"])
}

/// Runs a function in the network namespace of the process with this PID, and returns its result.
pub(crate) fn within<T: Send + 'static>(pid: u32, run: impl FnOnce() -> T + Send + 'static) -> T {
    let namespace = std::fs::File::open(format!("/proc/{pid}/ns/net")).expect("its network");
    // In a separate thread, because a thread that enters a network namespace stays in it.
    let enter = move || {
        let kind = Some(rustix::thread::LinkNameSpaceType::Network);
        rustix::thread::move_into_link_name_space(namespace.as_fd(), kind).expect("setns");
        run()
    };
    std::thread::spawn(enter).join().expect("it does not panic")
}

/// Returns the host's PIDs of the children of PID 1.
pub(crate) fn children(namespace: &Namespace) -> Vec<u32> {
    let one = namespace.process_one().expect("it runs").as_raw_nonzero();
    let children = std::fs::read_to_string(format!("/proc/{one}/task/{one}/children")).expect("its children");
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Another network namespace with the other end of a link, and a server; killed when this is dropped.
pub(crate) struct Peer {
    holder: Running,
    server: Option<Child>,
    router: Option<Child>,
}

/// Starts a process with a network namespace of its own.
pub(crate) fn own_network() -> Running {
    let holder = Running::start(Command::new("unshare").args(["--net", "sleep", "600"]));
    let own = std::fs::read_link("/proc/self/ns/net").expect("a link");
    let namespace = || std::fs::read_link(format!("/proc/{}/ns/net", holder.0.id()));
    until("a network namespace of its own", || namespace().is_ok_and(|found| found != own));
    holder
}

impl Peer {
    /// Connects it: the board's end is `eth0`, this one is 192.168.9.1.
    pub(crate) fn new(namespace: &Namespace) -> Self {
        Self::by(namespace, "eth0")
    }

    /// Connects it to a link of the board with this name.
    pub(crate) fn by(namespace: &Namespace, name: &str) -> Self {
        let holder = own_network();
        let peer = Self { holder, server: None, router: None };
        let (board, server) = (namespace.process_one().expect("it runs"), peer.holder.0.id().to_string());
        let board = board.as_raw_nonzero().to_string();
        let link = ["link", "add", name, "netns", &board, "type", "veth", "peer", "name", "srv", "netns", &server];
        let made = Command::new("ip").args(link).status().expect("ip");
        assert!(made.success());
        for words in [&["addr", "add", "192.168.9.1/24", "dev", "srv"][..], &["link", "set", "srv", "up"]] {
            peer.ip(words);
        }
        peer
    }

    /// Runs ip(8) there.
    #[track_caller]
    pub(crate) fn ip(&self, words: &[&str]) {
        assert!(self.command("ip").args(words).status().expect("ip").success(), "ip {words:?}");
    }

    /// Returns the PID of the process that holds its namespace.
    pub(crate) fn pid(&self) -> u32 {
        self.holder.0.id()
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", &self.holder.0.id().to_string(), "--", program]);
        command
    }

    /// Starts dnsmasq. Returns its log file.
    pub(crate) fn serve(&mut self, folder: &std::path::Path) -> std::path::PathBuf {
        self.serve_range(folder, "192.168.9.50,192.168.9.50,120")
    }

    /// The same with another range of addresses, which must contain one of the peer. Replaces a running server, and
    /// keeps its leases.
    pub(crate) fn serve_range(&mut self, folder: &std::path::Path, range: &str) -> std::path::PathBuf {
        self.serve_options(folder, range, &[])
    }

    /// The same with additional options for dnsmasq(8).
    pub(crate) fn serve_options(
        &mut self,
        folder: &std::path::Path,
        range: &str,
        words: &[&str],
    ) -> std::path::PathBuf {
        let log = folder.join("dnsmasq.log");
        let mut command = self.command("dnsmasq");
        command.args([
            "--no-daemon",
            "--port=0",
            "--conf-file=/dev/null",
            "--interface=srv",
            "--log-dhcp",
            "--user=root",
        ]);
        // Renewed after ten seconds, the minimum that this client accepts.
        command.args([&format!("--dhcp-range={range}"), "--dhcp-option=58,10", "--dhcp-option=6,192.168.9.3"]);
        command.arg(format!("--dhcp-leasefile={}", folder.join("leases").display())).args(words);
        self.run_server(command, &log);
        log
    }

    /// Starts ISC dhcpd, for `-4` or `-6`; `text` is its dhcpd.conf(5).
    pub(crate) fn serve_isc(&mut self, folder: &std::path::Path, family: &str, text: &str) -> std::path::PathBuf {
        let at = |name: &str| folder.join(format!("dhcpd{family}.{name}"));
        std::fs::write(at("conf"), text).expect("a file");
        std::fs::write(at("leases"), "").expect("a file");
        let mut command = self.command("/usr/sbin/dhcpd");
        command.args([family, "-d", "-user", "root", "-group", "root", "-cf"]).arg(at("conf"));
        command.arg("-lf").arg(at("leases")).arg("-pf").arg(at("pid")).arg("srv");
        self.run_server(command, &at("log"));
        at("log")
    }

    /// Starts Kea for DHCPv4; `text` is the part of `Dhcp4` besides interfaces, leases and logs. It keeps the leases of
    /// a previous one.
    pub(crate) fn serve_kea(&mut self, folder: &std::path::Path, text: &str) -> std::path::PathBuf {
        let at = |name: &str| folder.join(format!("kea.{name}"));
        let config = format!(
            "{{ \"Dhcp4\": {{ \"interfaces-config\": {{ \"interfaces\": [ \"srv\" ] }}, \"authoritative\": true,\n\
             \"lease-database\": {{ \"type\": \"memfile\", \"name\": \"{}\" }},\n\
             \"loggers\": [ {{ \"name\": \"kea-dhcp4\", \"severity\": \"DEBUG\", \"debuglevel\": 50,\n\
             \"output_options\": [ {{ \"output\": \"stdout\" }} ] }} ],\n{text} }} }}\n",
            at("leases").display()
        );
        std::fs::write(at("conf"), config).expect("a file");
        // It ignores a link without a carrier, and does not check again.
        until("a carrier", || beside(self.pid(), &["ip", "link", "show", "srv"]).contains(",LOWER_UP"));
        let mut command = self.command("/usr/sbin/kea-dhcp4");
        command.arg("-c").arg(at("conf")).env("KEA_PIDFILE_DIR", folder).env("KEA_LOCKFILE_DIR", "none");
        self.run_server(command, &at("log"));
        at("log")
    }

    /// Runs a server in place of the running one. Returns its log file.
    pub(crate) fn run_server(&mut self, mut command: Command, log: &std::path::Path) {
        self.stop_serving();
        let file = std::fs::File::create(log).expect("a file");
        command.stderr(file.try_clone().expect("the file")).stdout(file).stdin(Stdio::null());
        self.server = Some(command.spawn().expect("a server"));
    }

    /// Ends dnsmasq.
    pub(crate) fn stop_serving(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().expect("it runs");
            server.wait().expect("it runs");
        }
    }

    /// Starts radvd, which advertises these prefixes and routes; `what` is the part of radvd.conf(5).
    pub(crate) fn advertise(&mut self, folder: &std::path::Path, what: &str) {
        let (file, pid_file) = (folder.join("radvd.conf"), folder.join("radvd.pid"));
        let text = format!("interface srv {{ AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; {what} }};\n");
        std::fs::write(&file, text).expect("a file");
        let mut command = self.command("radvd");
        command.args(["--nodaemon", "--logmethod", "stderr", "--config"]).arg(&file).arg("--pidfile").arg(&pid_file);
        self.stop_advertising();
        self.router = Some(command.stderr(Stdio::null()).spawn().expect("radvd"));
    }

    /// Kills radvd, without a final advertisement.
    pub(crate) fn stop_advertising(&mut self) {
        if let Some(mut router) = self.router.take() {
            router.kill().expect("it runs");
            router.wait().expect("it runs");
        }
    }

    pub(crate) fn count(log: &std::path::Path, word: &str) -> usize {
        std::fs::read_to_string(log).unwrap_or_default().matches(word).count()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        for child in self.server.iter_mut().chain(&mut self.router) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
