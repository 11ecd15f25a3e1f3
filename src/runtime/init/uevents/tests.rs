use super::*;
use rustix::net::socketpair;

#[test]
fn flood_of_device_events_is_read_in_shares_and_only_the_kernel_is_heard() {
    let (reader, writer) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).expect("sockets");
    const SENT: usize = UEVENTS * 3 / 2;
    let event = b"add@/devices/x\0ACTION=add\0DEVPATH=/devices/x\0SUBSYSTEM=block\0";
    (0..SENT).for_each(|_| assert_eq!(rustix::io::write(&writer, event), Ok(event.len())));
    let uevents = Uevents { socket: Some(reader) };
    let left = || {
        let mut count = 0;
        let mut bytes = [0; 256];
        while recvfrom(uevents.socket().expect("a socket"), &mut bytes, RecvFlags::DONTWAIT).is_ok() {
            count += 1;
        }
        count
    };
    uevents.read(|_| panic!("it is not from the kernel"));
    assert_eq!(left(), SENT - UEVENTS);
}
