//! Maintainer scripts, which are never run: a report about their effects, and the users that they would have added.

use crate::accounts;
use crate::tar_reader::{MemberKind, Reader};
use crate::tree::{Entry, Kind, Tree};
use anyhow::Result;
use std::io::Read;

/// Users that Debian packages add when they are installed: package, name, and the id here. The ids are from the end of the range
/// for system users (adduser.conf(5)).
const USERS: [(&str, &str, u32); 16] = [
    ("avahi-daemon", "avahi", 930),
    ("chrony", "_chrony", 931),
    ("dbus", "messagebus", 932),
    ("dnsmasq-base", "dnsmasq", 933),
    ("haproxy", "haproxy", 934),
    ("mariadb-server", "mysql", 935),
    ("memcached", "memcache", 936),
    ("mosquitto", "mosquitto", 937),
    ("ntpsec", "ntpsec", 938),
    ("openssh-server", "sshd", 939),
    ("postgresql-common", "postgres", 940),
    ("prometheus", "prometheus", 941),
    ("rabbitmq-server", "rabbitmq", 942),
    ("redis-tools", "redis", 943),
    ("tor", "debian-tor", 944),
    ("unbound", "unbound", 945),
];

/// Effects of scripts, by a word in them.
const EFFECTS: [(&str, &str); 8] = [
    ("adduser", "add users"),
    ("useradd", "add users"),
    ("update-alternatives", "make links in /etc/alternatives"),
    ("update-ca-certificates", "make /etc/ssl/certs/ca-certificates.crt"),
    ("dpkg-statoverride", "change owners and modes"),
    ("chown", "change owners"),
    ("ucf ", "write files in /etc"),
    ("db_get", "ask questions"),
];

/// Reads the archive of a package's control files. Returns a line about scripts with known effects, if there are any.
///
/// # Errors
/// An archive that is damaged.
pub fn told(package: &str, control: impl Read) -> Result<Option<String>> {
    let mut archive = Reader::new(control);
    let (mut scripts, mut effects) = (Vec::new(), Vec::new());
    while let Some(member) = archive.next_member()? {
        let name = member.path.trim_start_matches("./").to_owned();
        if member.kind != MemberKind::File || !["preinst", "postinst", "config"].contains(&name.as_str()) {
            continue;
        }
        let mut text = Vec::new();
        archive.contents(&member, &mut |_, part| {
            text.extend_from_slice(part);
            Ok(())
        })?;
        let text = String::from_utf8_lossy(&text).into_owned();
        for (word, effect) in EFFECTS {
            if text.contains(word) && !effects.contains(&effect) {
                effects.push(effect);
            }
        }
        scripts.push(name);
    }
    scripts.sort();
    if effects.is_empty() {
        // Other scripts restart services, update caches, and upgrade older versions.
        return Ok(None);
    }
    Ok(Some(format!("package {package}: not run: {}, which would {}", scripts.join(" and "), effects.join(", "))))
}

/// Adds the users of the packages of a root: those of base-passwd, and those of the table. Returns a line for each of the latter.
///
/// # Errors
/// A file that cannot be added.
pub fn add_users(tree: &mut Tree, packages: &[String]) -> Result<Vec<String>> {
    let mut added = Vec::new();
    for (file, master) in [("etc/passwd", "passwd.master"), ("etc/group", "group.master")] {
        let text = match tree.get(&format!("usr/share/base-passwd/{master}")).map(|entry| &entry.kind) {
            Some(Kind::File(contents)) => contents.clone(),
            _ => continue,
        };
        if tree.at(file).is_none() {
            tree.add(file, Entry::of_root(0o644, Kind::File(text)))?;
        }
    }
    for (_, user, id) in USERS.iter().filter(|(package, ..)| packages.iter().any(|found| found == package)) {
        if accounts::account(tree, user).is_err() {
            accounts::add(tree, user, *id)?;
            added.push(format!("user {user} is {id}:{id}"));
        }
    }
    Ok(added)
}
