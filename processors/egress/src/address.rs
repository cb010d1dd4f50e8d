//! Where an address leads.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where the clouds answer requests from inside a machine, outside of the link-local networks.
const METADATA_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    Public,
    /// This machine, or a network that only those inside reach.
    Private,
    /// The link-local networks and the like, where a cloud hands out the credentials of the machine.
    Metadata,
    /// No host is there: multicast, broadcast, documentation, reserved.
    Nowhere,
}

impl Reach {
    /// Whether the name of a host may lead there, which is a private one or is not.
    pub(crate) fn is_open(self, private: bool) -> bool {
        match self {
            Self::Public => true,
            Self::Private => private,
            Self::Metadata | Self::Nowhere => false,
        }
    }

    pub(crate) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => embedded(address).map_or_else(|| of_v6(address), of_v4),
        }
    }
}

/// By the registry of special addresses, RFC 6890.
fn of_v4(address: Ipv4Addr) -> Reach {
    if address.is_link_local() || METADATA_V4.contains(&address) {
        return Reach::Metadata;
    }
    match address.octets() {
        [127, ..] | [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] | [198, 18..=19, ..] => {
            Reach::Private
        }
        // 0.0.0.0 is this machine to a client on Linux, and nobody's address.
        [0, ..] | [192, 0, 0 | 2, _] | [192, 88, 99, _] | [198, 51, 100, _] | [203, 0, 113, _] | [224..=255, ..] => {
            Reach::Nowhere
        }
        _ => Reach::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Reach {
    if address.is_unicast_link_local() || address == METADATA_V6 {
        return Reach::Metadata;
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] | [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Reach::Private,
        // 2001::/23 is for protocols, Teredo (which wraps an address of version 4) among them.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Reach::Nowhere,
        [0x2000..=0x3fff, ..] => Reach::Public,
        _ => Reach::Nowhere,
    }
}

/// The address of version 4 that one of version 6 stands for: mapped, compatible, NAT64 and 6to4.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let from = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => Some(from(high, low)),
        [0, 0, 0, 0, 0xffff, 0, high, low] => Some(from(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(from(high, low)),
        [0x2002, high, low, ..] => Some(from(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_address_is_known_in_every_form() {
        let table = [
            (
                Reach::Public,
                "1.1.1.1 8.8.8.8 100.63.255.255 100.128.0.1 172.15.0.1 172.32.0.1 192.167.1.1 223.255.255.255",
            ),
            (
                Reach::Public,
                "2606:4700:4700::1111 2a00:1450::1 ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1",
            ),
            (
                Reach::Private,
                "127.0.0.1 127.255.255.254 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 198.18.0.1",
            ),
            (
                Reach::Private,
                "::1 fc00::1 fdff::1 fec0::1 ::ffff:127.0.0.1 ::ffff:10.1.2.3 ::127.0.0.1 ::ffff:0:10.0.0.1",
            ),
            (Reach::Private, "64:ff9b::10.0.0.1 2002:a00:1::1 2002:7f00:1::1"),
            (
                Reach::Metadata,
                "169.254.169.254 169.254.170.2 100.100.100.200 168.63.129.16 fe80::1 febf::1 fd00:ec2::254",
            ),
            (
                Reach::Metadata,
                "::ffff:169.254.169.254 64:ff9b::169.254.169.254 2002:a9fe:a9fe::1",
            ),
            (
                Reach::Nowhere,
                "0.0.0.0 0.1.2.3 255.255.255.255 224.0.0.1 240.0.0.1 192.0.2.1 198.51.100.1 203.0.113.1 192.0.0.1",
            ),
            (
                Reach::Nowhere,
                ":: ff02::1 2001:db8::1 2001::1 64:ff9b:1::1 100::1 4000::1 ::ffff:0.0.0.0",
            ),
        ];
        for (reach, addresses) in table {
            for address in addresses.split(' ') {
                assert_eq!(Reach::of(address.parse().unwrap()), reach, "{address}");
            }
        }
    }
}
