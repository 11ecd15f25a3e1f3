use super::*;
use std::path::Path;

/// Writes a description with the folder `site` and these files in it, and returns it.
fn describe(folder: &Path, files: &[(&str, &str)]) -> Description {
    let site = folder.join("site");
    let _ = std::fs::remove_dir_all(&site);
    std::fs::create_dir(&site).expect("a folder");
    for (name, text) in files {
        std::fs::write(site.join(name), text).expect("a file");
    }
    let file = folder.join("appliance.toml");
    std::fs::write(&file, "config = \"hilum.conf\"\nsite = \"site\"\n").expect("a file");
    Description::read(&[file]).expect("a description")
}

/// Returns what is wrong with these files for this configuration, without the name of the scratch folder.
fn checked(text: &str, names: &[(&str, &str)]) -> String {
    let scratch = tempfile::tempdir().expect("a folder");
    let description = describe(scratch.path(), names);
    let mut config = Box::new(Config::EMPTY);
    hilum::config::parse(text.as_bytes(), &mut config).expect("a configuration");
    let found = files(&description).expect("files");
    let result = check(&description, &found, "hilum.conf", text.as_bytes(), &config);
    result
        .err()
        .map_or_else(String::new, |error| format!("{error}").replace(&format!("{}/", scratch.path().display()), ""))
}

const CONFIG: &str = "hilum 1\n[system]\nmount LABEL=SITE /site vfat ro\nsite /site/site.conf\n";

#[test]
fn site_is_checked_as_on_the_board() {
    assert_eq!(checked(CONFIG, &[("site.conf", "hostname hall\n"), ("keys", "x")]), "");
    assert_eq!(checked(CONFIG, &[("site.conf", "\u{feff}hostname hall\r\n")]), "", "as other systems write it");
    let long = "#".repeat(4097);
    assert_eq!(checked(CONFIG, &[("site.conf", &long)]), "site/site.conf: more than 4096 bytes; shorten it");
    for (text, site, expected) in [
        (
            CONFIG,
            &[("site.conf", "# first\nconsole off\n")][..],
            "site/site.conf:2:1: found \"console\", expected hostname",
        ),
        (
            CONFIG,
            &[("site.txt", "")],
            "appliance.toml:2: site has no site.conf, which the line site of hilum.conf names; add it",
        ),
        (
            "hilum 1\n",
            &[("site.conf", "")],
            "appliance.toml:2: site needs the line site in [system] of hilum.conf; add it",
        ),
    ] {
        let found = checked(text, site);
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn folder_in_a_site_is_refused() {
    let scratch = tempfile::tempdir().expect("a folder");
    let description = describe(scratch.path(), &[("site.conf", "")]);
    std::fs::create_dir(scratch.path().join("site/more")).expect("a folder");
    let error = files(&description).expect_err("a folder in it").to_string();
    assert!(error.ends_with("more is not a file; the site has no folders"), "{error}");
}
