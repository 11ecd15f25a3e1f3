//! TLS, by rustls.

use anyhow::{Context, Result, bail};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files of a connection with TLS, in PEM.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Files {
    /// The certificates that may sign that of the server. There are no others: a board knows its servers.
    pub(crate) ca: PathBuf,
    /// The name in the server's certificate, if it is not that of its address.
    pub(crate) name: Option<String>,
    /// The board's own certificate, with its key in the next file, for servers that ask for one.
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

/// Returns the certificates in a file.
///
/// # Errors
/// It cannot be read, or has none.
pub(crate) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = || -> Result<Vec<_>, _> { CertificateDer::pem_file_iter(file)?.collect() };
    let found: Vec<_> = read().with_context(|| format!("{}", file.display()))?;
    if found.is_empty() { bail!("{}: no certificate", file.display()) } else { Ok(found) }
}

/// Returns the settings of a client: TLS 1.2 and 1.3, with the ciphers that rustls holds safe.
///
/// # Errors
/// A file cannot be read, or the key is not that of the certificate.
pub(crate) fn config(files: &Files) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&files.ca)? {
        roots.add(certificate).with_context(|| format!("{}", files.ca.display()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = builder.with_root_certificates(roots);
    match (&files.certificate, &files.key) {
        (Some(certificate), Some(key)) => {
            let key_of = PrivateKeyDer::from_pem_file(key).with_context(|| format!("{}", key.display()))?;
            Ok(builder.with_client_auth_cert(certificates(certificate)?, key_of)?)
        }
        (None, None) => Ok(builder.with_no_client_auth()),
        _ => bail!("certificate and key need each other"),
    }
}
