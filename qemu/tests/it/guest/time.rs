//! A board without a clock gets the time: what the tests on the host cannot show, because nothing there may set the clock.

use super::storage::{debugfs, ext4};
use crate::support::running::Running;
use crate::support::sntp::{Sntp, answer};
use crate::support::wire::{own_network, within};
use crate::support::{BOOT, USUAL, boot_with, built, host, image, needed_modules};
use hilum::boot_count::{TIME, read, sector};
use hilum::time::Utc;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

const CONFIG: &str = r#"hilum 1
[system]
console prompt
module virtio_pci
module virtio_net
module virtio_blk
mount LABEL=data /data ext4
link eth0 10.0.2.15/24 via 10.0.2.2
time 10.0.2.2 keep=/data/time
[workload before]
root /images/tls
exec /bin/busybox sh /tls
share net
restart never
[workload tls]
root /images/tls
exec /bin/busybox sh /tls
share net
needs time
restart never
[workload rtc]
root /images/tls
exec /bin/busybox sh -c 'b=/bin/busybox; f=/sys/class/rtc/rtc0/since_epoch; until [ $($b cat $f) -gt 1700000000 ]; do $b sleep 1; done; echo "rtc: $($b cat $f)."; exec $b sleep 1000'
sys
"#;

/// Asks the server of the test, whose certificate is valid today.
const SCRIPT: &str = r#"export OPENSSL_CONF=/dev/null
while :; do
    said=$(/usr/bin/openssl s_client -connect 10.0.2.2:4433 -CAfile /cert.pem -verify_return_error -brief </dev/null 2>&1)
    status=$?
    # The board may have no network yet.
    case $said in *errno=*) /bin/busybox sleep 1 ;; *) break ;; esac
done
echo "$said"
echo "status $status."
"#;

fn now_s() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time");
    i64::try_from(now.as_secs()).expect("a time")
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// systemd-timesyncd: the same, with the floor in the modification time of a file (and that of the program); it does not write
/// the hardware clock either, and sets the clock to any time that a server says.
#[test]
fn board_without_a_clock_gets_the_time_and_its_tls_client_works() {
    let holder = own_network();
    let pid = holder.0.id();
    // QEMU's router passes on what is for 10.0.2.2 to the loopback interface of its own namespace.
    within(pid, move || {
        run(Command::new("ip").args(["link", "set", "lo", "up"]));
        day_of_a_board(pid);
    });
}

fn day_of_a_board(pid: u32) {
    let begin = now_s();
    let (built_s, kept_s) = (begin - 30 * 86_400, begin - 10 * 86_400);
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let at = |name: &str| scratch.path().join(name);
    let _server = tls_server(scratch.path());
    let is_open = Arc::new(AtomicBool::new(false));
    let opened = is_open.clone();
    let sntp = Sntp::start(pid, "127.0.0.1", move |request, _| {
        if opened.load(Ordering::Relaxed) { vec![answer(request, 0)] } else { Vec::new() }
    });

    let made = board(&at("cert.pem"), built_s);
    let disk = ext4(&at("disk"), "data");
    std::fs::write(at("kept"), sector(TIME, u32::try_from(kept_s).expect("seconds"))).expect("a file");
    debugfs(&disk, &format!("write {} time", at("kept").display()));

    let card = "virtio-net-pci,netdev=net,id=card,romfile=";
    let mut words = vec!["-rtc".to_owned(), "base=1970-01-01".to_owned(), "-netdev".to_owned()];
    words.extend(["user,id=net", "-device", card].map(str::to_owned));
    words.extend(hilum_qemu::writable_disk(&disk));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut booted = boot_with(host(), USUAL, &made, "", None, &words);
    let vm = &mut booted.vm;
    let forward = |seconds: i64| format!("time: clock set forward to {}, the floor", Utc(seconds * 1_000_000));
    vm.console.expect(&forward(built_s), BOOT).expect("from 1970 to the build time, before anything starts");
    vm.console.expect(&forward(kept_s), BOOT).expect("and to the kept time, when its disk is there");
    let text = vm.console.expect("before | status 1.", BOOT).expect("a client that has no time");
    assert!(text.contains("not yet valid") && !text.contains("workload \"tls\": started"), "{text}");
    assert!(text.find(&forward(built_s)) < text.find("workload \"before\": started"), "{text}");
    vm.type_text("status tls\r").expect("QEMU is there");
    vm.console.expect("the clock is not right; see: hilum time", BOOT).expect("that is told");
    vm.console.expect("waits for time", BOOT).expect("and what the workload waits for");

    // The server comes, and the link returns, which is a reason to ask at once.
    is_open.store(true, Ordering::Relaxed);
    vm.set_cable("card", false).expect("the card");
    vm.console.expect("carrier", BOOT).expect("a cable that is pulled");
    vm.set_cable("card", true).expect("the card");
    vm.console.expect("time: clock set: 2", BOOT).expect("the right time");
    let asked = sntp.asked();
    vm.console.expect("workload \"tls\": started", BOOT).expect("it has waited for that");
    vm.console.expect("tls | status 0.", BOOT).expect("the same client, now with the time");
    let rtc = vm.console.between("rtc | rtc: ", ".", BOOT).expect("the kernel writes the hardware clock");
    let rtc: i64 = rtc.parse().expect("a number");
    assert!((begin..=now_s() + 2).contains(&rtc), "{rtc} is not between {begin} and now");
    // The next request comes half a minute later; what is off then is slewed.
    let until = Instant::now() + BOOT;
    while sntp.asked() == asked {
        assert!(Instant::now() < until, "it is not asked again\n{}", vm.console.tail());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    std::thread::sleep(std::time::Duration::from_secs(1));
    vm.type_text("time --json\r").expect("QEMU is there");
    let text = vm.console.expect("\"10.0.2.2\": \"is used\"", BOOT).expect("the server");
    assert!(text.contains("\"state\": \"right\"") && text.contains("\"interval_s\": "), "{text}");
    vm.type_text("poweroff\r").expect("QEMU is there");
    let console = vm.wait(BOOT).expect("it powers off");
    // The error of a call would be told.
    assert!(!console.contains("clock not set") && console.matches("clock set: ").count() == 1, "{console}");
    let kept = read(TIME, line_of_time(&debugfs(&disk, "cat time")).as_bytes());
    assert!((begin..=now_s()).contains(&i64::from(kept)), "{kept} is not between {begin} and now");
}

/// Returns the board's image, which was built at this time, and whose workloads trust a certificate.
fn board(cert: &Path, built_s: i64) -> hilum_initramfs::Image {
    let mut made = image(host(), CONFIG);
    made.add_host_folder(&built(&format!("image/{}/busybox", host().name())), "images/tls").expect("busybox");
    add_openssl(&mut made);
    made.file("images/tls/tls", 0o644, SCRIPT);
    made.file("images/tls/cert.pem", 0o644, std::fs::read(cert).expect("a file"));
    made.file("etc/hilum.time", 0o644, format!("{TIME}{built_s}\n"));
    needed_modules(host(), USUAL, &mut made, CONFIG);
    made
}

/// Returns the line with the kept time in the output of debugfs, which begins with its own name.
fn line_of_time(text: &str) -> String {
    text.lines()
        .rev()
        .find(|line| line.contains(TIME))
        .map_or(String::new(), |line| line[line.find(TIME).expect("it is there")..].to_owned())
}

/// Starts a TLS server, whose certificate is valid from now on for a day.
fn tls_server(folder: &Path) -> Running {
    let at = |name: &str| folder.join(name).display().to_string();
    let (key, cert) = (at("key.pem"), at("cert.pem"));
    run(Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "1", "-subj", "/CN=board.test", "-keyout", &key, "-out", &cert]));
    let mut command = Command::new("openssl");
    command.args(["s_server", "-accept", "4433", "-quiet", "-key", &key, "-cert", &cert]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    Running::start(&mut command)
}

/// Adds this host's openssl with its libraries to the workloads' root filesystem.
fn add_openssl(image: &mut hilum_initramfs::Image) {
    let mut add = |path: &str| {
        image.file(
            &format!("images/tls{path}"),
            0o755,
            std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}")),
        );
    };
    add("/usr/bin/openssl");
    let needed = run(Command::new("ldd").arg("/usr/bin/openssl"));
    needed.split_whitespace().filter(|word| word.starts_with('/')).for_each(&mut add);
}
