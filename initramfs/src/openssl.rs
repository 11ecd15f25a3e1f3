//! Certificates, keys and signatures of updates, by openssl(1): RSA with SHA-256 (PKCS #1 version 1.5), which every kernel verifies.

use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Sizes of keys in bits: what is shorter is weak, and a bundle has no room for signatures of longer ones.
const BITS: std::ops::RangeInclusive<u32> = 2048..=4096;

/// Returns the certificate of a key in DER, as the kernel reads it.
///
/// # Errors
/// The file is no certificate in PEM, or its key is none of RSA with 2,048 to 4,096 bits.
pub fn certificate(file: &Path) -> Result<Vec<u8>> {
    let name = file.display();
    let text = std::fs::read(file).with_context(|| name.to_string())?;
    let text = String::from_utf8_lossy(&text);
    ensure!(!text.contains("PRIVATE KEY"), "{name}: a private key; name the certificate, which may be public");
    ensure!(text.contains("BEGIN CERTIFICATE"), "{name}: no certificate in PEM; openssl req -x509 makes one");
    let about = openssl(&["x509", "-noout", "-text", "-in"], file)?;
    check_key(&String::from_utf8_lossy(&about)).with_context(|| name.to_string())?;
    openssl(&["x509", "-outform", "DER", "-in"], file)
}

/// A private key in a file, in PEM.
#[derive(Debug)]
pub struct Key {
    file: PathBuf,
    folder: tempfile::TempDir,
}

impl Key {
    /// Returns the key in a file.
    ///
    /// # Errors
    /// The file is no private key, or none of RSA with 2,048 to 4,096 bits.
    pub fn new(file: &Path) -> Result<Self> {
        ensure!(file.is_file(), "{}: no such key; openssl req -x509 -newkey rsa:3072 makes one", file.display());
        let folder = tempfile::tempdir()?;
        let public = folder.path().join("public");
        std::fs::write(&public, openssl(&["pkey", "-pubout", "-in"], file)?)?;
        // A public key has no line with its algorithm; only RSA has a modulus.
        let about = openssl(&["pkey", "-pubin", "-noout", "-text", "-in"], &public)?;
        let about = String::from_utf8_lossy(&about).replace("Modulus:", "rsaEncryption");
        check_key(&about).with_context(|| file.display().to_string())?;
        Ok(Self { file: file.to_owned(), folder })
    }

    /// Returns the signature of bytes, which has been verified.
    ///
    /// # Errors
    /// What openssl prints.
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let [input, signature, public] = ["bytes", "signature", "public"].map(|name| self.folder.path().join(name));
        std::fs::write(&input, bytes)?;
        let signed = openssl(&["dgst", "-sha256", "-sign", text(&self.file)?], &input)?;
        std::fs::write(&signature, &signed)?;
        openssl(&["dgst", "-sha256", "-verify", text(&public)?, "-signature", text(&signature)?], &input)?;
        Ok(signed)
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{}: not UTF-8", path.display()))
}

/// Checks what openssl prints about a key.
fn check_key(about: &str) -> Result<()> {
    let bits = about.split("Public-Key: (").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
    let is_good = about.contains("rsaEncryption") && bits.is_some_and(|bits| BITS.contains(&bits));
    ensure!(is_good, "the key must be RSA with {} to {} bits; the kernel verifies no other", BITS.start(), BITS.end());
    Ok(())
}

/// Runs openssl with a file as its last word. Returns its output.
fn openssl(words: &[&str], file: &Path) -> Result<Vec<u8>> {
    let Ok(output) = Command::new("openssl").args(words).arg(file).output() else {
        bail!("openssl is not installed; run: sudo apt-get install openssl")
    };
    let said = crate::untrusted::joined_lines(&output.stderr);
    ensure!(output.status.success(), "openssl {} {}: {said}", words[0], file.display());
    Ok(output.stdout)
}

#[cfg(test)]
mod tests;
