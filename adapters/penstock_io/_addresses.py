"""Which addresses of the network are anybody's: everything else is somebody's own, and no picture comes from there."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

OWN4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by the customers of a carrier
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, where clouds tell their machines' credentials
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocols' own
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)

GLOBAL6 = IPv6Network("2000::/3")
"""What of IPv6 is given to anybody: unique local, link-local, loopback and multicast addresses are all outside."""

OWN6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocols' own, tunnels (Teredo) among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which leads to any IPv4 address
        "3fff::/20",  # documentation
    )
)

MAPPED6, NAT64 = IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96")
"""IPv6 addresses whose last 32 bits are the IPv4 address that they lead to."""


def public(text: str) -> bool:
    """Whether an address is anybody's to reach. What is no address ("fe80::1%eth0", "127.1", "") is not."""
    try:
        if ":" not in text:
            four = IPv4Address(text)
            return not any(four in network for network in OWN4)
        six = IPv6Address(text)
    except ValueError:
        return False
    if six.scope_id is not None:
        return False
    if six in MAPPED6 or six in NAT64:
        return public(str(IPv4Address(int(six) & 0xFFFFFFFF)))
    return six in GLOBAL6 and not any(six in network for network in OWN6)
