//! What the parser accepts and refuses, with exact errors.

mod bad;
mod good;
mod isolation;
mod properties;
mod site;
mod time;

use super::{Config, parse};

/// Parses `text` and passes the configuration to `look`.
fn with<T>(text: &str, look: impl FnOnce(&Config<'_>) -> T) -> T {
    let mut config = Box::new(Config::EMPTY);
    parse(text.as_bytes(), &mut config).unwrap_or_else(|error| panic!("{error}\n{text}"));
    look(&config)
}

/// Returns the error line for `bytes`.
fn refusal(bytes: &[u8]) -> String {
    let mut config = Box::new(Config::EMPTY);
    match parse(bytes, &mut config) {
        Ok(()) => panic!("was taken: {}", String::from_utf8_lossy(bytes)),
        Err(error) => error.to_string(),
    }
}
