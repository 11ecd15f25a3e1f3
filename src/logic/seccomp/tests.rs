//! Runs the programs in an interpreter of the few instructions that they use.

use super::assembler::{
    ALLOW, AND, JUMP, JUMP_ANY_BIT, JUMP_AT_LEAST, JUMP_EQUAL, KILL_PROCESS, LOAD, NO_PROTOCOL, REFUSE, RETURN, Range,
    UNKNOWN, search,
};
use super::*;

/// The input of a filter (`struct seccomp_data`).
#[derive(Clone, Copy, Default)]
struct Data {
    number: u32,
    audit: u32,
    arguments: [u64; 6],
}

impl Data {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.audit,
            16.. => {
                let argument = self.arguments[(offset as usize - 16) / 8];
                if offset.is_multiple_of(8) { argument as u32 } else { (argument >> 32) as u32 }
            }
            _ => panic!("offset {offset}"),
        }
    }
}

/// Runs a program. Returns its result and the number of executed instructions. Asserts that all jumps stay inside of
/// the program.
fn run(program: &Program, data: &Data) -> (u32, usize) {
    let (mut at, mut accumulator, mut count) = (0, 0, 0);
    loop {
        let [code_low, code_high, jump_true, jump_false, a, b, c, d] = program[at];
        let (code, value) = (u16::from_le_bytes([code_low, code_high]), u32::from_le_bytes([a, b, c, d]));
        count += 1;
        at += 1;
        let holds = match code {
            RETURN => return (value, count),
            LOAD => {
                accumulator = data.word(value);
                continue;
            }
            AND => {
                accumulator &= value;
                continue;
            }
            JUMP => {
                at += value as usize;
                continue;
            }
            JUMP_EQUAL => accumulator == value,
            JUMP_AT_LEAST => accumulator >= value,
            JUMP_ANY_BIT => accumulator & value != 0,
            other => panic!("instruction {other:#x}"),
        };
        at += usize::from(if holds { jump_true } else { jump_false });
    }
}

fn call(arch: Architecture, name: &str, arguments: [u64; 6]) -> Data {
    let number = Call::named(name).and_then(|call| call.number(arch)).expect("a call of this architecture");
    Data { number: number.into(), audit: arch.audit(), arguments }
}

fn profile(profile: Profile) -> Seccomp {
    Seccomp { profile, changes: Vec::new() }
}

fn verdict(arch: Architecture, seccomp: &Seccomp, name: &str, arguments: [u64; 6]) -> u32 {
    run(&assemble(arch, seccomp, 0), &call(arch, name, arguments)).0
}

#[test]
fn every_number_gets_the_action_of_its_call() {
    for arch in Architecture::ALL {
        for kind in [Profile::Default, Profile::Strict] {
            let seccomp = profile(kind);
            let program = assemble(arch, &seccomp, 0);
            let mut named = [false; 600];
            for known in Call::all() {
                let Some(number) = known.number(arch) else { continue };
                named[usize::from(number)] = true;
                let (found, _) = run(&program, &call(arch, &known.name(), [0; 6]));
                match action_for(&seccomp, 0, known) {
                    FilterAction::Allow => assert_eq!(found, ALLOW, "{}", known.name()),
                    FilterAction::Refuse => assert_eq!(found, REFUSE, "{}", known.name()),
                    FilterAction::Unknown => assert_eq!(found, UNKNOWN, "{}", known.name()),
                    FilterAction::Check(_) => assert!([ALLOW, REFUSE].contains(&found), "{}", known.name()),
                }
            }
            for number in (0..600).filter(|number| !named[*number as usize]) {
                let data = Data { number, audit: arch.audit(), ..Data::default() };
                assert_eq!(run(&program, &data).0, UNKNOWN, "number {number} of {arch:?}");
            }
        }
    }
}

#[test]
fn call_names_match_their_indexes() {
    for known in Call::all() {
        assert_eq!(Call::named(&known.name()), Some(known));
    }
    assert_eq!(Call::named("openat").and_then(|call| call.number(Architecture::X86_64)), Some(257));
    assert_eq!(Call::named("openat").and_then(|call| call.number(Architecture::Aarch64)), Some(56));
    assert_eq!(Call::named("open").and_then(|call| call.number(Architecture::Aarch64)), None);
    assert_eq!(Call::named("opne"), None);
}

#[test]
fn calls_used_for_container_escapes_are_refused() {
    let refused = [
        "mount",
        "umount2",
        "pivot_root",
        "setns",
        "unshare",
        "open_tree",
        "move_mount",
        "fsopen",
        "fsmount",
        "mount_setattr",
        "chroot",
        "ptrace",
        "process_vm_writev",
        "pidfd_getfd",
        "bpf",
        "perf_event_open",
        "keyctl",
        "add_key",
        "request_key",
        "kexec_load",
        "kexec_file_load",
        "init_module",
        "finit_module",
        "delete_module",
        "reboot",
        "swapon",
        "swapoff",
        "quotactl",
        "acct",
        "settimeofday",
        "clock_settime",
        "open_by_handle_at",
        "userfaultfd",
        "io_uring_setup",
        "io_uring_enter",
        "io_uring_register",
        "sethostname",
        "setdomainname",
        "syslog",
        "fanotify_init",
        "kcmp",
        "lookup_dcookie",
        "move_pages",
        "mbind",
        "nfsservctl",
        "vhangup",
    ];
    for arch in Architecture::ALL {
        for name in refused {
            for kind in [Profile::Default, Profile::Strict] {
                assert_eq!(verdict(arch, &profile(kind), name, [0; 6]), REFUSE, "{name} on {arch:?}");
            }
        }
    }
}

#[test]
fn numbers_of_other_architectures_kill_the_process() {
    let pairs = Architecture::ALL.into_iter().flat_map(|arch| Architecture::ALL.map(|other| (arch, other)));
    for (arch, other) in pairs.filter(|(arch, other)| arch != other) {
        let program = assemble(arch, &Seccomp::DEFAULT, 0);
        let data = Data { audit: other.audit(), ..call(arch, "read", [0; 6]) };
        assert_eq!(run(&program, &data).0, KILL_PROCESS);
        // AUDIT_ARCH_I386, through int 0x80.
        assert_eq!(run(&program, &Data { audit: 0x4000_0003, ..data }).0, KILL_PROCESS);
    }
    let program = assemble(Architecture::X86_64, &Seccomp::DEFAULT, 0);
    let x32 = Data { number: 0x4000_0000 | 1, audit: Architecture::X86_64.audit(), ..Data::default() };
    assert_eq!(run(&program, &x32).0, KILL_PROCESS);
}

#[test]
fn clone_creates_no_namespace_and_clone3_falls_back() {
    for arch in Architecture::ALL {
        let clone = |flags| verdict(arch, &Seccomp::DEFAULT, "clone", [flags, 0, 0, 0, 0, 0]);
        // The flags of pthread_create and fork.
        assert_eq!(clone(0x003d_0f00), ALLOW);
        assert_eq!(clone(17), ALLOW);
        for bit in [0x0002_0000_u64, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000] {
            assert_eq!(clone(bit | 17), REFUSE, "{bit:#x}");
        }
        assert_eq!(verdict(arch, &Seccomp::DEFAULT, "clone3", [0; 6]), UNKNOWN);
    }
}

#[test]
fn terminal_injection_is_refused_with_any_high_bits() {
    for arch in Architecture::ALL {
        let ioctl = |request| verdict(arch, &Seccomp::DEFAULT, "ioctl", [0, request, 0, 0, 0, 0]);
        for request in [0x5412, 0x541c] {
            assert_eq!(ioctl(request), REFUSE);
            assert_eq!(ioctl(request | 1 << 32), REFUSE);
        }
        // TCGETS
        assert_eq!(ioctl(0x5401), ALLOW);
    }
}

#[test]
fn only_listed_personalities_and_socket_families_are_allowed() {
    for arch in Architecture::ALL {
        let one = |name, value| verdict(arch, &Seccomp::DEFAULT, name, [value, 0, 0, 0, 0, 0]);
        for (value, expected) in [(0, ALLOW), (8, ALLOW), (0xffff_ffff, ALLOW), (0x004_0000, REFUSE), (3, REFUSE)] {
            assert_eq!(one("personality", value), expected, "{value:#x}");
        }
        // packet 17, vsock 40, alg 38, bluetooth 31
        for (value, expected) in
            [(1, ALLOW), (2, ALLOW), (10, ALLOW), (16, ALLOW), (17, REFUSE), (38, REFUSE), (40, REFUSE)]
        {
            assert_eq!(one("socket", value), expected, "{value}");
        }
    }
}

/// Returns the action for socket(2) of a profile with these capabilities.
fn socket(arch: Architecture, capabilities: u64, arguments: [u64; 3]) -> u32 {
    let [family, kind, protocol] = arguments;
    let program = assemble(arch, &Seccomp::DEFAULT, capabilities);
    run(&program, &call(arch, "socket", [family, kind, protocol, 0, 0, 0])).0
}

#[test]
fn unneeded_netlink_protocols_are_refused() {
    for arch in Architecture::ALL {
        for protocol in 0..40 {
            let expected = |listed: &[u64]| if listed.contains(&protocol) { ALLOW } else { NO_PROTOCOL };
            // ROUTE and KOBJECT_UEVENT; with CAP_NET_ADMIN SOCK_DIAG, XFRM, NETFILTER and GENERIC as well.
            assert_eq!(socket(arch, 0, [16, 3, protocol]), expected(&[0, 15]), "{protocol}");
            assert_eq!(socket(arch, 1 << 12, [16, 3, protocol]), expected(&[0, 4, 6, 12, 15, 16]), "{protocol}");
            // The kernel reads an int: higher bits must not change the result.
            let above = 1 << 32 | protocol;
            assert_eq!(socket(arch, 0, [16 | 1 << 40, 3, above]), expected(&[0, 15]), "{above:#x}");
            // For other families the protocol is not checked.
            assert_eq!(socket(arch, 0, [2, 1, protocol]), ALLOW);
        }
    }
}

#[test]
fn packet_sockets_are_refused_by_their_old_type_too() {
    for arch in Architecture::ALL {
        // The kernel turns AF_INET with SOCK_PACKET into AF_PACKET, with any flags.
        for kind in [10, 10 | 0x800, 10 | 0x8_0000, 10 | 0x8_0800, 10 | 1 << 32] {
            assert_eq!(socket(arch, 1 << 13, [2, kind, 0x300]), REFUSE, "{kind:#x}");
        }
        for kind in [1, 2, 3, 1 | 0x8_0000, 2 | 0x800] {
            assert_eq!(socket(arch, 0, [2, kind, 0]), ALLOW, "{kind:#x}");
        }
    }
}

#[test]
fn socketpair_allows_only_unix_sockets() {
    for arch in Architecture::ALL {
        for family in 0..46 {
            let expected = if family == 1 { ALLOW } else { REFUSE };
            assert_eq!(verdict(arch, &Seccomp::DEFAULT, "socketpair", [family, 1, 0, 0, 0, 0]), expected, "{family}");
        }
    }
}

#[test]
fn changes_and_capabilities_allow_and_refuse_calls() {
    let named = |name| Call::named(name).expect("a call");
    let mut seccomp = Seccomp::DEFAULT;
    for change in [(true, named("ptrace")), (false, named("kill")), (true, named("socket"))] {
        seccomp.changes.push(change).expect("room");
    }
    for arch in Architecture::ALL {
        assert_eq!(verdict(arch, &seccomp, "ptrace", [0; 6]), ALLOW);
        assert_eq!(verdict(arch, &seccomp, "kill", [0; 6]), REFUSE);
        // A change allows all arguments.
        assert_eq!(verdict(arch, &seccomp, "socket", [40, 0, 0, 0, 0, 0]), ALLOW);
        let sys_time = assemble(arch, &Seccomp::DEFAULT, 1 << 25);
        assert_eq!(run(&sys_time, &call(arch, "clock_settime", [0; 6])).0, ALLOW);
        assert_eq!(run(&sys_time, &call(arch, "mount", [0; 6])).0, REFUSE);
    }
}

#[test]
fn strict_profile_is_a_subset_of_default() {
    let (strict, default) = (profile(Profile::Strict), profile(Profile::Default));
    let mut closed = 0;
    for known in Call::all() {
        let (strict, default) = (action_for(&strict, 0, known), action_for(&default, 0, known));
        closed += usize::from(strict != default);
        assert!(
            strict == default || (strict == FilterAction::Refuse && default == FilterAction::Allow),
            "{}",
            known.name()
        );
    }
    assert_eq!(closed, 85);
}

#[test]
fn frequent_calls_cost_few_instructions() {
    for arch in Architecture::ALL {
        let program = assemble(arch, &Seccomp::DEFAULT, 0);
        let cost = |name: &str| run(&program, &call(arch, name, [0; 6])).1;
        for name in ["read", "write", "futex", "ppoll"] {
            assert!(cost(name) <= 13, "{name}: {}", cost(name));
        }
        let worst = Call::all().filter(|call| call.number(arch).is_some()).map(|call| cost(&call.name())).max();
        assert!(worst <= Some(30), "{worst:?} on {arch:?}");
        assert!(program.len() <= 400, "{} instructions", program.len());
    }
}

#[test]
fn longest_program_fits() {
    // As many changes as there is room for, each in the middle of a range.
    for arch in Architecture::ALL {
        let mut seccomp = profile(Profile::Strict);
        let allowed = Call::all().filter(|call| action_for(&profile(Profile::Strict), 0, *call) == FilterAction::Allow);
        for call in allowed.step_by(9).take(CHANGES) {
            seccomp.changes.push((false, call)).expect("room");
        }
        assert!(assemble(arch, &seccomp, 0x5555_5555).len() < INSTRUCTIONS);
    }
}

#[test]
fn far_jumps_reach_their_target() {
    // As many ranges as there are numbers, so that the left half is longer than a comparison can skip.
    let action = |number: u16| if number.is_multiple_of(2) { FilterAction::Allow } else { FilterAction::Refuse };
    let ranges: std::vec::Vec<_> = (0..480).map(|start| Range { start, action: action(start) }).collect();
    let mut program = Program::new();
    program.push(Instruction { code: LOAD, jump_true: 0, jump_false: 0, value: 0 }.bytes()).expect("room");
    search(&mut program, &ranges);
    assert!(program.iter().any(|bytes| bytes.starts_with(&JUMP.to_le_bytes())));
    for number in 0..480 {
        let (found, _) = run(&program, &Data { number, ..Data::default() });
        assert_eq!(found, if number.is_multiple_of(2) { ALLOW } else { REFUSE }, "{number}");
    }
}

/// The crate `syscalls` is generated from the kernel's tables.
#[test]
fn table_has_the_numbers_of_the_kernel() {
    use syscalls::{aarch64, x86_64};
    for (name, on_x86_64, on_aarch64) in super::table::TABLE {
        let known = name.parse::<x86_64::Sysno>().map_or(super::table::NONE, |call| call.id() as u16);
        assert_eq!(on_x86_64, known, "{name} on x86_64");
        // The crate uses the name of include/uapi/asm-generic/unistd.h; 64-bit programs call it newfstatat.
        let generic = if name == "newfstatat" { "fstatat" } else { name };
        let known = generic.parse::<aarch64::Sysno>().map_or(super::table::NONE, |call| call.id() as u16);
        assert_eq!(on_aarch64, known, "{name} on aarch64");
    }
    // Only calls for the kernel's own trampolines are missing. Other missing calls could not be named in a
    // configuration. (The crate's list for aarch64 contains calls of 32-bit programs as well.)
    let is_known = |name: &str| super::table::TABLE.iter().any(|(known, ..)| *known == name);
    let missing: std::vec::Vec<_> =
        x86_64::Sysno::iter().map(|call| call.name()).filter(|name| !is_known(name)).collect();
    assert_eq!(missing, ["uprobe"]);
}
