//! Keys that openssl(1) makes.

use super::*;

/// Makes a key and its certificate with these words for the algorithm.
fn make(folder: &Path, name: &str, algorithm: &[&str]) -> (PathBuf, PathBuf) {
    let [key, certificate] = ["key", "crt"].map(|kind| folder.join(format!("{name}.{kind}")));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-subj", "/CN=hilum test", "-days", "2", "-newkey"])
        .args(algorithm)
        .args(["-keyout", text(&key).expect("UTF-8"), "-out", text(&certificate).expect("UTF-8")])
        .output()
        .expect("openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (key, certificate)
}

#[test]
fn rsa_keys_sign_and_others_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (key, certificate) = make(folder.path(), "good", &["rsa:2048"]);
    let der = super::certificate(&certificate).expect("a certificate");
    // A sequence with a length of two bytes (X.690).
    assert_eq!(der[..2], [0x30, 0x82]);
    let signed = Key::new(&key).expect("a key").sign(&[7; 512]).expect("a signature");
    assert_eq!(signed.len(), 256);
    assert_eq!(signed, Key::new(&key).expect("a key").sign(&[7; 512]).expect("a signature"), "the same each time");
    let refused = "the key must be RSA with 2048 to 4096 bits; the kernel verifies no other";
    for (name, algorithm) in [
        ("short", &["rsa:1024"][..]),
        ("curve", &["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]),
        ("ed", &["ed25519"]),
    ] {
        let (key, certificate) = make(folder.path(), name, algorithm);
        for (file, error) in [
            (&certificate, super::certificate(&certificate).map(|_| ()).expect_err("refused")),
            (&key, Key::new(&key).map(|_| ()).expect_err("refused")),
        ] {
            assert_eq!(format!("{error:#}"), format!("{}: {refused}", file.display()));
        }
    }
}

#[test]
fn files_of_another_kind_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (key, certificate) = make(folder.path(), "good", &["rsa:2048"]);
    let error = super::certificate(&key).expect_err("refused").to_string();
    assert!(error.ends_with("good.key: a private key; name the certificate, which may be public"), "{error}");
    let error = Key::new(&certificate).map(|_| ()).expect_err("refused").to_string();
    assert!(error.starts_with("openssl pkey ") && !error.contains('\n'), "{error}");
    let text = folder.path().join("text");
    std::fs::write(&text, "text").expect("a file");
    let error = super::certificate(&text).expect_err("refused").to_string();
    assert!(error.contains("text: no certificate in PEM; openssl req -x509 makes one"), "{error}");
    std::fs::write(&text, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").expect("a file");
    let error = super::certificate(&text).expect_err("refused").to_string();
    assert!(error.starts_with("openssl x509 ") && !error.contains('\n'), "{error}");
}
