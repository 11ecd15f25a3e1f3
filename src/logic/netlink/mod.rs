//! Netlink messages: rtnetlink, nf_tables and ctnetlink.
//!
//! This module encodes requests and parses replies; src/runtime has the sockets.

mod answer;
mod connection;
mod entry;
mod filter;
mod kernel;
mod route;
mod rule;
mod wiring;
mod writer;

pub use answer::{Message, Messages, Refusal, acknowledge};
pub use connection::{Connection, list_connections};
pub use entry::{AddressEntry, LinkEntry, RouteEntry, RuleEntry};
pub use filter::list_rules;
pub use route::{
    Inner, List, Make, Neighbours, add_address, add_forwarding, add_route, delete_address, delete_kernel_route,
    delete_link, delete_route, isolate_port, list, make_bridge, make_link, make_vlan, move_link, rename_link, set_link,
    stop_addresses, take_down,
};
pub use wiring::{
    WORKLOAD_RULES_BYTES, board_rules, bridge_neighbours, has_tables, inner_link, remove_workload_rules, set_up_bridge,
    try_rules, workload_rules,
};
pub use writer::Writer;

#[cfg(test)]
mod tests;
