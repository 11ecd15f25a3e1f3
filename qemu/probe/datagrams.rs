//! Datagrams from the network.

use crate::tell;
use core::net::SocketAddrV4;
use rustix::net::{AddressFamily, RecvFlags, SocketType, bind, recv, socket};

/// Prints the contents of each datagram to a UDP port, until it is killed.
pub(crate) fn hear(port: u32) {
    let Ok(socket) = socket(AddressFamily::INET, SocketType::DGRAM, None) else { return };
    let any = SocketAddrV4::new(core::net::Ipv4Addr::UNSPECIFIED, port as u16);
    if let Err(errno) = bind(&socket, &any) {
        return tell(format_args!("bind: {errno}"));
    }
    let mut bytes = [0; 64];
    while let Ok((length, _)) = recv(&socket, &mut bytes[..], RecvFlags::empty()) {
        let text = core::str::from_utf8(&bytes[..length.min(bytes.len())]).unwrap_or_default();
        tell(format_args!("{}", text.trim_ascii()));
    }
}
