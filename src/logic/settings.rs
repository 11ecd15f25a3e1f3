//! Kernel settings that distributions change from the kernel's defaults. PID 1 sets them at boot, and `hilum doctor`
//! checks them.
//!
//! They are those of systemd's 50-default.conf, of Debian, and of the Kernel Self-Protection Project.
//! `net.core.bpf_jit_harden` is omitted: it makes the kernel rewrite each seccomp filter, which makes a start 50 %
//! slower. A `sysctl` line with the same name overrides an entry.

use crate::config::Sysctl;
use crate::split::Split;
use crate::text;
use crate::text::{LONGEST_TABLE, Text};
use heapless::String;

/// Maximum bytes of a setting's path.
pub const PATH_BYTES: usize = 256 + 16;

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// Its name (sysctl(8)).
    pub name: &'a str,
    /// Its purpose.
    pub why: &'a str,
    /// The good values with commas between them. The first one is written if the current one is another. A kernel may be
    /// built with a stricter one.
    good: &'a str,
}

/// All settings: name, good values, purpose if it is not that of the line before. For IPv4, links that already exist
/// take over the value of `default`.
///
/// The last ones are those of a kernel with br_netfilter (Documentation/networking/ip-sysctl.rst): whether frames on a
/// bridge pass the packet rules, and NAT, too. They must be off, because workloads are routed by the board; a frame
/// whose destination changed on the bridge would go from port to port despite isolation. A bridge's own switch of that
/// name can only enable it (br_nf_pre_routing in net/bridge/br_netfilter_hooks.c).
const SETTINGS: Text = text!(
    "net.ipv4.conf.all.rp_filter 2,1 drops packets with spoofed source addresses
net.ipv4.conf.default.rp_filter 2,1
net.ipv4.conf.all.accept_source_route 0 drops source-routed packets
net.ipv4.conf.default.accept_source_route 0
net.ipv6.conf.all.accept_source_route 0,-1
net.ipv6.conf.default.accept_source_route 0,-1
net.ipv4.conf.all.accept_redirects 0 ignores ICMP redirects
net.ipv4.conf.default.accept_redirects 0
net.ipv4.conf.all.secure_redirects 0
net.ipv4.conf.default.secure_redirects 0
net.ipv6.conf.all.accept_redirects 0
net.ipv6.conf.default.accept_redirects 0
net.ipv4.conf.all.promote_secondaries 1 keeps secondary addresses when the primary one is removed
net.ipv4.conf.default.promote_secondaries 1
fs.protected_hardlinks 1 restricts links in shared folders
fs.protected_symlinks 1
fs.protected_fifos 2,1 restricts writes to others' files in shared folders
fs.protected_regular 2,1
fs.suid_dumpable 0 no core dumps of setuid programs
kernel.kptr_restrict 1,2 hides kernel addresses
kernel.dmesg_restrict 1 restricts the kernel log to root
kernel.unprivileged_bpf_disabled 2,1 restricts BPF to root
kernel.perf_event_paranoid 2,3,4 restricts kernel profiling to root
kernel.yama.ptrace_scope 1,2,3 restricts ptrace to descendants
kernel.randomize_va_space 2 randomizes address spaces
kernel.sysrq 16 allows only sync by SysRq
net.bridge.bridge-nf-call-iptables 0 keeps packet rules from what only passes a bridge
net.bridge.bridge-nf-call-ip6tables 0
net.bridge.bridge-nf-call-arptables 0"
);

/// Calls a function with each setting and its index, which is below 32.
pub fn each(use_setting: &mut dyn FnMut(usize, &Setting<'_>)) {
    let mut text = [0; LONGEST_TABLE];
    let mut last = "";
    for (index, line) in SETTINGS.unpack(&mut text).parts(b'\n').enumerate() {
        let Some((name, rest)) = line.cut(b' ') else { continue };
        let (good, why) = rest.cut(b' ').unwrap_or((rest, last));
        last = why;
        use_setting(index, &Setting { name, why, good });
    }
}

/// The IPv6 setting that existing links do not take over from `default`, so it is set for each link.
pub const OF_EACH_LINK: &str = "accept_redirects";

impl<'a> Setting<'a> {
    /// Returns the value that is written if the current one is not good.
    pub fn value(&self) -> &'a str {
        self.good.cut(b',').map_or(self.good, |(first, _)| first)
    }

    /// Returns whether the contents of the setting's file are a good value.
    pub fn is_good(&self, text: &[u8]) -> bool {
        self.good.parts(b',').any(|value| value.as_bytes() == text.trim_ascii())
    }

    /// Returns whether only a kernel with br_netfilter has it.
    pub fn is_of_bridges(&self) -> bool {
        self.name.starts_with("net.bridge.")
    }
}

/// Returns the path of a setting's file. `None` if it is too long. The name is `net.ipv4.ip_forward` or
/// `net/ipv4/ip_forward`; in the second form a part may contain dots (sysctl(8)).
pub fn path(name: &str) -> Option<String<PATH_BYTES>> {
    let mut path = String::new();
    path.push_str("/proc/sys/").ok()?;
    let has_slashes = name.place_of(b'/').is_some();
    for letter in name.chars() {
        path.push(if letter == '.' && !has_slashes { '/' } else { letter }).ok()?;
    }
    Some(path)
}

/// Returns whether a line of the configuration sets it.
pub fn is_set_by(sysctls: &[Sysctl<'_>], name: &str) -> bool {
    let wanted = path(name);
    sysctls.iter().any(|sysctl| path(sysctl.name) == wanted)
}

#[cfg(test)]
mod tests;
