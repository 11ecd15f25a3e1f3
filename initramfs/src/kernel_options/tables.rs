//! Which options of the kernel's configuration (Kconfig) each feature needs, as data.
//!
//! An option is a name without `CONFIG_`, which is set to `y`, or a name with its value. Its parents are beside it where the kernel
//! drops an option silently without them (`make olddefconfig`); the names are those of Linux 6.1 and 6.12.

use hilum::Architecture;
use hilum::config::Section;

/// Names of options, with blanks between them.
pub(super) type Options = &'static str;

/// What [`of_protection`] is for, too.
pub(super) const PROTECTION: &str = "protection of the kernel";

/// What every board needs, each with what it is for.
pub(super) const ALWAYS: &[(&str, Options)] = &[
    (
        "PID 1 and programs",
        "SMP PRINTK PRINTK_TIME TTY BINFMT_ELF BINFMT_SCRIPT MULTIUSER FUTEX EPOLL SIGNALFD TIMERFD EVENTFD AIO \
     IO_URING POSIX_TIMERS HIGH_RES_TIMERS NO_HZ_IDLE FILE_LOCKING ADVISE_SYSCALLS MEMBARRIER \
     RSEQ INOTIFY_USER PROC_FS PROC_SYSCTL SYSFS SHMEM TMPFS TMPFS_XATTR TMPFS_POSIX_ACL \
     DEVTMPFS UNIX98_PTYS COREDUMP ELF_CORE BUG CC_OPTIMIZE_FOR_PERFORMANCE HW_RANDOM \
     RANDOM_TRUST_CPU RANDOM_TRUST_BOOTLOADER",
    ),
    ("the initramfs", "BLK_DEV_INITRD"),
    ("namespaces of workloads", "NAMESPACES UTS_NS TIME_NS IPC_NS USER_NS PID_NS NET_NS SYSVIPC POSIX_MQUEUE KEYS"),
    ("limits of workloads", "CGROUPS MEMCG CGROUP_PIDS CGROUP_FREEZER"),
    // The kernel checks accesses to devices by a BPF program of the cgroup.
    ("devices of workloads", "BPF_SYSCALL CGROUP_BPF CGROUP_DEVICE"),
    ("seccomp", "SECCOMP SECCOMP_FILTER"),
    ("landlock", "SECURITY SECURITY_LANDLOCK SECURITYFS"),
    // The restrictions from the start: the first workload may start before PID 1 has made the settings.
    (
        "settings of the kernel",
        "SECURITY_YAMA LSM=\"landlock,yama\" MAGIC_SYSRQ PERF_EVENTS SECURITY_DMESG_RESTRICT BPF_UNPRIV_DEFAULT_OFF",
    ),
    ("networks of workloads", "NET UNIX INET IPV6 NETDEVICES"),
    (
        PROTECTION,
        "STACKPROTECTOR STACKPROTECTOR_STRONG VMAP_STACK RANDOMIZE_KSTACK_OFFSET RANDOMIZE_KSTACK_OFFSET_DEFAULT HARDENED_USERCOPY \
     FORTIFY_SOURCE INIT_ON_ALLOC_DEFAULT_ON SLAB_FREELIST_RANDOM SLAB_FREELIST_HARDENED",
    ),
];

/// What every board of an architecture needs.
pub(super) const fn of_architecture(architecture: Architecture) -> Options {
    match architecture {
        Architecture::X86_64 => {
            "64BIT HYPERVISOR_GUEST PARAVIRT KVM_GUEST PVH RTC_CLASS RTC_DRV_CMOS RTC_HCTOSYS RTC_SYSTOHC RTC_INTF_SYSFS RTC_INTF_DEV KERNEL_ZSTD"
        }
        Architecture::Aarch64 => {
            "ARM_AMBA ARM_PSCI_FW RTC_CLASS RTC_DRV_PL031 RTC_HCTOSYS RTC_SYSTOHC RTC_INTF_SYSFS RTC_INTF_DEV ARM64_4K_PAGES"
        }
    }
}

/// What a board with a driver for PCI needs: its machine tells by ACPI what is where, or by a device tree.
pub(super) const fn of_pci(architecture: Architecture) -> Options {
    match architecture {
        Architecture::X86_64 => "ACPI PCI PCI_MSI X86_X2APIC",
        Architecture::Aarch64 => "PCI PCI_MSI PCI_HOST_GENERIC",
    }
}

/// What plugging a card into a running machine needs. No key asks for it: a board with such slots has it in `kernel-options`.
pub(super) const fn of_pci_slots(architecture: Architecture) -> Options {
    match architecture {
        // QEMU's q35 plugs by ACPI.
        Architecture::X86_64 => "PCIEPORTBUS HOTPLUG_PCI HOTPLUG_PCI_PCIE HOTPLUG_PCI_ACPI",
        Architecture::Aarch64 => "PCIEPORTBUS HOTPLUG_PCI HOTPLUG_PCI_PCIE",
    }
}

/// What protects the kernel from programs, as Debian's kernels have it: faults of processors, and what makes faults of the kernel harder
/// to use.
pub(super) const fn of_protection(architecture: Architecture) -> Options {
    match architecture {
        Architecture::X86_64 => {
            "CPU_MITIGATIONS PAGE_TABLE_ISOLATION RETPOLINE RETHUNK CPU_UNRET_ENTRY CPU_IBPB_ENTRY CPU_IBRS_ENTRY CPU_SRSO \
     MITIGATION_PAGE_TABLE_ISOLATION MITIGATION_RETPOLINE MITIGATION_RETHUNK MITIGATION_UNRET_ENTRY MITIGATION_IBPB_ENTRY \
     MITIGATION_IBRS_ENTRY MITIGATION_SRSO MITIGATION_GDS MITIGATION_MDS MITIGATION_TAA MITIGATION_MMIO_STALE_DATA MITIGATION_L1TF \
     MITIGATION_RETBLEED MITIGATION_SPECTRE_V1 MITIGATION_SPECTRE_V2 MITIGATION_SRBDS MITIGATION_SSB MITIGATION_RFDS \
     MITIGATION_SPECTRE_BHI MITIGATION_ITS MITIGATION_TSA RELOCATABLE RANDOMIZE_BASE RANDOMIZE_MEMORY X86_UMIP"
        }
        Architecture::Aarch64 => {
            "UNMAP_KERNEL_AT_EL0 MITIGATE_SPECTRE_BRANCH_HISTORY RODATA_FULL_DEFAULT_ENABLED ARM64_PAN ARM64_E0PD RELOCATABLE RANDOMIZE_BASE"
        }
    }
}

/// The processor's own instructions for the hashes of verified images.
pub(super) const fn of_hashes(architecture: Architecture) -> Options {
    match architecture {
        Architecture::X86_64 => "CRYPTO_SHA256_SSSE3",
        Architecture::Aarch64 => "KERNEL_MODE_NEON CRYPTO_SHA256_ARM64 CRYPTO_SHA2_ARM64_CE",
    }
}

/// Options that only one of Linux 6.1 and 6.12 has: the other one always behaves like that, or has another name for it.
pub(super) const OF_ONE_VERSION: Options = "RANDOM_TRUST_CPU RANDOM_TRUST_BOOTLOADER PAGE_TABLE_ISOLATION RETPOLINE RETHUNK \
     CPU_UNRET_ENTRY CPU_IBPB_ENTRY CPU_IBRS_ENTRY CPU_SRSO MITIGATION_PAGE_TABLE_ISOLATION MITIGATION_RETPOLINE MITIGATION_RETHUNK \
     MITIGATION_UNRET_ENTRY MITIGATION_IBPB_ENTRY MITIGATION_IBRS_ENTRY MITIGATION_SRSO MITIGATION_GDS MITIGATION_MDS MITIGATION_TAA \
     MITIGATION_MMIO_STALE_DATA MITIGATION_L1TF MITIGATION_RETBLEED MITIGATION_SPECTRE_V1 MITIGATION_SPECTRE_V2 MITIGATION_SRBDS \
     MITIGATION_SSB";

/// What a machine of this architecture needs, if no driver is for PCI.
pub(super) const fn of_small(architecture: Architecture) -> Options {
    match architecture {
        // The tables of processors and interrupts before ACPI.
        Architecture::X86_64 => "X86_MPPARSE",
        Architecture::Aarch64 => NOTHING,
    }
}

/// Modules that are for PCI.
pub(super) const PCI: [&str; 9] =
    ["virtio_pci", "nvme", "ahci", "xhci_pci", "e1000e", "igb", "r8169", "i6300esb", "virtio_scsi"];

/// What a key of hilum.conf needs.
#[derive(Debug)]
pub(super) struct Rule {
    /// The key's section.
    pub(super) section: Section,
    /// The key.
    pub(super) key: &'static str,
    /// The line needs the options only if it has this word, or a word that begins with it and ends with `=` or `/`; empty
    /// for all lines.
    pub(super) word: &'static str,
    /// The options.
    pub(super) options: Options,
}

const fn system(key: &'static str, word: &'static str, options: Options) -> Rule {
    Rule { section: Section::System, key, word, options }
}

const fn workload(key: &'static str, word: &'static str, options: Options) -> Rule {
    Rule { section: Section::Workload, key, word, options }
}

const NOTHING: Options = "";
const WATCHDOG: Options = "WATCHDOG";
/// Filesystems are on disks.
const EXT4: Options = "BLOCK EXT4_FS";
const XFS: Options = "BLOCK XFS_FS";
const F2FS: Options = "BLOCK MISC_FILESYSTEMS F2FS_FS";
const VFAT: Options = "BLOCK VFAT_FS NLS NLS_CODEPAGE_437 NLS_ASCII NLS_ISO8859_1";
const EXFAT: Options = "BLOCK EXFAT_FS NLS NLS_UTF8";
/// Images are files, which the kernel mounts by loop devices.
const EROFS: Options = "BLOCK BLK_DEV BLK_DEV_LOOP MISC_FILESYSTEMS EROFS_FS EROFS_FS_XATTR EROFS_FS_ZIP";
const SQUASHFS: Options = "BLOCK BLK_DEV BLK_DEV_LOOP MISC_FILESYSTEMS SQUASHFS SQUASHFS_ZSTD SQUASHFS_ZLIB \
     SQUASHFS_XZ SQUASHFS_XATTR";
const DM_VERITY: Options = "MD BLK_DEV_DM DM_VERITY CRYPTO_SHA256";
/// What workloads behind a bridge may do is packet rules.
const PACKET_RULES: Options = "NETFILTER NETFILTER_ADVANCED NETFILTER_INGRESS NETFILTER_NETLINK NF_CONNTRACK \
     NF_CT_NETLINK NF_TABLES NF_TABLES_INET NF_TABLES_NETDEV NFT_CT";
const NAT: Options = "NF_NAT NFT_NAT";
/// Without the first two the kernel drops the third one, and refuses the rules with ENOENT.
const PUBLISHED: Options = "NF_NAT NFT_NAT NFT_FIB_IPV4 NFT_FIB_IPV6 NFT_FIB_INET";
const DHCP: Options = "PACKET";
const ZRAM: Options = "SWAP BLOCK BLK_DEV ZSMALLOC ZRAM";
const USB: Options = "USB_SUPPORT USB";
/// The controller cpu.
const CPU: Options = "CGROUP_SCHED FAIR_GROUP_SCHED CFS_BANDWIDTH";

/// What the keys of hilum.conf need: each key has a rule, some have several. A test compares them with the keys of the parser.
pub(super) const RULES: &[Rule] = &[
    system("hostname", "", NOTHING),
    system("console", "", NOTHING),
    system("idle", "", NOTHING),
    // By the table of modules.
    system("module", "", NOTHING),
    system("sysctl", "", NOTHING),
    system("mount", "ext4", EXT4),
    system("mount", "xfs", XFS),
    system("mount", "f2fs", F2FS),
    system("mount", "vfat", VFAT),
    system("mount", "exfat", EXFAT),
    system("mount", "erofs", EROFS),
    system("mount", "squashfs", SQUASHFS),
    // Partitions, and the images on them.
    system("mount", "", "BLOCK BLK_DEV PARTITION_ADVANCED EFI_PARTITION MSDOS_PARTITION"),
    system("volumes", "", NOTHING),
    system("site", "", NOTHING),
    system("swap", "zram", ZRAM),
    system("swap", "lzo", "CRYPTO CRYPTO_LZO"),
    system("swap", "lz4", "CRYPTO CRYPTO_LZ4"),
    system("swap", "lz4hc", "CRYPTO CRYPTO_LZ4HC"),
    system("swap", "zstd", "CRYPTO CRYPTO_ZSTD"),
    // The default is lzo-rle.
    system("swap", "", "CRYPTO CRYPTO_LZO"),
    system("link", "dhcp", DHCP),
    system("link", "vlan", "VLAN_8021Q"),
    system("link", "", NOTHING),
    system("bridge", "", "BRIDGE"),
    system("bridge", "", PACKET_RULES),
    system("masquerade", "", NAT),
    system("masquerade", "", "NFT_MASQ"),
    system("nameserver", "", NOTHING),
    system("route", "", NOTHING),
    system("watchdog", "", WATCHDOG),
    system("control", "", NOTHING),
    system("boots", "", NOTHING),
    system("update", "", "BLOCK BLK_DEV PARTITION_ADVANCED EFI_PARTITION MSDOS_PARTITION"),
    // The kernel verifies the signature of a bundle by a certificate.
    system("update", "", "KEYS CRYPTO CRYPTO_RSA CRYPTO_SHA256 ASYMMETRIC_KEY_TYPE ASYMMETRIC_PUBLIC_KEY_SUBTYPE"),
    system("update", "", "X509_CERTIFICATE_PARSER"),
    system("time", "", NOTHING),
    system("log", "", NOTHING),
    workload("root", "overlay", "OVERLAY_FS"),
    workload("root", "verity", DM_VERITY),
    workload("root", "", NOTHING),
    workload("exec", "", NOTHING),
    workload("env", "", NOTHING),
    workload("directory", "", NOTHING),
    workload("hostname", "", NOTHING),
    workload("user", "", NOTHING),
    workload("needs", "", NOTHING),
    workload("after", "", NOTHING),
    workload("restart", "", NOTHING),
    workload("stop", "", NOTHING),
    workload("share", "", NOTHING),
    workload("capability", "", NOTHING),
    workload("seccomp", "", NOTHING),
    workload("landlock", "", NOTHING),
    workload("tcp", "", NOTHING),
    workload("ids", "", NOTHING),
    workload("sys", "", NOTHING),
    workload("tmp", "", NOTHING),
    workload("device", "usb", USB),
    workload("device", "", NOTHING),
    workload("mount", "", NOTHING),
    workload("volume", "", NOTHING),
    workload("link", "veth", "VETH"),
    workload("link", "macvlan", "MACVLAN"),
    workload("link", "ipvlan", "IPVLAN"),
    workload("link", "dhcp", DHCP),
    workload("link", "move", NOTHING),
    workload("publish", "", PUBLISHED),
    workload("talk", "", NOTHING),
    workload("resolv", "", NOTHING),
    workload("memory", "", NOTHING),
    workload("pids", "", NOTHING),
    workload("cpu", "", CPU),
    workload("cpuset", "", "CPUSETS"),
    workload("io", "", "BLOCK BLK_CGROUP BLK_DEV_THROTTLING"),
    workload("groups", "", NOTHING),
    workload("umask", "", NOTHING),
    workload("rlimit", "", NOTHING),
    workload("oom_score_adj", "", NOTHING),
    workload("nice", "", NOTHING),
    workload("scheduler", "", NOTHING),
    workload("ioprio", "", "BLOCK"),
    workload("personality", "", NOTHING),
    workload("ready", "", NOTHING),
    workload("health", "", NOTHING),
    workload("critical", "", NOTHING),
    workload("safe", "", NOTHING),
    workload("at-stop", "", NOTHING),
    workload("reaper", "", NOTHING),
    workload("control", "", NOTHING),
    workload("log", "", NOTHING),
    workload("privileged", "", NOTHING),
];

/// The options of the formats of root filesystems, by the names in a description.
pub(super) const FORMATS: &[(&str, Options)] = &[("erofs", EROFS), ("squashfs", SQUASHFS), ("folder", NOTHING)];

/// The options of outputs, by the names in a description. What starts a Raspberry Pi is not in the tables.
pub(super) const OUTPUTS: &[(&str, Options)] =
    &[("initramfs", NOTHING), ("direct", NOTHING), ("uefi-disk", "EFI EFI_STUB EFIVAR_FS")];

/// The options of an update on a board with this output: how it goes to the other slot. On aarch64 kexec needs processors that can be
/// turned off.
pub(super) const UPDATES: &[(&str, Options)] = &[
    // Boards that QEMU starts directly go from slot to slot by kexec_file_load(2) and kexec_load(2).
    ("direct", "SUSPEND HOTPLUG_CPU CRYPTO CRYPTO_SHA256 KEXEC KEXEC_FILE"),
    ("uefi-disk", NOTHING),
];

/// The console on a screen, which has a keyboard. It is also what Ctrl-Alt-Del reaches PID 1 by.
pub(super) const SCREEN: &str = "tty";

/// The options of the keyboard of an architecture's machines. Those on USB are not among them.
pub(super) const fn of_keyboard(architecture: Architecture) -> Options {
    match architecture {
        Architecture::X86_64 => "INPUT INPUT_KEYBOARD KEYBOARD_ATKBD SERIO SERIO_I8042",
        Architecture::Aarch64 => NOTHING,
    }
}

/// The options of consoles: words of a board's command line begin with `console=` and this.
pub(super) const CONSOLES: &[(&str, Options)] = &[
    ("ttyS", "SERIAL_8250 SERIAL_8250_CONSOLE"),
    ("ttyAMA", "SERIAL_AMBA_PL011 SERIAL_AMBA_PL011_CONSOLE"),
    (SCREEN, "VT VT_CONSOLE INPUT FB FB_EFI FRAMEBUFFER_CONSOLE FONTS FONT_8x16"),
    ("hvc", "VIRTIO_MENU VIRTIO_CONSOLE"),
];

/// The options of modules, by their names in Debian's kernels: of `modules` and `hotplug-modules` of a board, and of `module`
/// lines.
pub(super) const MODULES: &[(&str, Options)] = &[
    ("virtio_pci", "VIRTIO_MENU VIRTIO_PCI"),
    ("virtio_mmio", "VIRTIO_MENU VIRTIO_MMIO VIRTIO_MMIO_CMDLINE_DEVICES"),
    ("virtio_net", "NETDEVICES NET_CORE VIRTIO_NET"),
    ("virtio_blk", "BLOCK BLK_DEV VIRTIO_BLK"),
    ("virtio_scsi", "BLOCK SCSI SCSI_LOWLEVEL SCSI_VIRTIO"),
    ("virtio_rng", "HW_RANDOM HW_RANDOM_VIRTIO"),
    ("nvme", "BLOCK BLK_DEV_NVME"),
    ("ahci", "BLOCK SCSI BLK_DEV_SD ATA SATA_AHCI"),
    ("sd_mod", "BLOCK SCSI BLK_DEV_SD"),
    ("xhci_pci", "USB_SUPPORT USB USB_PCI USB_XHCI_HCD USB_XHCI_PCI"),
    ("usb_storage", "BLOCK SCSI BLK_DEV_SD USB_SUPPORT USB USB_STORAGE"),
    ("uas", "BLOCK SCSI BLK_DEV_SD USB_SUPPORT USB USB_STORAGE USB_UAS"),
    ("cdc_acm", "USB_SUPPORT USB USB_ACM"),
    ("usbserial", "USB_SUPPORT USB USB_SERIAL"),
    ("ftdi_sio", "USB_SUPPORT USB USB_SERIAL USB_SERIAL_FTDI_SIO"),
    ("e1000e", "NETDEVICES ETHERNET NET_VENDOR_INTEL E1000E"),
    ("igb", "NETDEVICES ETHERNET NET_VENDOR_INTEL IGB"),
    ("r8169", "NETDEVICES ETHERNET NET_VENDOR_REALTEK R8169"),
    ("softdog", "WATCHDOG SOFT_WATCHDOG"),
    ("i6300esb", "WATCHDOG I6300ESB_WDT"),
    ("loop", "BLOCK BLK_DEV BLK_DEV_LOOP"),
    ("efivarfs", "EFI EFIVAR_FS"),
    ("zram", ZRAM),
    ("dm_mod", "MD BLK_DEV_DM"),
    ("dm_verity", DM_VERITY),
    // By architecture: of_hashes.
    ("sha256_ssse3", NOTHING),
    ("sha256_arm64", NOTHING),
    ("sha2_ce", NOTHING),
    ("overlay", "OVERLAY_FS"),
    ("ext4", EXT4),
    ("xfs", XFS),
    ("f2fs", F2FS),
    ("vfat", VFAT),
    ("exfat", EXFAT),
    ("erofs", EROFS),
    ("squashfs", SQUASHFS),
    ("libcrc32c", "LIBCRC32C"),
    ("netfs", NOTHING),
    ("bridge", "BRIDGE"),
    ("br_netfilter", "BRIDGE NETFILTER NETFILTER_ADVANCED BRIDGE_NETFILTER"),
    ("8021q", "VLAN_8021Q"),
    ("veth", "VETH"),
    ("macvlan", "MACVLAN"),
    ("ipvlan", "IPVLAN"),
    ("wireguard", "WIREGUARD"),
    ("tun", "NETDEVICES NET_CORE TUN"),
    ("nf_tables", PACKET_RULES),
];
