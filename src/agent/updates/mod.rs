//! Updates from a server with hawkBit's Direct Device Integration API.
//!
//! PID 1 verifies and writes a bundle, restarts the board, and judges the trial. What became of an action is therefore told after the
//! restart: a file remembers which one it was.

mod ddi;
mod install;

use crate::board::{self, Slots};
use crate::control::Control;
use crate::tls;
use anyhow::{Context, Result, bail};
use ddi::Client;
use install::{End, install};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The times to the next poll after an error, which double, and the shortest and longest that a server may ask for.
const AFTER_ERROR: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(64)];
const SLEEP: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(86_400)];
/// How often a bundle is handed in that PID 1 never tries.
const ATTEMPTS: u32 = 3;
/// The time between two questions during a download whether it was cancelled.
const CANCEL: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 10_000 });
const STACK_BYTES: usize = 512 * 1024;

/// The section `[updates]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Updates {
    /// The address of the server, such as `https://updates.example`.
    server: String,
    #[serde(default = "tenant")]
    tenant: String,
    /// The board's name at the server; the host name by default.
    controller: Option<String>,
    /// A file with the board's token, or that of its gateway.
    target_token: Option<PathBuf>,
    gateway_token: Option<PathBuf>,
    tls: Option<tls::Files>,
    /// The file that remembers an action over a restart.
    state: PathBuf,
}

fn tenant() -> String {
    "DEFAULT".to_owned()
}

/// An action that was begun.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Action {
    id: String,
    /// How often it was handed in.
    attempts: u32,
    /// How the last trial before it had ended.
    verdict: Option<(u64, String)>,
    /// The version that ran before it.
    version: u64,
}

/// What became of an action.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Proceeding(String),
    Success(String),
    Failure(String),
    /// PID 1 knows nothing of it: the power was cut while it was written.
    Unknown,
}

impl Action {
    fn outcome(&self, slots: &Slots) -> Outcome {
        if let Some(slot) = slots.slots.iter().find(|slot| slot.is_on_trial) {
            return Outcome::Proceeding(format!("version {} in slot {} is on trial", slot.version, slot.name));
        }
        let said = slots.verdict.as_ref().map(|(version, what)| format!("version {version} {what}"));
        match (said, running(slots)) {
            (Some(said), _) if slots.verdict != self.verdict && slots.is_rolled_back() => Outcome::Failure(said),
            (Some(said), _) if slots.verdict != self.verdict => Outcome::Success(said),
            (_, version) if version != self.version => Outcome::Success(format!("version {version} runs")),
            _ => Outcome::Unknown,
        }
    }
}

fn running(slots: &Slots) -> u64 {
    slots.slots.iter().find(|slot| slot.is_running).map_or(0, |slot| slot.version)
}

/// The service.
#[derive(Debug)]
struct Updater {
    control: Arc<Control>,
    client: Client,
    state: PathBuf,
    controller: String,
}

/// Starts to poll. Returns whether the last poll has succeeded.
///
/// # Errors
/// A file cannot be read.
pub(crate) fn start(updates: Updates, control: Arc<Control>) -> Result<Arc<AtomicBool>> {
    let updater = Updater::new(updates, control).context("updates")?;
    let is_up = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_up);
    std::thread::Builder::new().name("updates".to_owned()).stack_size(STACK_BYTES).spawn(move || updater.run(&told))?;
    Ok(is_up)
}

impl Updater {
    fn new(updates: Updates, control: Arc<Control>) -> Result<Self> {
        let own = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        let controller = updates.controller.unwrap_or_else(own);
        let base = format!("{}/controller/v1/{controller}", updates.tenant);
        let token = match (&updates.target_token, &updates.gateway_token) {
            (Some(file), None) => Some(("TargetToken", file.as_path())),
            (None, Some(file)) => Some(("GatewayToken", file.as_path())),
            (None, None) => None,
            _ => bail!("target_token or gateway_token, not both"),
        };
        let client = Client::new(&updates.server, &base, token, updates.tls.as_ref())?;
        Ok(Self { control, client, state: updates.state, controller })
    }

    fn run(&self, is_up: &AtomicBool) -> ! {
        let mut after_error = AFTER_ERROR[0];
        loop {
            let result = self.turn();
            is_up.store(result.is_ok(), Ordering::Relaxed);
            match result {
                Ok(sleep) => {
                    after_error = AFTER_ERROR[0];
                    std::thread::sleep(sleep);
                }
                Err(error) => {
                    if after_error == AFTER_ERROR[0] {
                        eprintln!("hilum-agent: updates: {error:#}");
                    }
                    std::thread::sleep(after_error);
                    after_error = (2 * after_error).min(AFTER_ERROR[1]);
                }
            }
        }
    }

    /// Polls once, and does what the server asks for. Returns when to poll again.
    fn turn(&self) -> Result<Duration> {
        let poll = self.client.poll()?;
        let link = |name: &str| poll["_links"][name]["href"].as_str();
        if let Some(url) = link("configData") {
            let slots = board::slots(&self.control)?;
            let (name, version) = (&self.controller, running(&slots).to_string());
            self.client.attributes(url, &json!({ "name": name, "sw_version": version, "hw_boardname": "default" }))?;
        }
        if let Some(url) = link("cancelAction") {
            self.cancelled(url)?;
        } else if let Some(url) = link("deploymentBase") {
            self.deploy(url)?;
        }
        Ok(sleep(&poll))
    }

    /// Answers a cancellation. One that comes when PID 1 has the bundle is too late: the trial decides.
    fn cancelled(&self, url: &str) -> Result<()> {
        let cancel = self.client.get(url)?;
        let id = text(&cancel["id"]);
        let stopped = text(&cancel["cancelAction"]["stopId"]);
        let begun = self.begun().filter(|action| action.id == stopped);
        if let Some(action) = begun
            && action.outcome(&board::slots(&self.control)?) != Outcome::Unknown
        {
            return self.client.feedback(url, &id, "rejected", "none", "the board runs the new version on trial");
        }
        self.client.feedback(url, &id, "closed", "success", "cancelled")?;
        self.forget()
    }

    fn deploy(&self, url: &str) -> Result<()> {
        let deployment = self.client.get(url)?;
        let id = text(&deployment["id"]);
        let slots = board::slots(&self.control)?;
        let begun = self.begun().filter(|action| action.id == id);
        let mut attempts = 0;
        if let Some(action) = begun {
            match action.outcome(&slots) {
                Outcome::Proceeding(said) => return self.client.feedback(url, &id, "proceeding", "none", &said),
                Outcome::Success(said) => return self.close(url, &id, "success", &said),
                Outcome::Failure(said) => return self.close(url, &id, "failure", &said),
                Outcome::Unknown => attempts = action.attempts,
            }
        }
        if deployment["deployment"]["download"] == "skip" || deployment["deployment"]["update"] == "skip" {
            return Ok(());
        }
        if attempts >= ATTEMPTS {
            return self.close(url, &id, "failure", "it was written three times, and never tried");
        }
        let Some((download, size)) = artifact(&deployment) else {
            return self.close(url, &id, "failure", "there is not exactly one artifact, and none is called *.bundle");
        };
        let action =
            Action { id: id.clone(), attempts: attempts + 1, verdict: slots.verdict.clone(), version: running(&slots) };
        self.remember(&action)?;
        self.client.feedback(url, &id, "proceeding", "none", "downloading")?;
        let mut asked = Instant::now();
        let mut is_cancelled = || {
            if asked.elapsed() < CANCEL {
                return false;
            }
            asked = Instant::now();
            // If the server is away, the download ends by itself.
            self.client.poll().is_ok_and(|poll| poll["_links"]["cancelAction"]["href"].is_string())
        };
        match install(&self.control, &self.client, &download, size, &mut is_cancelled)? {
            // The board restarts. If the server does not hear of it now, it does at the next poll.
            End::Done => self.client.feedback(url, &id, "proceeding", "none", "written; the board restarts"),
            End::Failed(why) => self.close(url, &id, "failure", &why),
            // The next poll has the address of the cancellation.
            End::Cancelled => self.forget(),
        }
    }

    fn close(&self, url: &str, id: &str, finished: &str, details: &str) -> Result<()> {
        self.client.feedback(url, id, "closed", finished, details)?;
        self.forget()
    }

    /// Returns the action that was begun. What cannot be read was none.
    fn begun(&self) -> Option<Action> {
        serde_json::from_slice(&std::fs::read(&self.state).ok()?).ok()
    }

    fn remember(&self, action: &Action) -> Result<()> {
        let new = self.state.with_extension("new");
        let context = || format!("{}", self.state.display());
        let mut file = std::fs::File::create(&new).with_context(context)?;
        std::io::Write::write_all(&mut file, &serde_json::to_vec(action)?).with_context(context)?;
        // The board restarts soon.
        file.sync_all().with_context(context)?;
        std::fs::rename(&new, &self.state).with_context(context)
    }

    fn forget(&self) -> Result<()> {
        match std::fs::remove_file(&self.state) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// Returns a text or number as text: servers differ in that.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Returns the address and size of the bundle: the artifact called `*.bundle`, or the only one.
fn artifact(deployment: &Value) -> Option<(String, u64)> {
    let chunks = deployment["deployment"]["chunks"].as_array()?;
    let all: Vec<&Value> = chunks.iter().filter_map(|chunk| chunk["artifacts"].as_array()).flatten().collect();
    let is_bundle = |artifact: &&&Value| artifact["filename"].as_str().is_some_and(|name| name.ends_with(".bundle"));
    let found = match (all.iter().find(is_bundle), &all[..]) {
        (Some(found), _) => found,
        (None, [only]) => only,
        _ => return None,
    };
    let links = &found["_links"];
    let href = links["download"]["href"].as_str().or(links["download-http"]["href"].as_str())?;
    Some((href.to_owned(), found["size"].as_u64()?))
}

/// Returns how long the server wants to be left alone: `HH:MM:SS`.
fn sleep(poll: &Value) -> Duration {
    let text = poll["config"]["polling"]["sleep"].as_str().unwrap_or_default();
    let parts: Vec<u64> = text.split(':').filter_map(|part| part.parse().ok()).collect();
    match parts[..] {
        [hours, minutes, seconds] => {
            Duration::from_secs(hours * 3_600 + minutes * 60 + seconds).clamp(SLEEP[0], SLEEP[1])
        }
        _ => AFTER_ERROR[1],
    }
}

#[cfg(test)]
mod tests;
