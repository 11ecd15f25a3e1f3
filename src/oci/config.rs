//! The bundle's config.json (OCI runtime specification 1.2), as far as Linux is concerned.
//!
//! Everything that the specification knows has a field, so that what is not done can be refused (`refuse.rs`); unknown
//! fields are ignored, as it demands.

use crate::cgroup::resources::Resources;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

macro_rules! model {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident : $kind:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name { $($(#[$field_doc])* pub $field: $kind,)* }
    };
}
pub(crate) use model;

/// Annotations, and other maps of texts.
pub type Texts = BTreeMap<String, String>;

model!(
    /// The whole file.
    Spec {
        /// The version of the specification.
        oci_version: String,
        /// The root filesystem.
        root: Option<Root>,
        /// Mounts, in order.
        mounts: Vec<Mount>,
        /// The program.
        process: Option<Process>,
        /// The host name of a UTS namespace.
        hostname: Option<String>,
        /// The NIS domain name of a UTS namespace.
        domainname: Option<String>,
        /// Programs that run at certain moments.
        hooks: Option<Hooks>,
        /// Texts for whoever reads them.
        annotations: Texts,
        /// Linux.
        linux: Option<Linux>,
        /// Virtual machines.
        vm: Option<Value>,
    }
);

model!(
    /// The root filesystem.
    Root {
        /// Its folder, relative to the bundle.
        path: String,
        /// Whether it is read-only.
        readonly: bool,
    }
);

model!(
    /// A mount.
    Mount {
        /// The mount point.
        destination: String,
        /// The source; of a bind mount relative to the bundle.
        source: Option<String>,
        /// The filesystem's type.
        #[serde(rename = "type")]
        kind: Option<String>,
        /// Options as in fstab(5).
        options: Vec<String>,
        /// Maps of an idmapped mount.
        #[serde(rename = "uidMappings")]
        uid_mappings: Vec<IdMap>,
        /// Maps of an idmapped mount.
        #[serde(rename = "gidMappings")]
        gid_mappings: Vec<IdMap>,
    }
);

model!(
    /// A range of ids.
    #[derive(Copy)]
    IdMap {
        /// The first one inside.
        #[serde(rename = "containerID")]
        container_id: u32,
        /// The first one outside.
        #[serde(rename = "hostID")]
        host_id: u32,
        /// How many.
        size: u32,
    }
);

model!(
    /// A program.
    Process {
        /// Whether it has a terminal.
        terminal: bool,
        /// Its size.
        console_size: Option<ConsoleSize>,
        /// Its user.
        user: User,
        /// Its words.
        args: Vec<String>,
        /// Its environment, `NAME=value` each.
        env: Vec<String>,
        /// Its working directory.
        cwd: String,
        /// Its capabilities; none if there are none.
        capabilities: Option<Capabilities>,
        /// Its limits.
        rlimits: Vec<Rlimit>,
        /// PR_SET_NO_NEW_PRIVS
        no_new_privileges: bool,
        /// AppArmor
        apparmor_profile: Option<String>,
        /// oom_score_adj
        oom_score_adj: Option<i32>,
        /// SELinux
        selinux_label: Option<String>,
        /// sched_setattr(2)
        scheduler: Option<Value>,
        /// ioprio_set(2)
        io_priority: Option<IoPriority>,
        /// The processors of `exec`.
        #[serde(rename = "execCPUAffinity")]
        exec_cpu_affinity: Option<Value>,
    }
);

model!(
    /// Rows and columns.
    #[derive(Copy)]
    ConsoleSize {
        /// Rows
        height: u16,
        /// Columns
        width: u16,
    }
);

model!(
    /// ids of a program.
    User {
        /// The user.
        uid: u32,
        /// The group.
        gid: u32,
        /// The file mode creation mask.
        umask: Option<u32>,
        /// Further groups.
        additional_gids: Vec<u32>,
    }
);

model!(
    /// Five sets of names.
    Capabilities {
        /// No program can gain others.
        bounding: Vec<String>,
        /// In effect.
        effective: Vec<String>,
        /// Kept at exec if the file says so.
        inheritable: Vec<String>,
        /// May be made effective.
        permitted: Vec<String>,
        /// Kept at exec.
        ambient: Vec<String>,
    }
);

model!(
    /// A limit.
    Rlimit {
        /// Its name: RLIMIT_NOFILE.
        #[serde(rename = "type")]
        kind: String,
        /// The limit in effect.
        soft: u64,
        /// The highest one that it can be set to.
        hard: u64,
    }
);

model!(
    /// ioprio_set(2)
    IoPriority {
        /// IOPRIO_CLASS_BE
        class: String,
        /// From 0 to 7.
        priority: u16,
    }
);

model!(
    /// Hooks of all kinds, in the order in which they run.
    Hooks {
        /// Deprecated: as `create_runtime`, before them.
        prestart: Vec<Hook>,
        /// In the host's namespaces, before pivot_root(2).
        create_runtime: Vec<Hook>,
        /// In the container's namespaces, before pivot_root(2).
        create_container: Vec<Hook>,
        /// In the container, before the program.
        start_container: Vec<Hook>,
        /// On the host, after the program was started.
        poststart: Vec<Hook>,
        /// On the host, after the container was deleted.
        poststop: Vec<Hook>,
    }
);

model!(
    /// A program that gets the state on its standard input.
    Hook {
        /// Its path.
        path: String,
        /// Its words, beginning with its name.
        args: Vec<String>,
        /// Its environment.
        env: Vec<String>,
        /// Its seconds.
        timeout: Option<u64>,
    }
);

model!(
    /// Linux.
    Linux {
        /// The map of a user namespace.
        uid_mappings: Vec<IdMap>,
        /// The map of a user namespace.
        gid_mappings: Vec<IdMap>,
        /// Settings below /proc/sys.
        sysctl: Texts,
        /// Limits of the cgroup.
        resources: Option<Resources>,
        /// Its path.
        cgroups_path: Option<String>,
        /// Namespaces, new or by path.
        namespaces: Vec<Namespace>,
        /// Devices besides the usual ones.
        devices: Vec<Device>,
        /// Device nodes of network links.
        net_devices: Option<Value>,
        /// System calls.
        seccomp: Option<Seccomp>,
        /// Propagation of the root mount.
        rootfs_propagation: Option<String>,
        /// Paths that are hidden.
        masked_paths: Vec<String>,
        /// Paths that are made read-only.
        readonly_paths: Vec<String>,
        /// SELinux label of mounts.
        mount_label: Option<String>,
        /// Cache allocation.
        intel_rdt: Option<Value>,
        /// NUMA
        memory_policy: Option<Value>,
        /// personality(2)
        personality: Option<Personality>,
        /// Offsets of a time namespace.
        time_offsets: Option<Value>,
    }
);

model!(
    /// A namespace.
    Namespace {
        /// Its kind.
        #[serde(rename = "type")]
        kind: String,
        /// One that exists; empty for a new one.
        path: Option<String>,
    }
);

model!(
    /// A device node.
    Device {
        /// Its path inside.
        path: String,
        /// c, b, u or p.
        #[serde(rename = "type")]
        kind: String,
        /// Its major number.
        major: Option<u32>,
        /// Its minor number.
        minor: Option<u32>,
        /// Its mode.
        file_mode: Option<u32>,
        /// Its owner.
        uid: Option<u32>,
        /// Its group.
        gid: Option<u32>,
    }
);

model!(
    /// personality(2)
    Personality {
        /// LINUX or LINUX32.
        domain: String,
        /// None are defined.
        flags: Vec<String>,
    }
);

model!(
    /// A filter of system calls.
    Seccomp {
        /// What happens without a rule.
        default_action: String,
        /// Its errno.
        default_errno_ret: Option<u32>,
        /// The architectures.
        architectures: Vec<String>,
        /// Flags of seccomp(2).
        flags: Vec<String>,
        /// The socket of an agent that gets notifications.
        listener_path: Option<String>,
        /// Rules.
        syscalls: Vec<Rule>,
    }
);

model!(
    /// A rule for some calls.
    Rule {
        /// Their names.
        names: Vec<String>,
        /// What happens.
        action: String,
        /// Its errno.
        errno_ret: Option<u32>,
        /// Comparisons, of which all have to be true.
        args: Vec<Argument>,
    }
);

model!(
    /// A comparison of an argument.
    Argument {
        /// Which one, from 0 to 5.
        index: u32,
        /// The value, or the mask.
        value: u64,
        /// The masked value.
        value_two: u64,
        /// SCMP_CMP_EQ
        op: String,
    }
);
