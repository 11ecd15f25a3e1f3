//! Tests of PID 1 in a PID namespace of this host, as root, and of the ELF file as a command. None needs QEMU.

mod agent;
mod command;
mod control;
mod dhcp;
mod dhcp_inside;
mod dhcp_options;
mod dhcp_servers;
mod faults;
mod floods;
mod isolation;
mod kept_networks;
mod leftovers;
mod loosening;
mod network_host;
mod publish;
mod races;
mod readiness;
mod routers;
mod shutdown;
mod soak;
mod streams;
mod supervision;
mod time;
mod trust;
mod uplinks;
mod wire;
