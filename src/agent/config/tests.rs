use super::*;

#[test]
fn misspelt_key_is_refused_with_its_line() {
    let error = Config::parse("[metrics]\nlisten = \"0.0.0.0:9100\"\ndisk = []\n").expect_err("an unknown key");
    let error = format!("{error:#}");
    assert!(error.contains("line 3") && error.contains("unknown field `disk`"), "{error}");
    Config::parse("[metrics]\nlisten = \"board:9100\"\n").expect_err("an address, not a name");
}

#[test]
fn empty_file_runs_nothing() {
    let config = Config::parse("").expect("it is valid");
    assert_eq!((config.control.to_str(), config.metrics.is_none()), (Some("/run/hilum.sock"), true));
}
