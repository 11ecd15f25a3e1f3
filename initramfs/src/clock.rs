//! The build time of an image, below which its board never sets the clock.

use crate::image::Image;
use anyhow::{Context, Result};
use hilum::boot_count::TIME;
use hilum::config::Config;
use std::time::SystemTime;

/// The file that has it.
const PATH: &str = "etc/hilum.time";

/// Returns the file for an image with this configuration; `None` without a `time` line, so that other images do not depend
/// on when they are built. `epoch` is SOURCE_DATE_EPOCH, by which an image with such a line is reproducible
/// (<https://reproducible-builds.org/specs/source-date-epoch/>).
///
/// # Errors
/// `epoch` is not a number of seconds up to 2106.
fn build_time(config: &Config<'_>, epoch: Option<&str>) -> Result<Option<Vec<u8>>> {
    if !config.system.time.is_on() {
        return Ok(None);
    }
    let seconds: u32 = match epoch {
        Some(text) => text
            .parse()
            .with_context(|| format!("SOURCE_DATE_EPOCH={text}: it must be seconds since 1970, up to 2106"))?,
        None => {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("the clock is before 1970")?;
            now.as_secs().try_into().context("the clock is after 2106")?
        }
    };
    Ok(Some(format!("{TIME}{seconds}\n").into_bytes()))
}

/// Adds the file to an image with this configuration, by SOURCE_DATE_EPOCH.
///
/// # Errors
/// Those of `build_time`.
pub fn put(config: &Config<'_>, image: &mut Image) -> Result<()> {
    if let Some(time) = build_time(config, std::env::var("SOURCE_DATE_EPOCH").ok().as_deref())? {
        image.file(PATH, 0o644, time);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
