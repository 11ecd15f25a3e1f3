//! hilum.conf: an accepted file can be planned, explained and audited, and reloading it changes nothing.
#![no_main]
use hilum::config::{Config, keep_ids, keep_slots, parse, unchanged};
use hilum::plan::{audit, plan};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (mut config, mut again) = (Box::new(Config::EMPTY), Box::new(Config::EMPTY));
    if let Err(error) = parse(data, &mut config) {
        assert!(!error.to_string().contains('\n'));
        return;
    }
    for workload in &config.workloads {
        plan(workload, &config.pools).steps.iter().for_each(|step| drop(step.to_string()));
        audit(workload, &config, &mut |line: core::fmt::Arguments<'_>| drop(line.to_string()));
    }
    parse(data, &mut again).expect("it was taken before");
    keep_ids(&config, &mut again);
    keep_slots(&config, &mut again);
    assert_eq!(unchanged(&config, &again).iter().count(), again.workloads.len());
});
