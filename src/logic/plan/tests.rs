//! The plan of a workload, step by step.

use super::*;
use crate::config::{Restart, Signal, Stop, User, When, WorkloadSet};

fn workload() -> Workload<'static> {
    let mut exec = Vec::new();
    exec.push("/bin/httpd").expect("one word fits");
    Workload {
        name: "web",
        line: 1,
        root: "/images/web",
        exec,
        env: Vec::new(),
        directory: "/srv",
        hostname: "front",
        user: User { uid: 1000, gid: 50 },
        needs: WorkloadSet::EMPTY,
        after: WorkloadSet::EMPTY,
        restart: Restart { when: When::Never, delay_ms: 1, max_ms: 1, limit: None },
        stop: Stop { signal: Signal(15), grace_ms: 1 },
    }
}

fn position(plan: &Plan<'_>, wanted: impl Fn(&Step<'_>) -> bool) -> usize {
    plan.steps.iter().position(wanted).expect("the step is in the plan")
}

#[test]
fn every_plan_fits() {
    assert!(plan(&workload()).steps.len() <= STEPS);
}

#[test]
fn workload_has_six_namespaces_of_its_own() {
    assert_eq!(plan(&workload()).namespaces.to_string(), "pid mnt uts ipc net cgroup");
}

#[test]
fn nothing_is_attached_after_the_pivot() {
    let plan = plan(&workload());
    let pivot = position(&plan, |step| *step == Step::Pivot);
    let last = plan.steps.iter().rposition(|step| {
        matches!(step, Step::Root(_) | Step::Mount(_) | Step::Node(_) | Step::Link(_) | Step::Folder(_) | Step::Seal(_))
    });
    assert!(last < Some(pivot));
}

#[test]
fn privileges_end_in_the_order_that_each_drop_needs() {
    let plan = plan(&workload());
    let order = [Step::Pivot, Step::Directory("/srv"), Step::Bounding, Step::User(workload().user), Step::Capabilities];
    let at = order.map(|wanted| position(&plan, |step| *step == wanted));
    assert!(at.is_sorted(), "{at:?}");
    assert!(matches!(plan.steps.last(), Some(Step::Execute("/bin/httpd"))));
}

#[test]
fn folder_is_made_before_something_is_attached_to_it() {
    let plan = plan(&workload());
    for path in [c"dev/pts", c"dev/shm"] {
        let folder = position(&plan, |step| matches!(step, Step::Folder(folder) if folder.path == path));
        let dev = position(&plan, |step| matches!(step, Step::Mount(mount) if mount.target == c"dev"));
        let mount = position(&plan, |step| matches!(step, Step::Mount(mount) if mount.target == path));
        assert!(dev < folder && folder < mount);
    }
}

#[test]
fn standard_input_is_the_workloads_own_node() {
    let plan = plan(&workload());
    let node = position(&plan, |step| matches!(step, Step::Node(node) if node.path == c"dev/null"));
    assert!(node < position(&plan, |step| *step == Step::Output));
}

#[test]
fn every_mount_but_dev_and_pts_is_without_devices() {
    for step in &plan(&workload()).steps {
        if let Step::Mount(mount) = step {
            assert_eq!(mount.devices, mount.target == c"dev" || mount.target == c"dev/pts", "{mount:?}");
        }
    }
}

#[test]
fn explain_shows_every_step_with_its_detail() {
    let text = plan(&workload()).to_string();
    for line in [
        " 0  clone into own namespaces: pid mnt uts ipc net cgroup\n",
        "set host name front\n",
        "set /proc/sys/net/ipv4/ip_unprivileged_port_start: to 0\n",
        "attach root /images/web: ro,nosuid,nodev\n",
        "mount /proc: proc nosuid,ro,noexec,nodev\n",
        "mount /dev/shm: tmpfs nosuid,noexec,nodev,mode=1777,size=16m\n",
        "make node /dev/null: character device 1:3, mode 0666\n",
        "make link /dev/fd: to /proc/self/fd\n",
        "become user 1000:50\n",
        "exec /bin/httpd\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
}

#[test]
fn failed_step_has_a_hint_where_the_kernel_misleads() {
    assert_eq!(Step::Execute("/x").hint(8), Some("built for another architecture, or no program at all"));
    assert_eq!(Step::Execute("/x").hint(1), None);
}
