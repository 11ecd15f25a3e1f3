//! The appliance `wifi` on a kernel with two radios of mac80211_hwsim: the second one is an access point of hostapd, in a network of its
//! own. What a radio of silicon needs besides, its firmware, is in `initramfs/options`.

use super::boards::{text, tool};
use crate::support::{BOOT, at_prompt, boot_command, built, has_in_order, hilum};
use hilum::config::{Config, parse};
use hilum_qemu::{Accelerator, Architecture, Options};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Associations take some seconds of a machine with a processor of its own.
const SLOW: Duration = Duration::from_secs(240);

/// The network of the site, after one whose passphrase is wrong and that is to be tried first.
const NETWORKS: &str = r#"country=DE
p2p_disabled=1
network={
    ssid="cellar"
    psk="not this one"
    priority=1
}
network={
    ssid="kitchen"
    psk="correct horse"
    key_mgmt=WPA-PSK SAE
    ieee80211w=1
}
"#;

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn appliance() -> String {
    std::fs::read_to_string(source("initramfs/appliances/wifi/hilum.conf")).expect("a configuration")
}

/// Builds the image with the networks on its disk, and an archive of a site that has the access point.
fn build(folder: &Path) {
    let at = |name: &str| folder.join(name);
    let access_point = std::fs::read_to_string(source("qemu/guests/wifi/access-point.conf")).expect("a configuration");
    let config = appliance().replacen("[system]\n", "[system]\nvolumes /run/volumes\n", 1) + &access_point;
    std::fs::write(at("ap.conf"), config).expect("a file");
    std::fs::write(at("networks"), NETWORKS).expect("a file");
    let descriptions = ["qemu/guests/wifi/radios.toml", "initramfs/appliances/wifi/appliance.toml"].map(source);
    let packages = built("debian/packages/x86_64-bookworm");
    let places = hilum_initramfs::build::Places::new(hilum(Architecture::X86_64), packages, folder);
    hilum_initramfs::build::build(&descriptions, &places, &mut |_| {}).expect("the builder takes it");
    // As a person does who has the disk in another computer; it begins with this partition.
    let place = format!("{}@@1M", at("data.img").display());
    tool("mcopy", &["-o", "-i", &place, text(&at("networks")), "::wpa_supplicant.conf"]);
    let (builder, config, site) = (built("tools/hilum-initramfs"), at("ap.conf"), at("site"));
    tool(text(&builder), &["site", text(&config), "--output", text(&site)]);
    let mut initramfs = std::fs::read(at("initramfs")).expect("the initramfs");
    initramfs.resize(initramfs.len().next_multiple_of(4), 0);
    initramfs.extend(std::fs::read(site).expect("the archive"));
    std::fs::write(at("initramfs"), initramfs).expect("the initramfs");
}

#[test]
#[ignore = "make wifi runs it"]
fn radio_associates_gets_a_lease_and_follows_its_access_point() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    build(folder.path());
    let options = Options {
        arch: Architecture::X86_64,
        kernel: &folder.path().join("vmlinuz"),
        initramfs: &folder.path().join("initramfs"),
        append: "",
        memory_mib: 512,
        accelerator: Accelerator::Tcg,
        disk: Some(&folder.path().join("data.img")),
        more: &["-nic", "none"],
    };
    let mut booted = boot_command(options.command(), "stdio");
    let console = &booted.vm.console;
    let wrong = "CTRL-EVENT-SSID-TEMP-DISABLED id=0 ssid=\"cellar\" auth_failures=1 duration=10 reason=WRONG_KEY";
    console.expect(wrong, BOOT).expect("a wrong passphrase is told");
    console.expect("Connection to 02:00:00:00:01:00 completed", SLOW).expect("WPA2");
    console.expect("link wlan0: 10.90.0.10/24 via 10.90.0.1 from 10.90.0.1 for", SLOW).expect("a lease");
    console.expect("ap | run 1: <!doctype html> <title>hilum</title>", SLOW).expect("a page");
    console.expect("ap | run 1: IPv6", SLOW).expect("an address of the announced prefix");
    // The access point goes, and its radio returns to the board.
    at_prompt(console);
    booted.vm.type_text("stop ap\r").expect("a prompt");
    booted.vm.console.expect("hilum: link wlan0: carrier lost", SLOW).expect("it is noticed");
    booted.vm.console.expect("hilum: workload \"ap\": exited", SLOW).expect("it is gone");
    at_prompt(&booted.vm.console);
    booted.vm.type_text("net\r").expect("a prompt");
    booted.vm.console.expect("uplink wlan0 IPv4: not used: no carrier", SLOW).expect("no route without it");
    at_prompt(&booted.vm.console);
    // It returns, with WPA3 alone.
    booted.vm.type_text("start ap\r").expect("a prompt");
    booted.vm.console.expect("ap | run 2: <!doctype html> <title>hilum</title>", SLOW).expect("a page");
    booted.vm.console.expect("ap | run 2: IPv6", SLOW).expect("an address of the announced prefix");
    at_prompt(&booted.vm.console);
    booted.vm.type_text("net\r").expect("a prompt");
    booted.vm.console.expect("uplink wlan0 IPv4: used", SLOW).expect("the route is back");
    booted.vm.console.expect("uplink wlan0 IPv6: used", SLOW).expect("the route is back");
    // The address is confirmed by the server, once in each run.
    let until = Instant::now() + SLOW;
    while booted.vm.console.text().matches("udhcpd: sending ACK to 10.90.0.10").count() < 2 {
        assert!(Instant::now() < until, "no second lease\n{}", booted.vm.console.tail());
        std::thread::sleep(Duration::from_millis(100));
    }
    at_prompt(&booted.vm.console);
    booted.vm.type_text("poweroff\r").expect("a prompt");
    let console = crate::support::without_prompt(&booted.vm.wait(SLOW).expect("it powers off"));
    let lines = [
        "wifi | wlan0: CTRL-EVENT-REGDOM-CHANGE init=USER type=COUNTRY alpha2=DE",
        "ap | wlan1: EAPOL-4WAY-HS-COMPLETED 02:00:00:00:00:00",
        "ap | run 1: ",
        "hilum: link wlan0: carrier lost",
        // SAE makes a master key for each association.
        "wifi | wlan0: PMKSA-CACHE-ADDED 02:00:00:00:01:00 1",
        "ap | run 2: ",
        "hilum: power off",
    ];
    has_in_order(&console, &lines);
    assert!(!console.contains("workload \"wifi\": restart"), "{console}");
}

/// The rights of wpa_supplicant, as `hilum audit` lists them.
#[test]
fn wpa_supplicant_has_two_capabilities_and_no_uid_of_root() {
    let text = appliance();
    let mut config = Box::new(Config::EMPTY);
    parse(text.as_bytes(), &mut config).expect("a configuration");
    let wifi = config.workloads.iter().find(|workload| workload.name == "wifi").expect("a workload");
    let mut told = String::new();
    hilum::plan::audit(wifi, &config, |line| told += &format!("{line}\n"));
    let rights = [
        "share net: uses the host's network and abstract sockets",
        "share user: its root is the host's root",
        "capability net_admin: see capabilities(7)",
        "capability net_raw: see capabilities(7)",
        "seccomp +socket: allowed with any arguments",
        "mount /site/wpa_supplicant.conf /etc/wpa_supplicant.conf ro: files of the host",
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), rights);
    assert_eq!(wifi.identity.user.uid, 900, "no user of the host");
}
