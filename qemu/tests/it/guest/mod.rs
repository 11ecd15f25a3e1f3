//! Tests that boot machines in QEMU; some files also contain related tests on the host.

mod boards;
mod boot;
mod budgets;
mod degraded;
mod demo_image;
mod device_classes;
mod devices;
mod escapes;
mod filesystems;
mod filter;
mod kept_disks;
mod kernels;
mod limits;
mod network;
mod plugged_disks;
mod publish;
mod roots;
mod settings;
mod stops;
mod storage;
mod terminal;
mod throughput;
mod uplinks;
mod verified;
mod vlan;
mod watchdog;
