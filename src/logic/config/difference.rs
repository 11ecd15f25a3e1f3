//! What one configuration changes of another: which workloads go on as they are when a board reads its file again.

use super::isolation::Isolation;
use super::limits::{FIRST_ID, IDS, WORKLOADS};
use super::model::{Config, Workload, WorkloadSet};
use super::network::{Attachment, Network, WorkloadLink};

/// Where each workload of the new configuration was in the old one, where nothing that is said of it has changed; none
/// for one that is new or changed. Workloads are known by their names; the order of the file does not matter.
pub fn unchanged(old: &Config<'_>, new: &Config<'_>) -> [Option<usize>; WORKLOADS] {
    let mut places = [None; WORKLOADS];
    for (index, (place, workload)) in places.iter_mut().zip(&new.workloads).enumerate() {
        let before = old.workloads.iter().position(|before| before.name == workload.name);
        *place = before.filter(|before| is_same(old, *before, new, index));
    }
    places
}

/// Gives workloads without an `ids` line the ids that they had in the old configuration: in the file's order they would
/// move when a workload comes before them. New ones get ranges that nobody has.
pub fn keep_ids(old: &Config<'_>, new: &mut Config<'_>) {
    let mut is_done = WorkloadSet::EMPTY;
    for (index, workload) in new.workloads.iter_mut().enumerate() {
        let before = old.workloads.iter().find(|before| before.name == workload.name);
        let before = before.filter(|before| !before.isolation.has_own_ids && !workload.isolation.has_own_ids);
        if let Some(before) = before {
            workload.isolation.first_id = before.isolation.first_id;
        }
        if before.is_some() || workload.isolation.has_own_ids {
            is_done.insert(index);
        }
    }
    for index in (0..new.workloads.len()).filter(|index| !is_done.contains(*index)) {
        let is_free = |first: u32| {
            let others = new.workloads.iter().enumerate().filter(|(other, _)| *other != index);
            let mut taken = others.map(|(_, workload)| workload.isolation.first_id);
            !taken.any(|taken| taken.abs_diff(first) < IDS)
        };
        // There are two ranges for each workload up to the limit, so one of them is free.
        let free = (1..=2 * WORKLOADS as u32).map(|place| place * IDS).find(|first| is_free(*first));
        new.workloads[index].isolation.first_id = free.unwrap_or(*FIRST_ID.start());
    }
}

fn is_same(old: &Config<'_>, before: usize, new: &Config<'_>, after: usize) -> bool {
    let (left, right) = (&old.workloads[before], &new.workloads[after]);
    // Taken apart, so that a new field is not forgotten here.
    let Workload {
        name: _,
        line: _,
        root,
        overlay,
        exec,
        env,
        directory,
        hostname,
        identity,
        isolation,
        resources,
        needs,
        after,
        restart,
        stop,
        supervision,
        network,
    } = left;
    *root == right.root
        && *overlay == right.overlay
        && *exec == right.exec
        && *env == right.env
        && *directory == right.directory
        && *hostname == right.hostname
        && *identity == right.identity
        && is_isolated_alike(old, isolation, new, &right.isolation)
        && *resources == right.resources
        && names_the_same(old, *needs, new, right.needs)
        && names_the_same(old, *after, new, right.after)
        && *restart == right.restart
        && *stop == right.stop
        && *supervision == right.supervision
        && is_networked_alike(old, network, new, &right.network)
}

/// Whether two networks are the same. Their lines may be others.
fn is_networked_alike(old: &Config<'_>, left: &Network<'_>, new: &Config<'_>, right: &Network<'_>) -> bool {
    let Network { links, publish, talk, talks_to_board, has_resolv } = left;
    let bridge = |config: &Config<'_>, link: &WorkloadLink<'_>| match link.attachment {
        Attachment::Bridge(name) => config.system.network.bridge(name).map(|bridge| bridge.addresses.clone()),
        _ => None,
    };
    let is_same = |(left, right): (&WorkloadLink<'_>, &WorkloadLink<'_>)| {
        left == right && bridge(old, left) == bridge(new, right)
    };
    // Whom it may talk to is known by their addresses.
    let has_same_addresses = |index: usize| {
        let peer = &old.workloads[index];
        let after = new.workloads.iter().find(|after| after.name == peer.name);
        after.is_some_and(|after| after.network.addresses().eq(peer.network.addresses()))
    };
    links.len() == right.links.len()
        && links.iter().zip(&right.links).all(is_same)
        && *publish == right.publish
        && names_the_same(old, *talk, new, right.talk)
        && talk.iter().all(has_same_addresses)
        && *talks_to_board == right.talks_to_board
        && *has_resolv == right.has_resolv
}

fn is_isolated_alike(old: &Config<'_>, left: &Isolation<'_>, new: &Config<'_>, right: &Isolation<'_>) -> bool {
    let Isolation {
        shared,
        net_of,
        is_net_shared,
        first_id,
        has_own_ids: _,
        capabilities,
        seccomp,
        has_landlock,
        tcp,
        devices,
        mounts,
        volumes,
        has_sys,
        tmp_bytes,
        tmp_is_executable,
        is_privileged,
    } = left;
    let net = |of: Option<u8>| {
        let mut set = WorkloadSet::EMPTY;
        if let Some(index) = of {
            set.insert(index.into());
        }
        set
    };
    *shared == right.shared
        && names_the_same(old, net(*net_of), new, net(right.net_of))
        && *is_net_shared == right.is_net_shared
        && *first_id == right.first_id
        && *capabilities == right.capabilities
        && *seccomp == right.seccomp
        && *has_landlock == right.has_landlock
        && *tcp == right.tcp
        && *devices == right.devices
        && *mounts == right.mounts
        && *volumes == right.volumes
        && *has_sys == right.has_sys
        && *tmp_bytes == right.tmp_bytes
        && *tmp_is_executable == right.tmp_is_executable
        && *is_privileged == right.is_privileged
}

/// Whether two sets of indexes name the same workloads.
fn names_the_same(old: &Config<'_>, left: WorkloadSet, new: &Config<'_>, right: WorkloadSet) -> bool {
    let has = |name: &str| right.iter().any(|index| new.workloads[index].name == name);
    left.iter().count() == right.iter().count() && left.iter().all(|index| has(old.workloads[index].name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn read(text: &str) -> Config<'_> {
        let mut config = Config::EMPTY;
        parse(text.as_bytes(), &mut config).expect("a good configuration");
        config
    }

    fn section(name: &str, lines: &str) -> String {
        format!("[workload {name}]\nroot /r\nexec /b\n{lines}\n")
    }

    fn places(old: &str, new: &str) -> Vec<Option<usize>> {
        let (old, mut new) = (read(old), read(new));
        keep_ids(&old, &mut new);
        unchanged(&old, &new)[..new.workloads.len()].to_vec()
    }

    #[test]
    fn another_network_is_a_change_and_another_line_is_none() {
        let board = "hilum 1\n[system]\nbridge br0 10.0.0.1/24\n";
        let link = "link veth br0 10.0.0.2/24 via 10.0.0.1\n";
        let two = |first: &str, second: &str| format!("{board}{}{}", section("a", first), section("b", second));
        let talks = "link veth br0 10.0.0.3/24\ntalk a";
        let old = two(link, talks);
        assert_eq!(places(&old, &old.replace("[system]", "# a comment\n[system]")), [Some(0), Some(1)]);
        assert_eq!(places(&old, &two(&format!("{link}publish 80:80/tcp"), talks)), [None, Some(1)]);
        // Whoever talks to it has its address in rules and in /etc/hosts.
        assert_eq!(places(&old, &two("link veth br0 10.0.0.4/24 via 10.0.0.1", talks)), [None, None]);
    }

    #[test]
    fn what_did_not_change_goes_on_wherever_it_stands() {
        let (a, b, c) = (section("a", ""), section("b", "needs a"), section("c", "share net=a"));
        let old = format!("hilum 1\n{a}{b}{c}");
        assert_eq!(places(&old, &old), [Some(0), Some(1), Some(2)]);
        assert_eq!(places(&old, &format!("hilum 1\n\n# moved\n{c}{a}{b}")), [Some(2), Some(0), Some(1)]);
        assert_eq!(
            places(&old, &format!("hilum 1\n{}{a}{b}{c}", section("new", ""))),
            [None, Some(0), Some(1), Some(2)]
        );
    }

    #[test]
    fn every_kind_of_line_is_a_change() {
        for line in [
            "env A 1",
            "directory /x",
            "hostname h",
            "user 5",
            "groups 5",
            "share uts",
            "capability kill",
            "pids 5",
            "needs b",
            "after b",
            "restart never",
            "stop INT",
            "ready after 1s",
            "health file /x",
            "critical",
            "safe",
            "reaper",
            "log quiet",
            "at-stop",
            "landlock off",
            "seccomp strict",
            "sys",
            "tmp 1M",
            "mount /a /b",
            "volume v /b",
            "device /dev/x",
            "tcp none",
            "ids 1000000",
            "share net=b",
            "umask 077",
            "nice 5",
            "memory 1M",
            "io /d rbps=1",
        ] {
            let board = "hilum 1\n[system]\nvolumes /v\n";
            let old = format!("{board}{}{}", section("a", ""), section("b", ""));
            let new = format!("{board}{}{}", section("a", line), section("b", ""));
            assert_eq!(places(&old, &new)[0], None, "{line}");
        }
    }

    #[test]
    fn needs_are_compared_by_name() {
        let old = format!("hilum 1\n{}{}{}", section("a", "needs b"), section("b", ""), section("c", ""));
        let new = format!("hilum 1\n{}{}{}", section("a", "needs c"), section("b", ""), section("c", ""));
        assert_eq!(places(&old, &new), [None, Some(1), Some(2)]);
    }

    #[test]
    fn no_two_workloads_get_the_same_ids() {
        let old = read("hilum 1\n[workload a]\nroot /r\nexec /b\n[workload b]\nroot /r\nexec /b\n");
        let text = format!("hilum 1\n{}{}{}", section("x", ""), section("b", ""), section("y", "ids 200000"));
        let mut new = read(&text);
        keep_ids(&old, &mut new);
        let ids: Vec<u32> = new.workloads.iter().map(|workload| workload.isolation.first_id).collect();
        assert_eq!(ids[1], old.workloads[1].isolation.first_id);
        for (index, id) in ids.iter().enumerate() {
            assert!(ids.iter().skip(index + 1).all(|other| other.abs_diff(*id) >= IDS), "{ids:?}");
        }
    }
}
