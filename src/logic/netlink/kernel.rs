//! Constants of the kernel's interfaces, under the kernel's names. Tests compare them with a crate that is generated
//! from the kernel's headers, as far as it has them.

/// Defines constants, and a test that compares each with the constant of the same name in another crate.
macro_rules! constants {
    ($test:ident, $($part:ident)::+: $($name:ident: $kind:ty = $value:expr,)*) => {
        $(pub(super) const $name: $kind = $value;)*

        #[test]
        fn $test() {
            use $($part)::+ as headers;
            $(assert_eq!(i128::from($name), headers::$name as i128, stringify!($name));)*
        }
    };
}

/// The subsystem of nf_tables, in the upper byte of a message type (include/uapi/linux/netfilter/nfnetlink.h).
pub(super) const NFTABLES: u16 = 10 << 8;
/// The subsystem of connection tracking, in the same byte.
pub(super) const CTNETLINK: u16 = 1 << 8;

// Connections (include/uapi/linux/netfilter/nfnetlink_conntrack.h).
pub(super) const IPCTNL_MSG_CT_NEW: u16 = 0;
pub(super) const IPCTNL_MSG_CT_GET: u16 = 1;
pub(super) const IPCTNL_MSG_CT_DELETE: u16 = 2;
pub(super) const CTA_TUPLE_ORIG: u16 = 1;
pub(super) const CTA_TUPLE_REPLY: u16 = 2;
pub(super) const CTA_ID: u16 = 12;

/// The other end of a pair (include/uapi/linux/veth.h).
pub(super) const VETH_INFO_PEER: u16 = 1;

constants! { messages_as_in_the_headers, linux_raw_sys::netlink:
    NLMSG_ERROR: u16 = 2,
    NLMSG_DONE: u16 = 3,
    NLM_F_REQUEST: u16 = 1,
    NLM_F_ACK: u16 = 4,
    NLM_F_DUMP: u16 = 0x300,
    NLM_F_REPLACE: u16 = 0x100,
    NLM_F_EXCL: u16 = 0x200,
    NLM_F_CREATE: u16 = 0x400,
    NLM_F_APPEND: u16 = 0x800,
    NLA_F_NESTED: u16 = 0x8000,
    RTM_NEWLINK: u16 = 16,
    RTM_DELLINK: u16 = 17,
    RTM_GETLINK: u16 = 18,
    RTM_NEWADDR: u16 = 20,
    RTM_DELADDR: u16 = 21,
    RTM_GETADDR: u16 = 22,
    RTM_NEWROUTE: u16 = 24,
    RTM_DELROUTE: u16 = 25,
    RTM_GETROUTE: u16 = 26,
    RTM_NEWNEIGH: u16 = 28,
}

constants! { links_as_in_the_headers, linux_raw_sys::netlink:
    IFLA_ADDRESS: u16 = 1,
    IFLA_IFNAME: u16 = 3,
    IFLA_MTU: u16 = 4,
    IFLA_LINK: u16 = 5,
    IFLA_MASTER: u16 = 10,
    IFLA_LINKINFO: u16 = 18,
    IFLA_STATS64: u16 = 23,
    IFLA_AF_SPEC: u16 = 26,
    IFLA_NET_NS_FD: u16 = 28,
    // Inside of IFLA_LINKINFO.
    IFLA_INFO_KIND: u16 = 1,
    IFLA_INFO_DATA: u16 = 2,
    IFLA_INFO_SLAVE_KIND: u16 = 4,
    IFLA_INFO_SLAVE_DATA: u16 = 5,
    IFLA_MACVLAN_MODE: u16 = 1,
    IFLA_VLAN_ID: u16 = 1,
    IFLA_IPVLAN_MODE: u16 = 1,
    IFLA_IPVLAN_FLAGS: u16 = 2,
    IPVLAN_F_PRIVATE: u16 = 1,
    IFLA_BRPORT_LEARNING: u16 = 8,
    IFLA_BRPORT_UNICAST_FLOOD: u16 = 9,
    IFLA_BRPORT_MCAST_FLOOD: u16 = 27,
    IFLA_BRPORT_BCAST_FLOOD: u16 = 30,
    IFLA_BRPORT_ISOLATED: u16 = 33,
    // The link does not create a link-local address.
    IFLA_INET6_ADDR_GEN_MODE: u16 = 8,
}

constants! { addresses_and_routes_as_in_the_headers, linux_raw_sys::netlink:
    IFA_ADDRESS: u16 = 1,
    IFA_LOCAL: u16 = 2,
    IFA_BROADCAST: u16 = 4,
    IFA_CACHEINFO: u16 = 6,
    IFA_FLAGS: u16 = 8,
    IFA_F_NODAD: u32 = 0x02,
    IFA_F_NOPREFIXROUTE: u32 = 0x200,
    RTPROT_KERNEL: u8 = 2,
    RTPROT_STATIC: u8 = 4,
    RTPROT_RA: u8 = 9,
    RTN_UNICAST: u8 = 1,
    RTN_LOCAL: u32 = 2,
    NDA_DST: u16 = 1,
    NDA_LLADDR: u16 = 2,
    NUD_NOARP: u8 = 0x40,
    NUD_PERMANENT: u8 = 0x80,
    NTF_MASTER: u8 = 4,
}

constants! { families_and_tables_as_in_the_headers, libc:
    AF_INET6: u16 = 10,
    AF_BRIDGE: u8 = 7,
    IFF_UP: u32 = 1,
    NFNL_MSG_BATCH_BEGIN: u16 = 16,
    NFNL_MSG_BATCH_END: u16 = 17,
    NFT_MSG_NEWTABLE: u16 = 0,
    NFT_MSG_DELTABLE: u16 = 2,
    NFT_MSG_NEWCHAIN: u16 = 3,
    NFT_MSG_NEWRULE: u16 = 6,
    NFT_MSG_GETRULE: u16 = 7,
    NFPROTO_INET: u8 = 1,
    NFPROTO_NETDEV: u8 = 5,
    NFPROTO_IPV4: u32 = 2,
    NFPROTO_IPV6: u32 = 10,
    NF_DROP: u32 = 0,
    NF_ACCEPT: u32 = 1,
    NF_NETDEV_INGRESS: u32 = 0,
    NF_INET_PRE_ROUTING: u32 = 0,
    NF_INET_LOCAL_IN: u32 = 1,
    NF_INET_FORWARD: u32 = 2,
    NF_INET_LOCAL_OUT: u32 = 3,
    NF_INET_POST_ROUTING: u32 = 4,
    NF_IP_PRI_NAT_DST: i32 = -100,
    NF_IP_PRI_NAT_SRC: i32 = 100,
}

constants! { expressions_of_rules_as_in_the_headers, libc:
    NFT_REG_VERDICT: u32 = 0,
    NFT_REG_1: u32 = 1,
    NFT_REG_2: u32 = 2,
    NFT_META_PROTOCOL: u32 = 1,
    NFT_META_MARK: u32 = 3,
    NFT_META_IIFNAME: u32 = 6,
    NFT_META_OIFNAME: u32 = 7,
    NFT_META_L4PROTO: u32 = 16,
    NFT_CT_STATE: u32 = 0,
    NFT_CT_STATUS: u32 = 2,
    NFT_PAYLOAD_LL_HEADER: u32 = 0,
    NFT_PAYLOAD_NETWORK_HEADER: u32 = 1,
    NFT_PAYLOAD_TRANSPORT_HEADER: u32 = 2,
    NFT_CMP_EQ: u32 = 0,
    NFT_CMP_NEQ: u32 = 1,
    NFT_CMP_LTE: u32 = 3,
    NFT_CMP_GTE: u32 = 5,
    NFT_NAT_SNAT: u32 = 0,
    NFT_NAT_DNAT: u32 = 1,
}

constants! { state_of_a_link_as_in_the_headers, linux_raw_sys::net::net_device_flags:
    IFF_LOWER_UP: u32 = 1 << 16,
}

constants! { tables_of_routes_as_in_the_headers, linux_raw_sys::netlink::rt_class_t:
    RT_TABLE_MAIN: u8 = 254,
}

constants! { scopes_of_routes_as_in_the_headers, linux_raw_sys::netlink::rt_scope_t:
    RT_SCOPE_LINK: u8 = 253,
}

constants! { attributes_of_routes_as_in_the_headers, linux_raw_sys::netlink::rtattr_type_t:
    RTA_DST: u16 = 1,
    RTA_OIF: u16 = 4,
    RTA_GATEWAY: u16 = 5,
    RTA_PRIORITY: u16 = 6,
}

constants! { macvlan_as_in_the_headers, linux_raw_sys::netlink::macvlan_mode:
    MACVLAN_MODE_PRIVATE: u32 = 1,
}

constants! { ipvlan_as_in_the_headers, linux_raw_sys::netlink::ipvlan_mode:
    IPVLAN_MODE_L2: u16 = 0,
}

constants! { address_generation_as_in_the_headers, linux_raw_sys::netlink::in6_addr_gen_mode:
    IN6_ADDR_GEN_MODE_NONE: u8 = 1,
}
