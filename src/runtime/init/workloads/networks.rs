//! The network namespaces of workloads over their runs: rules, clients of their links, and the end of what was kept.

use super::Workloads;
use crate::init::context::Context;
use crate::net::HostLinks;
use crate::workload::{process_file, remove_rules};
use hilum::netlink::has_tables;
use hilum::supervise::State;
use rustix::fs::OFlags;
use rustix::io::Errno;

impl Workloads {
    /// Starts the DHCP clients of workloads that have started, and ends those of workloads that have exited.
    pub(crate) fn follow_links(&self, cx: &Context, links: &mut HostLinks) {
        let config = cx.config.clone();
        let config = config.get();
        let shared = |index: usize| {
            let is_shared = config.workload(index).isolation.is_net_shared;
            is_shared.then(|| self.launch.networks.shared(config, index))
        };
        let process = |index: usize| {
            let process = self.process(config.slots.of(index))?;
            (process.report.is_none() && !process.has_failed && process.ended.is_none()).then_some(process)
        };
        // A shared network outlives its workloads.
        let run = |index: usize| match shared(index) {
            Some(namespace) => namespace.map(|_| 0),
            None => Some(process(index)?.pid.as_raw_nonzero().get()),
        };
        let open = |index: usize| match shared(index) {
            Some(namespace) => rustix::io::fcntl_dupfd_cloexec(namespace.ok_or(Errno::SRCH)?, 3),
            None => process_file(process(index).ok_or(Errno::SRCH)?.pid, "ns/net", OFlags::RDONLY),
        };
        links.follow_workloads(config, &run, &open);
    }

    /// Throws away the kept network namespaces of workloads that stay down, or that fail again.
    pub(super) fn release_networks(&mut self, cx: &mut Context) {
        for index in 0..cx.config.get().workloads.len() {
            let unit = self.supervisor.unit(index);
            let is_over = match unit.state {
                State::Finished | State::Failed | State::Stopped => true,
                State::BackingOff(_) => unit.fails_again(),
                _ => false,
            };
            if is_over && self.launch.networks.throw_away(cx.config.get(), index) {
                self.remove_rules(cx, index);
            }
        }
    }

    /// Removes the rules and connections of an exited workload. Those of a network namespace that is shared or kept stay
    /// as long as it does.
    pub(super) fn remove_rules(&mut self, cx: &mut Context, index: usize) {
        let config = cx.config.clone();
        let Some(workload) = config.get().workloads.get(index) else { return };
        if !has_tables(&workload.network, &config.get().pools)
            || workload.isolation.is_net_shared
            || self.launch.networks.has_kept(config.get(), index)
        {
            return;
        }
        // While a set-up is in progress, it may add rules: then this is repeated.
        let is_over = self.slots[cx.slot(index)].set_up.is_none() && self.supervisor.shutting_down().is_none();
        let rules = &mut self.launch.networks.rules;
        if let Some(forgetter) = remove_rules(rules, config.get(), workload, is_over, &mut cx.console) {
            // There is room: each workload has at most one, and starts again only when all have exited.
            let _ = self.forgetters.push(forgetter);
        }
    }
}
