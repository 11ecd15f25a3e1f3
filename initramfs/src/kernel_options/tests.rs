use super::*;
use kconfig::parents_in;
use std::path::PathBuf;

fn source(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn fragment(board: &str, appliance: &str) -> Result<String> {
    let files = [source(&format!("initramfs/boards/{board}.toml")), source(appliance)];
    Ok(Fragment::of(&Description::read(&files)?)?.text())
}

/// Returns the fragment of a board and lines of hilum.conf, without the folder of the test.
fn of_lines(board: &str, lines: &str) -> Result<String> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("hilum.conf"), lines).expect("a file");
    let path = folder.path().join("board.toml");
    std::fs::write(&path, format!("config = \"hilum.conf\"\narchitecture = \"x86_64\"\n{board}")).expect("a file");
    let place = format!("{}/", folder.path().display());
    let made = Description::read(&[path]).and_then(|description| Fragment::of(&description));
    made.map(|made| made.text().replace(&place, ""))
        .map_err(|error| anyhow::anyhow!(format!("{error:#}").replace(&place, "")))
}

#[test]
fn each_key_has_a_rule_and_each_rule_a_key() {
    for key in KEYS {
        let has = RULES.iter().any(|rule| rule.section == key.section && rule.key == key.name && rule.word.is_empty());
        let is_closed = RULES.iter().any(|rule| rule.section == key.section && rule.key == key.name);
        // A workload's link has a word in each form.
        assert!(
            has || is_closed && key.name == "link",
            "the key {} of [{}] has no rule in kernel_options/tables.rs: write which options of the kernel it needs, or NOTHING",
            key.name,
            key.section.name()
        );
    }
    for rule in RULES {
        let is_key = KEYS.iter().any(|key| key.section == rule.section && key.name == rule.key);
        assert!(is_key, "kernel_options/tables.rs has a rule for the key {}, which the parser does not have", rule.key);
    }
}

/// A feature that loads a module of Debian's kernel has the option of that module.
#[test]
fn each_module_that_the_board_may_load_has_an_option() {
    let text = std::fs::read_to_string(source("src/logic/config/modules.rs")).expect("the list");
    let names =
        text.lines().filter_map(|line| line.trim().strip_suffix("\"),")?.rsplit_once('"').map(|(_, name)| name));
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 15 && names.contains(&"nft_fib_inet"), "{names:?}");
    // A module may be for one architecture.
    let all = ["qemu-x86_64", "qemu-aarch64"].map(|board| {
        let board = Description::read(&[source(&format!("initramfs/boards/{board}.toml"))]).expect("a board");
        Fragment::of_everything(&board).expect("a fragment").text()
    });
    let all = all.concat();
    // Those whose option has another name than the module's.
    let others = [
        ("nls_cp437", "NLS_CODEPAGE_437"),
        ("8021q", "VLAN_8021Q"),
        ("sha256_ssse3", "CRYPTO_SHA256_SSSE3"),
        ("sha256_arm64", "CRYPTO_SHA256_ARM64"),
        ("sha2_ce", "CRYPTO_SHA2_ARM64_CE"),
        ("overlay", "OVERLAY_FS"),
        ("nf_conntrack_netlink", "NF_CT_NETLINK"),
        ("nft_chain_nat", "NFT_NAT"),
        // Part of nf_tables from 5.17 on.
        ("nft_counter", "NF_TABLES"),
    ];
    for name in names {
        let upper = name.to_ascii_uppercase();
        let option = others.iter().find(|(other, _)| *other == name).map_or(upper.as_str(), |(_, option)| *option);
        assert!(
            all.contains(&format!("\nCONFIG_{option}=y\n")),
            "{name}: no CONFIG_{option} in the options of all features"
        );
    }
}

#[test]
fn fragment_has_what_the_demo_needs_and_the_line_that_asks_for_it() {
    let web = fragment("qemu-x86_64", "initramfs/appliances/web/appliance.toml").expect("a fragment");
    for (option, line) in [
        ("VETH", "link veth"),
        ("NFT_FIB_IPV4", "publish"),
        ("NFT_FIB_IPV6", "publish"),
        ("NFT_FIB_INET", "publish"),
        ("NFT_MASQ", "masquerade"),
        ("PACKET", "link dhcp"),
        ("VIRTIO_BLK", "module virtio_blk"),
        ("SERIAL_8250_CONSOLE", "console=ttyS0"),
    ] {
        let (before, _) =
            web.split_once(&format!("\nCONFIG_{option}=y\n")).unwrap_or_else(|| panic!("no {option}: {web}"));
        let comment = before.lines().rfind(|line| line.starts_with('#')).expect("a comment");
        assert!(comment.contains(line), "{option}: {comment}");
    }
    for option in ["DM_VERITY", "ZRAM", "EROFS_FS", "WATCHDOG", "MACVLAN", "EXT4_FS", "MODULES"] {
        assert!(!web.contains(&format!("CONFIG_{option}=")), "{option}: {web}");
    }
    // Every line is an option below a comment, so a person sees what asks for it.
    assert!(
        web.starts_with('#') && web.lines().all(|line| line.starts_with("# ") || line.starts_with("CONFIG_")),
        "{web}"
    );
}

/// What the kernel does not have takes no time: an option more than today is to be asked for by a line.
#[test]
fn options_of_the_demo_stay_within_their_budget() {
    for (board, most) in [("qemu-x86_64", 160), ("microvm-x86_64", 157), ("qemu-aarch64", 130)] {
        let web = fragment(board, "initramfs/appliances/web/appliance.toml").expect("a fragment");
        let count = web.lines().filter(|line| line.starts_with("CONFIG_")).count();
        assert!(count <= most, "{board}: {count} options, more than {most}; take it back, or say here what it buys");
    }
}

#[test]
fn lines_of_a_configuration_add_options() {
    let made = of_lines(
        "modules = [\"softdog soft_margin=10\"]\nkernel-options = [\"R8152\", \"LOG_BUF_SHIFT=14\"]\ncompression = \"none\"\n",
        "hilum 1\n[system]\nmount 'LABEL=my data' /data ext4 grow # vfat\nswap zram 50% zstd\n[workload a]\n\
         root /images/a.erofs overlay verity=image\ndevice usb=0403:6001\n",
    )
    .expect("a fragment");
    let has = |option: &str| made.contains(&format!("\nCONFIG_{option}\n"));
    for option in [
        "CRYPTO_SHA256_SSSE3=y",
        "EXT4_FS=y",
        "ZRAM=y",
        "CRYPTO_ZSTD=y",
        "OVERLAY_FS=y",
        "DM_VERITY=y",
        "BLK_DEV_DM=y",
        "USB=y",
    ] {
        assert!(has(option), "{option}: {made}");
    }
    assert!(has("SOFT_WATCHDOG=y") && has("R8152=y") && has("LOG_BUF_SHIFT=14"), "{made}");
    assert!(!made.contains("VFAT") && !made.contains("RD_ZSTD"), "a comment is no word, and nothing is packed: {made}");
    assert!(made.contains("hilum.conf:3: mount ext4"), "{made}");
}

#[test]
fn what_no_table_knows_is_refused_with_its_place() {
    let refused = |board, lines| of_lines(board, lines).expect_err("refused").to_string();
    assert_eq!(
        refused("modules = [\"exotic\"]\n", "hilum 1\n"),
        "board.toml:3: module exotic: no option is known for it; remove it, and write its option in kernel-options"
    );
    assert_eq!(
        refused("", "hilum 1\n[system]\nmountt x\n"),
        "hilum.conf:3: unknown key \"mountt\"; hilum check explains it"
    );
    assert_eq!(
        refused("", "hilum 1\n[system]\nmount LABEL=a /data jfs\n"),
        "hilum.conf:3: mount: no option is known for its filesystem; add it to kernel-options"
    );
    assert_eq!(
        refused("kernel-options = [\"CONFIG_USB\"]\n", "hilum 1\n"),
        "board.toml:3: kernel-options CONFIG_USB: expected a name without CONFIG_, or NAME=VALUE"
    );
    assert_eq!(
        refused("outputs = [\"sd-card\"]\n", "hilum 1\n"),
        "board.toml:3: outputs sd-card: no tailored kernel for such boards; name a package in kernel"
    );
}

#[test]
fn dropped_options_are_named_with_their_parents() {
    let folder = tempfile::tempdir().expect("a folder");
    let kconfig = "menu \"Netfilter\"\n\tdepends on INET && NETFILTER\nif NF_TABLES\nconfig NFT_FIB_INET\n\ttristate \"fib\"\n\
                   \tdepends on NF_TABLES_INET\n\tdepends on NFT_FIB_IPV4 \\\n\t\t&& NFT_FIB_IPV6\n\thelp\n\t  Text with WORDS.\n\
                   config OTHER\n\tdepends on NEVER\nendif\nendmenu\nconfig LATER\n\tbool\n";
    std::fs::write(folder.path().join("Kconfig.net"), kconfig).expect("a file");
    let config = "CONFIG_INET=y\nCONFIG_NETFILTER=y\nCONFIG_NF_TABLES=y\nCONFIG_NF_TABLES_INET=y\n# CONFIG_NFT_FIB_IPV4 is not set\n";
    let check = |fragment: &str| check(fragment, config, folder.path()).map_err(|error| error.to_string());
    assert_eq!(check("# a comment\nCONFIG_INET=y\nCONFIG_LATER=n\n"), Ok(()));
    assert_eq!(check("CONFIG_RANDOM_TRUST_CPU=y\n"), Ok(()), "newer kernels do that without an option");
    assert_eq!(
        check("CONFIG_NFT_FIB_INET=y\nCONFIG_GONE=y\nCONFIG_LATER=y\n").expect_err("dropped"),
        "the kernel's configuration: CONFIG_GONE=y: this kernel has no such option; CONFIG_LATER=y: the kernel made n of it; another \
         option decides it; CONFIG_NFT_FIB_INET=y: the kernel made n of it; it needs CONFIG_NFT_FIB_IPV4, CONFIG_NFT_FIB_IPV6"
    );
    let all = parents_in("NFT_FIB_INET", kconfig).expect("it is there");
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    assert_eq!(all, ["INET", "NETFILTER", "NFT_FIB_IPV4", "NFT_FIB_IPV6", "NF_TABLES", "NF_TABLES_INET"]);
    assert_eq!(parents_in("LATER", kconfig).expect("it is there").len(), 0);
}
