"""A VRRP message with the facts of the IP packet that carried it."""

from __future__ import annotations

from vrrplib.errors import ConfigError
from vrrplib.values import dataclass
from vrrplib.wire.addresses import AddressLike, Family, IPAddress, to_address


@dataclass(frozen=True, slots=True)
class Datagram:
    """``payload`` is the VRRP message, cut at the IP length; ``ttl`` the TTL or hop limit.

    ``header`` holds the IP header, and the AH if there is one, as received: authentication needs them. Addresses
    may be given as strings; IPv6 scope ids are dropped. Raises ConfigError for what is no address, or for two
    of different families.
    """

    payload: bytes
    source: IPAddress
    destination: IPAddress
    ttl: int
    header: bytes = b""

    def __init__(
        self,
        payload: bytes,
        source: AddressLike,
        destination: AddressLike,
        ttl: int,
        header: bytes = b"",
    ) -> None:
        set_field = object.__setattr__
        set_field(self, "payload", bytes(payload))
        set_field(self, "source", to_address(source, "source"))
        set_field(self, "destination", to_address(destination, "destination"))
        set_field(self, "ttl", ttl)
        set_field(self, "header", bytes(header))
        if self.source.version != self.destination.version:
            raise ConfigError(
                f"source and destination must be of one family, not {self.source} and {self.destination}"
            )

    def __repr__(self) -> str:
        # by their length only: in simple-text authentication (RFC 2338 5.3.6) the payload ends in the password
        return (
            f"Datagram(<{len(self.payload)} bytes>, source={str(self.source)!r}, "
            f"destination={str(self.destination)!r}, ttl={self.ttl}, header=<{len(self.header)} bytes>)"
        )

    @property
    def family(self) -> Family:
        """The family of the IP packet."""
        return Family(self.source.version)
