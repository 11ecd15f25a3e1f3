//! Signatures for UEFI Secure Boot, by sbsign(1): an Authenticode signature in the PE file that the firmware starts (UEFI
//! specification 2.10, 32.2.4).

use crate::contents::Contents;
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A key that signs what a firmware starts, and its certificate.
#[derive(Debug, Clone)]
pub struct Signer {
    key: PathBuf,
    certificate: PathBuf,
}

impl Signer {
    /// Returns the signer with a private key in PEM; the certificate is next to it, with the suffix `.crt`.
    ///
    /// # Errors
    /// One of the files does not exist, or sbsign is not installed.
    pub fn new(key: &Path) -> Result<Self> {
        let certificate = key.with_extension("crt");
        for file in [key, &certificate] {
            ensure!(
                file.is_file(),
                "{}: no such file; a key is KEY.key with its certificate KEY.crt, both in PEM",
                file.display()
            );
        }
        if Command::new("sbsign").arg("--version").output().is_err() {
            bail!("sbsign is not installed; run: sudo apt-get install sbsigntool");
        }
        Ok(Self { key: key.to_owned(), certificate })
    }

    /// Returns a PE file with a signature, which has been verified with the certificate. sbsign reads a file: it lies in a folder
    /// below `scratch`.
    ///
    /// # Errors
    /// What sbsign and sbverify print: a key that does not belong to the certificate, a file that is no PE file.
    pub fn sign(&self, file: &Contents, scratch: &Path) -> Result<Contents> {
        let folder = tempfile::tempdir_in(scratch)?;
        let [unsigned, signed] = ["unsigned", "signed"].map(|name| folder.path().join(name));
        file.copy(&File::create(&unsigned)?, 0)?;
        let sign = Command::new("sbsign")
            .arg("--key")
            .arg(&self.key)
            .arg("--cert")
            .arg(&self.certificate)
            .arg("--output")
            .args([&signed, &unsigned])
            .output();
        let verify = || Command::new("sbverify").arg("--cert").arg(&self.certificate).arg(&signed).output();
        for (program, output) in [("sbsign", sign), ("sbverify", verify())] {
            let output = output.context(program)?;
            // Its reasons are several lines of OpenSSL.
            let text = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
            ensure!(output.status.success(), "{program} {}: {text}", self.key.display());
        }
        // Nothing in the cache depends on this id.
        Contents::of_file(File::open(&signed)?, [0; 32])
    }
}
