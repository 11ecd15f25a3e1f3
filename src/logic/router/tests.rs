use super::*;
use std::vec::Vec;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// Returns a router advertisement with these flags, lifetime and options.
fn advertisement(flags: u8, lifetime_s: u16, options: &[u8]) -> Vec<u8> {
    let [high, low] = lifetime_s.to_be_bytes();
    let body = [&[134, 0, 0, 0, 64, flags, high, low, 0, 0, 0, 0, 0, 0, 0, 0][..], options].concat();
    let mut frame = vec![0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x86, 0xdd, 0x60, 0, 0, 0];
    frame.extend_from_slice(&(body.len() as u16).to_be_bytes());
    frame.extend_from_slice(&[58, 255]);
    frame.extend_from_slice(&ROUTER.octets());
    frame.extend_from_slice(&[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    [frame, body].concat()
}

fn servers(seconds: u32, list: &[Ipv6Addr]) -> Vec<u8> {
    let mut option = vec![25, 1 + 2 * list.len() as u8, 0, 0];
    option.extend_from_slice(&seconds.to_be_bytes());
    list.iter().for_each(|server| option.extend_from_slice(&server.octets()));
    option
}

fn address(last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd55, 0, 0, 0, 0, 0, 0, last)
}

fn shown(names: &Names) -> (Vec<Ipv6Addr>, &str) {
    (names.servers.into_iter().filter(|server| !server.is_unspecified()).collect(), names.search.text())
}

#[test]
fn name_servers_and_domains_expire() {
    let mut listener = Listener::new(MAC, 7, 0);
    let domains = [&[31, 3, 0, 0, 0, 0, 0, 60][..], b"\x03eng\x04corp\x00\x00\x00\x00\x00\x00\x00"].concat();
    let options = [servers(30, &[address(1), address(2)]), domains].concat();
    listener.receive_frame(0, &advertisement(0, 1_800, &options));
    let names = listener.news(0).expect("something new");
    assert_eq!(shown(&names), (vec![address(1), address(2)], "eng.corp"));
    assert_eq!((names.router, Names::read(&names.bytes())), (ROUTER, names));
    listener.receive_frame(10_000, &advertisement(0, 1_800, &servers(30, &[address(1)])));
    assert!(listener.news(10_000).is_none(), "the same again is not told");
    assert_eq!(listener.deadline(), Some(30_000));
    assert_eq!(shown(&listener.news(30_000).expect("one is over")), (vec![address(1)], "eng.corp"));
    // A lifetime of 0 ends an entry at once, for name servers as for routers.
    listener.receive_frame(31_000, &advertisement(0, 0, &servers(0, &[address(1)])));
    let names = listener.news(31_000).expect("it is gone");
    assert_eq!((shown(&names), names.router), ((vec![], "eng.corp"), Ipv6Addr::UNSPECIFIED));
    assert_eq!(shown(&listener.news(60_000).expect("nothing is left")), (vec![], ""));
    assert_eq!(listener.deadline(), None);
}

#[test]
fn invalid_advertisements_are_ignored() {
    let good = advertisement(0, 1_800, &servers(30, &[address(1)]));
    // Another protocol, version, next header, hop limit, type and code; from another source; truncated.
    for (place, byte) in [(13, 0), (14, 0x40), (20, 17), (21, 254), (54, 136), (55, 1), (22, 0xfd), (18, 1)] {
        let mut listener = Listener::new(MAC, 7, 0);
        let mut bad = good.clone();
        bad[place] = byte;
        listener.receive_frame(0, &bad);
        assert!(listener.news(0).is_none(), "{place}");
    }
    for server in [Ipv6Addr::UNSPECIFIED, Ipv6Addr::LOCALHOST, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1)] {
        let mut listener = Listener::new(MAC, 7, 0);
        listener.receive_frame(0, &advertisement(0, 0, &servers(30, &[server])));
        assert!(listener.news(0).is_none(), "{server}");
    }
}

/// Returns a server's reply to a request.
fn reply(question: &[u8], options: &[u8]) -> Vec<u8> {
    let id = &question[1..4];
    let own = &question[4..18];
    [&[7][..], id, own, &[0, 2, 0, 4, 0, 3, 0, 1], options].concat()
}

#[test]
fn dhcpv6_server_is_asked_and_refreshed_when_a_router_announces_it() {
    let (mut listener, mut question) = (Listener::new(MAC, 7, 0), [0; QUESTION_BYTES]);
    listener.receive_frame(0, &advertisement(0, 1_800, &[]));
    assert_eq!(listener.turn(0, &mut question), 0, "nobody said so");
    listener.receive_frame(0, &advertisement(0x40, 1_800, &[]));
    let length = listener.turn(0, &mut question);
    assert_eq!(
        question[4..length],
        [0, 1, 0, 10, 0, 3, 0, 1, 2, 0, 0, 0, 0, 1, 0, 8, 0, 2, 0, 0, 0, 6, 0, 6, 0, 23, 0, 24, 0, 32]
    );
    // The delay grows, and the request contains the elapsed time.
    let mut pauses = Vec::new();
    let mut now = 0;
    for _ in 0..5 {
        let at = listener.ask_at.expect("it asks again");
        pauses.push((at - now) / 1_000);
        now = at;
        assert_eq!(listener.turn(now, &mut question), length);
    }
    assert!(
        pauses.iter().zip([1, 2, 4, 8, 16]).all(|(pause, least)| (least..=least * 2).contains(pause)),
        "{pauses:?}"
    );
    assert_ne!(question[22..24], [0, 0]);
    let options =
        [&[0, 23, 0, 16][..], &address(9).octets(), b"\x00\x18\x00\x06\x04corp\x00", &[0, 32, 0, 4, 0, 0, 3, 32]]
            .concat();
    // For another request, for another client, or without a server id.
    let good = reply(&question[..length], &options);
    for place in [0, 3, 17, 19] {
        let mut bad = good.clone();
        bad[place] ^= 1;
        listener.answer(now, &bad);
        assert_eq!(listener.servers.len(), 0, "{place}");
    }
    listener.answer(now, &good);
    assert_eq!(shown(&listener.news(now).expect("news")), (vec![address(9)], "corp"));
    assert_eq!(listener.ask_at, Some(now + 800_000), "it is asked again after the time that it said");
    listener.answer(now, &good);
    assert_eq!(listener.ask_at, Some(now + 800_000), "an answer counts once");
    // The router withdraws the flag.
    listener.receive_frame(now, &advertisement(0, 1_800, &[]));
    assert_eq!(listener.ask_at, None);
}

#[test]
fn routers_are_solicited_until_one_answers() {
    let (mut listener, mut frame) = (Listener::new(MAC, 7, 0), [0; SOLICITATION_BYTES]);
    let mut times = Vec::new();
    while let Some(at) = listener.deadline() {
        assert_eq!(listener.solicit(at, &mut frame), frame.len());
        times.push(at);
    }
    assert_eq!(times, [0, 4_000, 8_000]);
    // The checksum of RFC 4443 2.3: over both addresses, the length, the protocol and the message.
    let words = [&frame[22..54], &[0, 8, 0, 58], &frame[54..]].concat();
    let sum: u32 = words.as_chunks::<2>().0.iter().map(|word| u32::from(u16::from_be_bytes(*word))).sum();
    assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
    listener.ask_routers(20_000);
    assert_eq!(listener.deadline(), Some(20_500));
    listener.receive_frame(20_100, &advertisement(0, 1_800, &[]));
    assert_eq!(listener.solicit(20_500, &mut frame), 0);
}

proptest::proptest! {
    #[test]
    fn any_input_is_accepted_or_ignored(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        let mut listener = Listener::new(MAC, 7, 0);
        listener.receive_frame(0, &bytes);
        listener.receive_frame(0, &advertisement(0x40, 9, &bytes));
        let mut question = [0; QUESTION_BYTES];
        let length = listener.turn(0, &mut question);
        listener.answer(1, &reply(&question[..length], &bytes));
        listener.answer(1, &bytes);
        let _ = listener.news(2);
    }
}
