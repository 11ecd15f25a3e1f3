//! nf_tables over netlink (include/uapi/linux/netfilter/nf_tables.h): tables, chains and rules in one atomic batch.
//! `rule.rs` has the expressions of rules, `wiring.rs` the rules themselves.

use super::kernel::*;
use super::rule::{Rule, Verdict};
use super::writer::Writer;
use heapless::String;

/// The family of a table: the packets that it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// IPv4 and IPv6.
    Inet,
    /// Frames on a device.
    Netdev,
}

impl Family {
    const fn number(self) -> u8 {
        match self {
            Self::Inet => NFPROTO_INET,
            Self::Netdev => NFPROTO_NETDEV,
        }
    }
}

/// The hook of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hook<'a> {
    /// Packets for the board itself.
    Input,
    /// Forwarded packets.
    Forward,
    /// Destination NAT, before routing.
    Destination,
    /// Destination NAT for packets of the board itself.
    OwnDestination,
    /// Source NAT, after routing.
    Source,
    /// Frames that come in over this device.
    Ingress(&'a str),
}

/// nfgenmsg: family, version, and the subsystem at the start and end of a batch.
pub(super) fn header(writer: &mut Writer<'_>, family: u8, resource: u16) {
    let [high, low] = resource.to_be_bytes();
    writer.put(&[family, 0, high, low]);
}

/// Writes a batch.
pub(super) fn batch<'b>(writer: &mut Writer<'b>, body: impl FnOnce(&mut Batch<'_, 'b>)) {
    let edge = |writer: &mut Writer<'_>, kind| writer.silent(kind, 1, |writer| header(writer, 0, NFTABLES >> 8));
    edge(writer, NFNL_MSG_BATCH_BEGIN);
    body(&mut Batch { writer, family: Family::Inet, table: String::new() });
    edge(writer, NFNL_MSG_BATCH_END);
}

/// Requests a list of all rules of all tables; they are returned as [`super::RuleEntry`].
pub fn list_rules(writer: &mut Writer<'_>) {
    writer.silent(NFTABLES | NFT_MSG_GETRULE, NLM_F_REQUEST | NLM_F_DUMP, |writer| header(writer, 0, 0));
}

/// A batch, and the table of the following chains and rules.
#[derive(Debug)]
pub(super) struct Batch<'w, 'b> {
    writer: &'w mut Writer<'b>,
    family: Family,
    table: String<40>,
}

impl Batch<'_, '_> {
    /// Removes a table with its contents, if it exists.
    pub(super) fn remove_table(&mut self, family: Family, name: &str) {
        self.family = family;
        self.table.clear();
        // A workload's name has at most 32 bytes, and the prefix 6.
        let _ = self.table.push_str(name);
        self.remove();
    }

    /// Creates an empty table, and replaces one of the same name.
    pub(super) fn table(&mut self, family: Family, name: &str) {
        self.remove_table(family, name);
        self.whole(NFTABLES | NFT_MSG_NEWTABLE, NLM_F_CREATE);
    }

    /// Creates a chain with a hook and a policy.
    #[inline(never)]
    pub(super) fn chain(&mut self, name: &str, hook: Hook<'_>, policy: Verdict) {
        const NAME: u16 = 3;
        const HOOK: u16 = 4;
        const POLICY: u16 = 5;
        const TYPE: u16 = 7;
        // The hook's number, and the priority that nft(8) uses for it.
        let (number, priority, kind) = match hook {
            Hook::Ingress(_) => (NF_NETDEV_INGRESS, 0, "filter"),
            Hook::Input => (NF_INET_LOCAL_IN, 0, "filter"),
            Hook::Forward => (NF_INET_FORWARD, 0, "filter"),
            Hook::Destination => (NF_INET_PRE_ROUTING, NF_IP_PRI_NAT_DST, "nat"),
            Hook::OwnDestination => (NF_INET_LOCAL_OUT, NF_IP_PRI_NAT_DST, "nat"),
            Hook::Source => (NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC, "nat"),
        };
        self.begin(NFTABLES | NFT_MSG_NEWCHAIN, NLM_F_CREATE);
        let writer = &mut *self.writer;
        writer.text(NAME, name);
        writer.nest(HOOK, |writer| {
            writer.network_number(1, number);
            writer.network_number(2, priority as u32);
            if let Hook::Ingress(device) = hook {
                writer.text(3, device);
            }
        });
        writer.network_number(POLICY, policy.number());
        writer.text(TYPE, kind);
        writer.end();
    }

    /// Appends a rule to a chain. `words` is its comment in listings.
    pub(super) fn rule(&mut self, chain: &str, words: &str, body: impl FnOnce(&mut Rule<'_, '_>)) {
        let at = self.begin_rule(chain);
        body(&mut Rule { writer: self.writer });
        self.end_rule(at, words);
    }

    #[inline(never)]
    fn begin_rule(&mut self, chain: &str) -> usize {
        const CHAIN: u16 = 2;
        self.begin(NFTABLES | NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
        self.writer.text(CHAIN, chain);
        self.writer.open()
    }

    #[inline(never)]
    fn end_rule(&mut self, at: usize, words: &str) {
        const EXPRESSIONS: u16 = 4;
        const USERDATA: u16 = 7;
        self.writer.close(at, EXPRESSIONS);
        // Comments as nft(8) stores them: type (0), length, and text with NUL.
        let mut comment = [0; 64];
        let length = words.len().min(comment.len() - 3);
        comment[1] = length as u8 + 1;
        comment[2..2 + length].copy_from_slice(&words.as_bytes()[..length]);
        self.writer.attribute(USERDATA, &comment[..length + 3]);
        self.writer.end();
    }

    #[inline(never)]
    fn remove(&mut self) {
        // Create it first, because deleting a table that does not exist fails the whole batch.
        self.whole(NFTABLES | NFT_MSG_NEWTABLE, NLM_F_CREATE);
        self.whole(NFTABLES | NFT_MSG_DELTABLE, 0);
    }

    /// Begins a message about the table.
    #[inline(never)]
    fn begin(&mut self, kind: u16, flags: u16) {
        self.writer.begin(kind, flags);
        header(self.writer, self.family.number(), 0);
        self.writer.text(1, &self.table);
    }

    #[inline(never)]
    fn whole(&mut self, kind: u16, flags: u16) {
        self.begin(kind, flags);
        self.writer.end();
    }
}
