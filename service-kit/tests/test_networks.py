"""The network of a client."""

import pytest
from service_kit.networks import network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:DB8:0001:0002::7", "2001:db8:1:2::/64"),
        ("2001:db8:1::7", "2001:db8:1::/64"),
        ("2001:db8::1:2:3:4:5", "2001:db8:0:1::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        # RFC 4291, 2.5.5.2
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::ffff:c000:207", "192.0.2.7"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_the_network_of_an_ipv6_address_is_its_first_half(address: str, network: str) -> None:
    assert network_of(address) == network
