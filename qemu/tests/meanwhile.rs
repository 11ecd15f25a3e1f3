//! What comes between two steps: a command while another one is carried out, an end while a workload is being set up, a
//! file that does not answer.

mod support;

use std::process::Stdio;
use support::SOON;

#[test]
fn restart_during_a_reload_does_not_keep_the_old_configuration() {
    let host_root = host_or_return!();
    let config = "hilum 1\n[system]\ncontrol SOCKET\n[workload a]\nroot ROOT\nexec /bin/probe ignore-term\nstop TERM 1s\n\
        [workload b]\nroot ROOT\nexec /bin/probe on-term\n";
    let namespace = host_root.start(config);
    host_root.expect_state("b", "ready");
    host_root.expect_state("a", "ready");
    host_root.configure(&config.replace("ignore-term", "on-term"));
    let mut reload = host_root.command(&["reload"]).stdout(Stdio::null()).spawn().expect("hilum");
    host_root.expect_state("a", "stopping");
    assert_eq!(host_root.ask(&["restart", "a"]).0, 0);
    let console = namespace.console.expect("configuration taken over: 1 stopped, 1 new, 1 as before", SOON);
    let ended = reload.try_wait();
    let _ = reload.kill();
    let _ = reload.wait();
    console.unwrap_or_else(|error| panic!("{error} {ended:?}"));
    namespace.console.expect("a | ready", SOON).expect("the new one runs");
}
