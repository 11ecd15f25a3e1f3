//! Kernel settings that distributions change from the kernel's defaults. PID 1 sets them at boot, and `hilum doctor`
//! checks them.
//!
//! They are those of systemd's 50-default.conf, of Debian, and of the Kernel Self-Protection Project.
//! `net.core.bpf_jit_harden` is omitted: it makes the kernel rewrite each seccomp filter, which makes a start 50 %
//! slower. A `sysctl` line with the same name overrides an entry.

use crate::config::Sysctl;
use crate::split::Split;
use crate::text;
use crate::text::Text;
use core::ops::RangeInclusive;
use heapless::String;

/// Maximum bytes of a setting's path.
pub const PATH_BYTES: usize = 256 + 16;

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Its name (sysctl(8)).
    pub name: &'static str,
    /// Its purpose.
    pub why: Text,
    /// The value that is written if the current one is not good.
    value: u8,
    /// The lowest and the highest good value. A kernel may be built with a stricter one.
    good: [i8; 2],
}

const fn exactly(name: &'static str, value: u8, why: Text) -> Setting {
    Setting { name, why, value, good: [value as i8; 2] }
}

const fn within(name: &'static str, value: u8, good: RangeInclusive<i8>, why: Text) -> Setting {
    Setting { name, why, value, good: [*good.start(), *good.end()] }
}

const SPOOFED: Text = text!("drops packets with spoofed source addresses");
const SOURCE: Text = text!("drops source-routed packets");
const REDIRECT: Text = text!("ignores ICMP redirects");
const SECONDARY: Text = text!("keeps secondary addresses when the primary one is removed");
const LINKS: Text = text!("restricts links in shared folders");
const SHARED: Text = text!("restricts writes to others' files in shared folders");

/// All settings. For IPv4, links that already exist take over the value of `default`.
pub const SETTINGS: [Setting; 26] = [
    within("net.ipv4.conf.all.rp_filter", 2, 1..=2, SPOOFED),
    within("net.ipv4.conf.default.rp_filter", 2, 1..=2, SPOOFED),
    exactly("net.ipv4.conf.all.accept_source_route", 0, SOURCE),
    exactly("net.ipv4.conf.default.accept_source_route", 0, SOURCE),
    within("net.ipv6.conf.all.accept_source_route", 0, -1..=0, SOURCE),
    within("net.ipv6.conf.default.accept_source_route", 0, -1..=0, SOURCE),
    exactly("net.ipv4.conf.all.accept_redirects", 0, REDIRECT),
    exactly("net.ipv4.conf.default.accept_redirects", 0, REDIRECT),
    exactly("net.ipv4.conf.all.secure_redirects", 0, REDIRECT),
    exactly("net.ipv4.conf.default.secure_redirects", 0, REDIRECT),
    exactly("net.ipv6.conf.all.accept_redirects", 0, REDIRECT),
    exactly("net.ipv6.conf.default.accept_redirects", 0, REDIRECT),
    exactly("net.ipv4.conf.all.promote_secondaries", 1, SECONDARY),
    exactly("net.ipv4.conf.default.promote_secondaries", 1, SECONDARY),
    exactly("fs.protected_hardlinks", 1, LINKS),
    exactly("fs.protected_symlinks", 1, LINKS),
    within("fs.protected_fifos", 2, 1..=2, SHARED),
    within("fs.protected_regular", 2, 1..=2, SHARED),
    exactly("fs.suid_dumpable", 0, text!("no core dumps of setuid programs")),
    within("kernel.kptr_restrict", 1, 1..=2, text!("hides kernel addresses")),
    exactly("kernel.dmesg_restrict", 1, text!("restricts the kernel log to root")),
    within("kernel.unprivileged_bpf_disabled", 2, 1..=2, text!("restricts BPF to root")),
    within("kernel.perf_event_paranoid", 2, 2..=4, text!("restricts kernel profiling to root")),
    within("kernel.yama.ptrace_scope", 1, 1..=3, text!("restricts ptrace to descendants")),
    exactly("kernel.randomize_va_space", 2, text!("randomizes address spaces")),
    exactly("kernel.sysrq", 16, text!("allows only sync by SysRq")),
];

/// Further settings of a kernel with br_netfilter (Documentation/networking/ip-sysctl.rst): whether frames on a bridge
/// pass the packet rules, and NAT, too. They must be off, because workloads are routed by the board; a frame whose
/// destination changed on the bridge would go from port to port despite isolation. A bridge's own switch of that name
/// can only enable it (br_nf_pre_routing in net/bridge/br_netfilter_hooks.c).
pub const BRIDGED: [Setting; 3] = [
    exactly("net.bridge.bridge-nf-call-iptables", 0, ROUTED),
    exactly("net.bridge.bridge-nf-call-ip6tables", 0, ROUTED),
    exactly("net.bridge.bridge-nf-call-arptables", 0, ROUTED),
];

const ROUTED: Text = text!("keeps packet rules from what only passes a bridge");

/// The IPv6 setting that existing links do not take over from `default`, so it is set for each link.
pub const OF_EACH_LINK: &str = "accept_redirects";

impl Setting {
    /// Returns the value that is written if the current one is not good.
    pub const fn value(&self) -> &'static str {
        match self.value {
            0 => "0",
            1 => "1",
            2 => "2",
            _ => "16",
        }
    }

    /// Returns whether the contents of the setting's file are a good value.
    pub fn is_good(&self, text: &[u8]) -> bool {
        let number = core::str::from_utf8(text).ok().and_then(|text| crate::number::number(text.trim_ascii()));
        number.is_some_and(|number: i32| (self.good[0].into()..=self.good[1].into()).contains(&number))
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
