//! Images from descriptions, by the image builder.

use super::{Architecture, Booted, USUAL, boot_bytes, built, hilum, host};
use std::path::{Path, PathBuf};

/// Returns hilum-agent as one static file: the one of boards (`linker/agent`) for other architectures and with `HILUM_AGENT=board`,
/// otherwise the same without optimization, which costs no time to build.
pub(crate) fn agent(arch: Architecture) -> PathBuf {
    if arch == host() && std::env::var_os("HILUM_AGENT").is_none_or(|which| which != "board") {
        return built("tools/hilum-agent");
    }
    built(&format!("board/{}/hilum-agent", arch.name()))
}

/// Builds the outputs of a board's and an appliance's descriptions into a folder.
pub(crate) fn build(board: &str, appliance: &str, output: &Path) -> Vec<hilum_initramfs::build::Written> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../initramfs");
    build_of(board, &folder.join(format!("appliances/{appliance}/appliance.toml")), output, None)
}

/// Builds an appliance for a board, signed for Secure Boot.
pub(crate) fn build_signed(board: &str, appliance: &str, output: &Path, signer: hilum_initramfs::signing::Signer) {
    let appliance = format!("../initramfs/appliances/{appliance}/appliance.toml");
    build_of(board, &Path::new(env!("CARGO_MANIFEST_DIR")).join(appliance), output, Some(signer));
}

/// Builds a description for a board.
pub(crate) fn build_update(board: &str, description: &Path, output: &Path) {
    build_of(board, description, output, None);
}

/// Builds and boots a guest of qemu/guests on the QEMU machine of an architecture.
pub(crate) fn boot_guest(arch: Architecture, guest: &str) -> Booted {
    let output = tempfile::tempdir().expect("a scratch folder");
    let description = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("guests/{guest}.toml"));
    build_of(&format!("qemu-{}", arch.name()), &description, output.path(), None);
    let bytes = std::fs::read(output.path().join("initramfs")).expect("the initramfs");
    boot_bytes(arch, USUAL, &bytes, "", None, &[])
}

fn build_of(
    board: &str,
    description: &Path,
    output: &Path,
    signer: Option<hilum_initramfs::signing::Signer>,
) -> Vec<hilum_initramfs::build::Written> {
    let board = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../initramfs/boards/{board}.toml"));
    let text = std::fs::read_to_string(&board).expect("a board");
    let arch = Architecture::ALL
        .into_iter()
        .find(|arch| text.contains(&format!("\"{}\"", arch.name())))
        .expect("an architecture");
    let text_of = |file: &Path| std::fs::read_to_string(file).expect("a description");
    let is_new = text_of(description).contains("\nrelease = \"trixie\"");
    let packages = built(&format!("debian/packages/{}-{}", arch.name(), if is_new { "trixie" } else { USUAL }));
    // Programs of images lie beside the init, as make image finds them.
    let programs = tempfile::tempdir().expect("a scratch folder");
    let init = programs.path().join("hilum");
    std::os::unix::fs::symlink(hilum(arch), &init).expect("a link");
    if text_of(description).contains("hilum-agent") {
        std::os::unix::fs::symlink(agent(arch), init.with_file_name("hilum-agent")).expect("a link");
    }
    let places = hilum_initramfs::build::Places::new(init, packages, output);
    let places = hilum_initramfs::build::Places { signer, ..places };
    hilum_initramfs::build::build(&[board, description.to_owned()], &places, &mut |_| {}).expect("the builder takes it")
}
