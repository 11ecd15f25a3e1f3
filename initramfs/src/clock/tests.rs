//! The file with the build time, for images with a `time` line.

use super::build_time;
use hilum::boot_count::{TIME, read};
use hilum::config::{Config, parse};

fn made(text: &str, epoch: Option<&str>) -> Result<Option<u32>, String> {
    let mut config = Box::new(Config::EMPTY);
    parse(text.as_bytes(), &mut config).expect("a configuration");
    let made = build_time(&config, epoch).map_err(|error| format!("{error:#}"))?;
    Ok(made.map(|bytes| read(TIME, &bytes)))
}

#[test]
fn only_an_image_with_a_time_line_has_its_build_time() {
    assert_eq!(made("hilum 1\n", Some("1795000000")), Ok(None));
    assert_eq!(made("hilum 1\n[system]\ntime dhcp\n", Some("1795000000")), Ok(Some(1_795_000_000)));
    let now = made("hilum 1\n[system]\ntime keep=/data/time\n", None).expect("it is there");
    assert!(now > Some(1_767_225_600), "{now:?}");
}

#[test]
fn wrong_epoch_is_refused() {
    for wrong in ["", "-1", "tomorrow", "4294967296"] {
        let error = made("hilum 1\n[system]\ntime dhcp\n", Some(wrong)).expect_err("it is no time");
        assert!(error.starts_with(&format!("SOURCE_DATE_EPOCH={wrong}: it must be seconds")), "{error}");
    }
}
