//! The Direct Device Integration API of Eclipse hawkBit, as its documentation describes it, over HTTP.

use crate::tls;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use ureq::http::{Response, StatusCode};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Body};

/// The time for a connection, and for each read and write.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of an answer that is not a download.
const ANSWER_BYTES: u64 = 1024 * 1024;

/// A server of updates.
#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    /// The address of the server, which alone gets the token.
    server: String,
    /// The board's resource.
    base: String,
    /// The header Authorization.
    authorization: Option<String>,
}

impl Client {
    /// # Errors
    /// A file cannot be read.
    pub(super) fn new(
        server: &str,
        base: &str,
        token: Option<(&str, &Path)>,
        files: Option<&tls::Files>,
    ) -> Result<Self> {
        let authorization = token.map(|(kind, file)| -> Result<String> {
            let token = std::fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
            Ok(format!("{kind} {}", token.trim()))
        });
        let certificates = files.map(|files| tls::certificates(&files.ca)).transpose()?.unwrap_or_default();
        let certificates: Vec<_> = certificates.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
        if server.starts_with("https:") && files.is_none() {
            bail!("https needs the section updates.tls");
        }
        if files.is_some_and(|files| files.name.is_some()) {
            bail!("updates.tls takes no name: the server's address has it");
        }
        let own = match files.map(|files| (&files.certificate, &files.key)) {
            Some((Some(certificate), Some(key))) => {
                let chain = tls::certificates(certificate)?;
                let chain: Vec<_> = chain.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
                let key_of = std::fs::read(key).with_context(|| format!("{}", key.display()))?;
                Some(ClientCert::new_with_certs(&chain, PrivateKey::from_pem(&key_of)?))
            }
            _ => None,
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .client_cert(own)
            .root_certs(RootCerts::Specific(Arc::new(certificates)))
            .unversioned_rustls_crypto_provider(provider);
        let agent = Agent::config_builder()
            .tls_config(tls.build())
            .http_status_as_error(false)
            .user_agent(concat!("hilum-agent/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE))
            .timeout_per_write(Some(PATIENCE))
            .build()
            .new_agent();
        let server = server.trim_end_matches('/').to_owned();
        let base = format!("{server}/{}", base.trim_start_matches('/'));
        Ok(Self { agent, server, base, authorization: authorization.transpose()? })
    }

    /// Returns the header Authorization for an address; an artifact may be on another server, which must not see the token.
    fn authorization(&self, url: &str) -> &str {
        let is_own = url.strip_prefix(&self.server).is_some_and(|rest| rest.starts_with('/'));
        self.authorization.as_deref().filter(|_| is_own).unwrap_or_default()
    }

    /// Polls.
    ///
    /// # Errors
    /// The server is away, or refuses.
    pub(super) fn poll(&self) -> Result<Value> {
        self.get(&self.base)
    }

    /// Returns a resource.
    ///
    /// # Errors
    /// The server is away, or refuses, or what it sends is not JSON.
    pub(super) fn get(&self, url: &str) -> Result<Value> {
        let mut request = self.agent.get(url).header("Accept", "application/hal+json, application/json");
        if !self.authorization(url).is_empty() {
            request = request.header("Authorization", self.authorization(url));
        }
        let text = answer(request.call()?)?;
        serde_json::from_str(&text).context("the answer is not JSON")
    }

    /// Sends the board's attributes.
    ///
    /// # Errors
    /// The server is away, or refuses.
    pub(super) fn attributes(&self, url: &str, data: &Value) -> Result<()> {
        self.send(self.agent.put(url), url, &json!({ "mode": "merge", "data": data }))
    }

    /// Tells how an action goes: `execution` is "proceeding", "closed" or "rejected", `finished` is "none", "success" or "failure".
    ///
    /// # Errors
    /// The server is away, or refuses.
    pub(super) fn feedback(&self, url: &str, id: &str, execution: &str, finished: &str, details: &str) -> Result<()> {
        let url = format!("{}/feedback", url.split('?').next().unwrap_or(url));
        let status = json!({ "execution": execution, "result": { "finished": finished }, "details": [details] });
        self.send(self.agent.post(&url), &url, &json!({ "id": id, "status": status }))
    }

    fn send(&self, request: ureq::RequestBuilder<ureq::typestate::WithBody>, url: &str, body: &Value) -> Result<()> {
        let mut request = request.header("Content-Type", "application/json");
        if !self.authorization(url).is_empty() {
            request = request.header("Authorization", self.authorization(url));
        }
        answer(request.send(body.to_string())?).map(drop)
    }

    /// Begins a download at an offset.
    ///
    /// # Errors
    /// The server is away, or refuses.
    pub(super) fn download(&self, url: &str, offset: u64) -> Result<impl Read + use<>> {
        let mut request = self.agent.get(url);
        if !self.authorization(url).is_empty() {
            request = request.header("Authorization", self.authorization(url));
        }
        if offset > 0 {
            request = request.header("Range", format!("bytes={offset}-"));
        }
        let response = request.call()?;
        let status = response.status();
        if !status.is_success() {
            bail!("download: {status}");
        }
        let starts_at =
            response.headers().get("Content-Range").and_then(|range| range.to_str().ok()).and_then(first_byte);
        let mut reader = response.into_body().into_reader();
        // A server without ranges sends all of it again.
        let skipped = match (status, starts_at) {
            (StatusCode::PARTIAL_CONTENT, Some(first)) if first <= offset => offset - first,
            (StatusCode::PARTIAL_CONTENT, _) => bail!("download: another part than that from byte {offset}"),
            _ => offset,
        };
        std::io::copy(&mut reader.by_ref().take(skipped), &mut std::io::sink())?;
        Ok(reader)
    }
}

/// Returns the first byte of `bytes FIRST-LAST/SIZE`.
fn first_byte(range: &str) -> Option<u64> {
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

/// Returns the text of an answer.
fn answer(mut response: Response<Body>) -> Result<String> {
    let status = response.status();
    let text = response.body_mut().with_config().limit(ANSWER_BYTES).read_to_string();
    if status.is_success() { Ok(text?) } else { bail!("the server answers {status}") }
}
