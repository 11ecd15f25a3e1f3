//! Trials by the firmware's variable BootNext (UEFI specification 2.10, 3.1.2).

use super::*;

on_both_long!(x86_64: uefi_board_tries_a_slot_once_and_commits_it);

/// The third version is not healthy on aarch64, and does not find its disk on x86_64.
fn uefi_board_tries_a_slot_once_and_commits_it(arch: Architecture) {
    let mut versions = Versions::new("uefi", arch);
    let (one, two) = (versions.build(1, ""), versions.build(2, ""));
    let is_lost = arch == Architecture::X86_64;
    if is_lost {
        versions.more[1] = format!("command-line = [\"{}\"]\n", NO_DISK.trim());
    }
    let three = versions.build(3, if is_lost { "" } else { SICK });
    let (two, three) = (versions.bundle(&two, "own"), versions.bundle(&three, "own"));
    let disk = one.join("uefi-disk.img");
    let (code, variables) = match arch {
        Architecture::X86_64 => ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
        Architecture::Aarch64 => ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
    };
    let own = versions.at("variables");
    std::fs::copy(variables, &own).expect("the firmware's variables");
    // The firmware's variables outlive QEMU, so each boot is one of its own.
    let boot = || {
        let mut command = hilum_qemu::command(arch, Accelerator::Tcg);
        command.args(["-m", "512"]).args(hilum_qemu::writable_disk(&disk));
        add_bundles(&mut command, &[&two, &three]);
        for (unit, options, file) in [(0, ",readonly=on", Path::new(code)), (1, "", &own)] {
            command.arg("-drive").arg(format!("if=pflash,format=raw,unit={unit}{options},file={}", file.display()));
        }
        boot_command(command, "stdio")
    };
    let mut first = boot();
    first.vm.console.expect("hilum: update: version 1 in slot a is running", SLOW).expect("it boots");
    ask(&mut first, "update /dev/vdb", "version 2 is in the other slot; restarting into it");
    restarts(first);
    let mut second = boot();
    second.vm.console.expect("hilum: update: version 2 in slot b is on trial", SLOW).expect("BootNext");
    second.vm.console.expect("hilum: update: version 2 in slot b is committed", SLOW).expect("a commit");
    ask(&mut second, "update /dev/vdc", "version 3 is in the other slot; restarting into it");
    restarts(second);
    let console = restarts(boot());
    let (said, then, why) = if is_lost {
        let failed = "hilum: update: version 3 did not get as far as its workloads";
        (["no disk with slots; updates are refused", "this is a trial; restarting"], failed, &failed[15..])
    } else {
        let running = "hilum: update: version 2 in slot b is running";
        (
            ["version 3 in slot a is on trial", "app is not healthy after 20 s"],
            running,
            "version 3 was not healthy in time: app",
        )
    };
    said.iter().for_each(|line| has_line(&console, &format!("hilum: update: {line}")));
    // BootNext counted once, and BootOrder begins with slot b.
    let mut last = boot();
    last.vm.console.expect(then, SLOW).expect("the committed slot");
    ask(&mut last, "update --status", why);
    ask(&mut last, "update --status", "slot b: version 2, committed, running");
    last.vm.type_text("poweroff\r").expect("the console");
    last.vm.wait(SLOW).expect("it powers off");
}
