//! Maintainer scripts, which are never run: a report about their effects, and the users that they would have added.

use super::{sysusers, tmpfiles};
use crate::accounts;
use crate::tar_reader::{MemberKind, Reader};
use crate::tree::{Entry, Kind, Tree};
use anyhow::Result;
use std::io::Read;

/// Users that Debian packages add when they are installed: package, name, and the id here. The ids are from the end of the range
/// for system users (adduser.conf(5)), or those of base-passwd.
const USERS: [(&str, &str, u32); 20] = [
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
    ("caddy", "caddy", 946),
    // Of base-passwd, which every Debian system has without any dependency.
    ("apache2", "www-data", 33),
    ("lighttpd", "www-data", 33),
    ("nginx-common", "www-data", 33),
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

/// What packages declare for the time of their installation or of the boot, in files that need no script.
#[derive(Debug, Default)]
pub struct Declared {
    /// Lines of sysusers.d(5).
    users: String,
    /// Lines of tmpfiles.d(5).
    folders: String,
}

impl Declared {
    /// Adds the lines of a package.
    pub fn extend(&mut self, package: &Tree) {
        for (path, entry) in package.iter().filter(|(path, _)| path.ends_with(".conf")) {
            let Kind::File(contents) = &entry.kind else { continue };
            if path.starts_with("usr/lib/sysusers.d/") {
                self.users += &(contents.text() + "\n");
            } else if path.starts_with("usr/lib/tmpfiles.d/") {
                self.folders += &(contents.text() + "\n");
            }
        }
    }
}

/// Completes the root filesystem of packages without their scripts: links of the merged /usr, /etc/hosts, users (those of base-passwd, those
/// that packages declare, and those of the table), and directories that packages declare. Returns a line for each user, and for each
/// directory that cannot be made.
///
/// # Errors
/// A declaration that the builder does not know, or a file that cannot be added.
pub fn complete(tree: &mut Tree, packages: &[String], declared: &Declared) -> Result<Vec<String>> {
    // As of base-files since Debian 13. In Debian 12 some packages still have files in these directories.
    for name in ["bin", "lib", "lib64", "sbin"] {
        if tree.get(&format!("usr/{name}")).is_some() && tree.get(name).is_none() {
            tree.add(name, Entry::of_root(0o777, Kind::Link(format!("usr/{name}"))))?;
        }
    }
    if tree.get("var").is_some() && tree.get("var/run").is_none() {
        tree.add("var/run", Entry::of_root(0o777, Kind::Link("/run".to_owned())))?;
    }
    // Debian's installer makes it. Of a workload with addresses, PID 1 attaches another one over it.
    if tree.get("etc").is_some() && tree.get("etc/hosts").is_none() {
        let hosts = *b"127.0.0.1 localhost\n::1 localhost\n";
        tree.add("etc/hosts", Entry::of_root(0o644, Kind::File(hosts.to_vec().into())))?;
    }
    for (file, master) in [("etc/passwd", "passwd.master"), ("etc/group", "group.master")] {
        let text = match tree.get(&format!("usr/share/base-passwd/{master}")).map(|entry| &entry.kind) {
            Some(Kind::File(contents)) => contents.clone(),
            _ => continue,
        };
        if tree.at(file).is_none() {
            tree.add(file, Entry::of_root(0o644, Kind::File(text)))?;
        }
    }
    let known = |name: &str| USERS.iter().find(|(_, user, _)| *user == name).map(|(.., id)| *id);
    let mut added = sysusers::add(tree, &declared.users, &known)?;
    for (_, user, id) in USERS.iter().filter(|(package, ..)| packages.iter().any(|found| found == package)) {
        if accounts::account(tree, user).is_err() {
            accounts::add(tree, user, *id)?;
            added.push(format!("user {user} is {id}:{id}"));
        }
    }
    added.extend(tmpfiles::add(tree, &declared.folders)?);
    Ok(added)
}
