use super::*;
use std::path::Path;

fn read(texts: &[&str]) -> Result<Description> {
    let folder = tempfile::tempdir()?;
    let mut files = Vec::new();
    for (number, text) in texts.iter().enumerate() {
        let file = folder.path().join(format!("{number}.toml"));
        std::fs::write(&file, text)?;
        files.push(file);
    }
    let folder = format!("{}/", folder.path().display());
    Description::read(&files).map_err(|error| anyhow::anyhow!(format!("{error:#}").replace(&folder, "")))
}

#[test]
fn later_files_add_to_earlier_ones() {
    let board =
        "architecture = \"aarch64\"\nkernel = \"linux-image-arm64\"\nmodules = [\"a\"]\noutputs = [\"uefi-disk\"]\n";
    let appliance =
        "config = \"c\"\nmodules = [\"b x=1\"]\n[[root]]\npath = \"/images/a\"\npackages = [\"p\", \"p\"]\n";
    let all = read(&[board, appliance]).expect("good");
    assert_eq!(all.modules, ["a", "b x=1"]);
    assert_eq!(all.packages(), ["linux-image-arm64", "p", "systemd-boot-efi"]);
    assert!(all.config.expect("a path").is_absolute());
    assert_eq!(all.roots[0].format, Format::Erofs);
}

#[test]
fn mistakes_have_their_line() {
    for (text, expected) in [
        ("architecture = \"x86_64\"\nkernal = \"k\"\n", "0.toml:2: unknown field `kernal`"),
        ("outputs = [\n\"floppy\"]\n", "0.toml:2: unknown variant `floppy`"),
        ("[[root]]\npath = \"/a\"\n", "0.toml:2: root /a: no source"),
        ("[[root]]\npath = \"a\"\nfolder = \"f\"\n", "0.toml:2: root a: not an absolute path"),
        (
            "[[root]]\npath = \"/a\"\nfolder = \"f\"\npacked = \"p\"\n",
            "0.toml:2: root /a: packed excludes other sources",
        ),
        ("[[root]]\nfolder = \"f\"\n", "0.toml:1: missing field `path`"),
        ("kernel = \"linux image\"\n", "0.toml:1: \"linux image\": not a name of a Debian package"),
        ("release = \"-o\"\n", "0.toml:1: \"-o\": not a name of a Debian package or release"),
        ("[[root]]\npath = \"/a\"\npackages = [\"p\", \"*\"]\n", "0.toml:3: \"*\": not a name of a Debian package"),
    ] {
        let error = read(&[text]).expect_err("refused").to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

/// The kernel looks for a radio's firmware by the name of the board (drivers/net/wireless/broadcom/brcm80211/brcmfmac/sdio.c and firmware.c).
#[test]
fn options_have_the_firmware_of_each_pi_with_a_radio() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("options");
    let files = ["rpi-wifi.toml", "rpi-zero2w-wifi.toml"].map(|name| folder.join(name));
    let options = Description::read(&files).expect("the options");
    assert_eq!(options.hotplug_modules, ["brcmfmac"]);
    for (chip, board) in [
        ("43430-sdio", "raspberrypi,3-model-b"),
        ("43430-sdio", "raspberrypi,model-zero-2-w"),
        ("43430b0-sdio", "raspberrypi,model-zero-2-w"),
        ("43455-sdio", "raspberrypi,3-model-a-plus"),
        ("43455-sdio", "raspberrypi,3-model-b-plus"),
        ("43455-sdio", "raspberrypi,4-model-b"),
        ("43455-sdio", "raspberrypi,400"),
    ] {
        let name = format!("/lib/firmware/brcm/brcmfmac{chip}");
        let has = |path: &str| options.files.iter().any(|file| file.path == path);
        let of_board = |kind: &str| has(&format!("{name}.{board}.{kind}"));
        assert!(of_board("txt"), "parameters of {name} for {board}");
        for kind in ["bin", "clm_blob"] {
            assert!(of_board(kind) || has(&format!("{name}.{kind}")), "{name}.{kind} for {board}");
        }
    }
}
