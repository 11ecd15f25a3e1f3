//! config.json of hilum-oci: a file that is accepted has a plan, files of its control group and a filter of devices.
#![no_main]
use hilum_oci::cgroup::{by_path, devices, resources, systemd};
use hilum_oci::config::Spec;
use hilum_oci::{plan, refuse};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(spec) = serde_json::from_slice::<Spec>(data) else { return };
    if refuse::check(&spec).is_err() {
        return;
    }
    if let Ok(plan) = plan::plan(&spec, true) {
        assert!(plan.steps.iter().any(|step| matches!(step, plan::Step::Root)));
        assert!(matches!(plan.steps.last(), Some(plan::Step::Execute)));
    }
    let _ = plan::further(&spec);
    let Some(linux) = &spec.linux else { return };
    if let Ok(group) = by_path(linux.cgroups_path.as_deref(), "one") {
        assert!(group.path.starts_with('/') && !group.path.split('/').any(|part| part == ".."));
    }
    if let Ok(unit) = systemd::unit(linux.cgroups_path.as_deref(), "one") {
        assert!(unit.name.ends_with(".scope") || unit.name.ends_with(".slice"));
        assert!(!unit.name.contains('/'));
    }
    let Some(wanted) = &linux.resources else { return };
    for setting in resources::settings(wanted).unwrap_or_default() {
        assert!(!setting.file.contains('/') && !setting.file.starts_with("cgroup."), "{}", setting.file);
    }
    if let Ok(program) = devices::program(&wanted.devices) {
        // The last instruction ends the program.
        assert_eq!(program.last().map(|instruction| instruction[0]), Some(0x95));
    }
});
