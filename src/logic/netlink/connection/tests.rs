use super::super::tests::{CONFIG, config, written};
use super::*;

/// Returns a tuple in the kernel's encoding: IPv4 addresses, protocol, ports.
fn tuple(kind: u16, from: ([u8; 4], u16), to: ([u8; 4], u16), protocol: u8) -> Vec<u8> {
    let attribute = |kind: u16, value: &[u8]| {
        let mut bytes = [(value.len() as u16 + 4).to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    };
    let addresses = [attribute(1, &from.0), attribute(2, &to.0)].concat();
    let ports = [attribute(2, &from.1.to_be_bytes()), attribute(3, &to.1.to_be_bytes())].concat();
    let protocol = [attribute(1, &[protocol]), if protocol == 1 { Vec::new() } else { ports }].concat();
    attribute(kind | 0x8000, &[attribute(0x8001, &addresses), attribute(0x8002, &protocol)].concat())
}

type End = ([u8; 4], u16);

/// Returns a message of the kernel about a connection.
fn connection(forth: (End, End), back: (End, End), protocol: u8) -> Vec<u8> {
    let id = [8, 0, 12, 0, 1, 2, 3, 4];
    let (forth, back) = (tuple(1, forth.0, forth.1, protocol), tuple(2, back.0, back.1, protocol));
    [&[2, 0, 0, 0][..], &forth, &back, &id].concat()
}

const PEER: End = ([192, 168, 9, 1], 7777);
const BOARD: End = ([192, 168, 9, 2], 8080);
const WEB: End = ([10, 77, 0, 2], 80);
const UDP: u8 = 17;

#[test]
fn connection_is_deleted_with_the_workload_at_either_end() {
    let config = config(CONFIG);
    let [web, db] = &config.workloads[..] else { panic!("two workloads") };
    for (message, is_its) in [
        (connection((PEER, BOARD), (WEB, PEER), 6), true),
        (connection((WEB, PEER), (PEER, BOARD), 6), true),
        (connection((WEB, PEER), (PEER, WEB), 1), true),
        (connection((PEER, BOARD), (BOARD, PEER), 6), false),
    ] {
        let connection = Connection::read(0x100, &message).expect("a connection");
        assert_eq!(connection.is_of(&web.network, &config.pools), is_its, "{connection:?}");
        assert!(!connection.is_of(&db.network, &config.pools), "{connection:?}");
        let deleted = written(|writer| connection.delete(writer));
        assert_eq!((deleted[0].0, &deleted[0].2[..4]), (0x102, &[2, 0, 0, 0][..]), "IPCTNL_MSG_CT_DELETE");
        assert_eq!(attribute(&deleted[0].2[4..], 1), attribute(&message[4..], 1), "CTA_TUPLE_ORIG");
        assert_eq!(attribute(&deleted[0].2[4..], 12), Some(&[1, 2, 3, 4][..]), "CTA_ID");
    }
}

#[test]
fn unredirected_datagram_flows_to_published_ports_are_found() {
    let misses = |publish: &str, forth: (End, End), back: (End, End), protocol: u8| {
        let text = CONFIG.replace("publish 8080:80/tcp", publish);
        let config = config(&text);
        let message = connection(forth, back, protocol);
        let connection = Connection::read(0x100, &message).expect("a connection");
        connection.misses(config.pools.of(config.workloads[0].network.publish))
    };
    let direct = ((PEER, BOARD), (BOARD, PEER));
    for (publish, is_missed) in [
        ("publish 8080:80/udp", true),
        ("publish 8000-8080:8000-8080/udp", true),
        ("publish 8000-8079:8000-8079/udp", false),
        ("publish 192.168.9.2:8080:80/udp", true),
        ("publish 192.168.9.3:8080:80/udp", false),
        ("publish 8080:80/tcp", false),
    ] {
        assert_eq!(misses(publish, direct.0, direct.1, UDP), is_missed, "{publish}");
        assert!(!misses(publish, direct.0, direct.1, 6), "connections of TCP go on where they began");
    }
    assert!(!misses("publish 8080:80/udp", (PEER, BOARD), (WEB, PEER), UDP), "it leads to the workload");
    let out = ([10, 77, 0, 3], 7777);
    assert!(!misses("publish 8080:80/udp", (out, PEER), (PEER, BOARD), UDP), "another workload's way out");
}

#[test]
fn truncated_connection_is_refused() {
    let message = connection((PEER, BOARD), (WEB, PEER), UDP);
    for length in 0..message.len() {
        assert!(Connection::read(0x100, &message[..length]).is_none(), "{length}");
    }
    assert!(Connection::read(0x102, &message).is_none(), "another kind of message");
}
