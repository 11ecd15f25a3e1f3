use super::Token;
use rustix::event::epoll::EventFlags;

#[test]
fn every_token_survives_encoding() {
    let indexed = [Token::Output, Token::Report, Token::Ready, Token::Notify, Token::Client, Token::Dhcp];
    let tokens = [Token::Signals, Token::Console, Token::Control, Token::Links]
        .into_iter()
        .chain(indexed.into_iter().flat_map(|make| [0, 1, 31, 0xffff_ffff].map(make)));
    let mut seen = std::collections::BTreeSet::new();
    for token in tokens {
        let data = token.data();
        let back = Token::from(data);
        assert_eq!(back.data().u64(), data.u64());
        assert_eq!(core::mem::discriminant(&back), core::mem::discriminant(&token));
        assert!(seen.insert(data.u64()), "two tokens are packed alike");
    }
}

#[test]
fn descriptors_shared_with_set_ups_are_edge_triggered() {
    for token in [Token::Report(0), Token::Ready(0), Token::Dhcp(0)] {
        assert!(token.interest().contains(EventFlags::ET));
    }
    assert!(!Token::Output(0).interest().contains(EventFlags::ET), "what is left is read in the next turn");
}
