//! The kernel modules that a configuration needs. PID 1 loads them; the image builder packs them.

use super::isolation::Overlay;
use super::model::Config;
use super::network::{Attachment, LinkMatch};

/// Calls `work` with each kernel module that the configuration needs, by its name in Debian's kernels. In a kernel each of
/// them may be built in, or be part of another one (nft_counter from 5.17 on).
pub fn needed_modules<'a>(config: &'a Config<'_>, work: &mut dyn FnMut(&'a str)) {
    let links = || config.workloads.iter().flat_map(|workload| config.pools.of(workload.network.links));
    let has = |wanted: fn(&Attachment<'_>) -> bool| links().any(|link| wanted(&link.attachment));
    let has_bridges = !config.system.network.bridges.is_empty();
    let has_vlans = config.system.network.links.iter().any(|link| matches!(link.which, LinkMatch::Vlan { .. }));
    let publishes = config.workloads.iter().any(|workload| !workload.network.publish.is_empty());
    let masquerades = !config.system.network.masquerades.is_empty();
    let verifies = config.workloads.iter().any(|workload| workload.verity.is_some());
    let mounts = |kind: &str| config.system.mounts.iter().any(|mount| mount.kind == kind);
    let swap = config.system.swap;
    let needed = [
        (mounts("vfat"), "nls_cp437"),
        (mounts("vfat"), "nls_ascii"),
        // From 6.12 on the algorithms are part of zram.
        (swap.is_some(), swap.map_or("", |swap| if swap.algorithm == "lzo-rle" { "lzo_rle" } else { swap.algorithm })),
        (swap.is_some(), "zram"),
        (config.workloads.iter().any(|workload| workload.overlay != Overlay::None), "overlay"),
        (has_vlans, "8021q"),
        // The processor's own instructions for hashes, which halve the time of reading: by architecture, if it has them.
        (verifies, "sha256_ssse3"),
        (verifies, "sha256_arm64"),
        (verifies, "sha2_ce"),
        (verifies, "dm_verity"),
        (has_bridges, "bridge"),
        (has(|attachment| matches!(attachment, Attachment::Bridge(_))), "veth"),
        (has(|attachment| matches!(attachment, Attachment::Macvlan(_))), "macvlan"),
        (has(|attachment| matches!(attachment, Attachment::Ipvlan(_))), "ipvlan"),
        (has_bridges, "nf_tables"),
        (has_bridges, "nft_counter"),
        (has_bridges, "nft_ct"),
        (has_bridges, "nf_conntrack_netlink"),
        (publishes || masquerades, "nft_chain_nat"),
        (publishes, "nft_nat"),
        (publishes, "nft_fib_inet"),
        (masquerades, "nft_masq"),
    ];
    // The module of a filesystem has the filesystem's name.
    let mounts = &config.system.mounts;
    for (index, mount) in mounts.iter().enumerate() {
        if mounts[..index].iter().all(|before| before.kind != mount.kind) {
            work(mount.kind);
        }
    }
    for (is_needed, name) in needed {
        if is_needed {
            work(name);
        }
    }
}
