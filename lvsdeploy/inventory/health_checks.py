"""Health checks as declared: one frozen dataclass for each type.

All times are in seconds, but for those of BFD, which are in milliseconds as everywhere in that field. What a
field is called in keepalived.conf is said beside it; the templates are in `templates/keepalived/checks/`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CheckTiming:
    """Pace of a health check, in seconds; the defaults are lvsdeploy's own, and are written out."""

    interval: float = 6.0  # delay_loop
    timeout: float = 3.0  # connect_timeout, misc_timeout
    retries: int = 1  # retry: further tries before a real server counts as failed
    retry_delay: float = 1.0  # delay_before_retry
    warmup: float = 0.0  # the first check comes at a random moment within so many seconds

    @property
    def longest(self) -> float:
        """Seconds from a failure to its being noticed, at worst: an interval, and every try up to its end."""
        return self.interval + (self.retries + 1) * self.timeout + self.retries * self.retry_delay


@dataclass(frozen=True)
class TcpCheck:
    """The real server accepts a TCP connection."""

    port: int | None = None  # None: the port that serves
    timing: CheckTiming = CheckTiming()


@dataclass(frozen=True)
class Url:
    """One GET, and the answer that counts as alive."""

    path: str = "/"
    status: tuple[tuple[int, int], ...] = ((200, 200),)  # ranges: (first, last)
    host: str | None = None  # the Host header, and SNI
    digest: str | None = None  # MD5 of the page, 32 hexadecimal digits
    regex: str | None = None  # the page matches this (PCRE)
    regex_no_match: bool = False  # or does not
    regex_options: tuple[str, ...] = ()


@dataclass(frozen=True)
class HttpCheck:
    """Every one of `urls` is answered as it should be; `tls` makes it HTTPS."""

    urls: tuple[Url, ...] = (Url(),)
    tls: bool = False
    sni: bool = True  # names the host in the TLS handshake, where there is one to name
    version: str | None = None  # http_protocol: 1.0, 1.0C (with Connection: close) or 1.1
    port: int | None = None
    timing: CheckTiming = CheckTiming()


@dataclass(frozen=True)
class DnsCheck:
    """A DNS server answers a question over UDP without an error."""

    record: str = "SOA"  # type
    name: str = "."
    port: int | None = None
    timing: CheckTiming = CheckTiming()


@dataclass(frozen=True)
class SmtpCheck:
    """A mail server greets, and takes HELO and QUIT."""

    helo: str | None = None
    port: int | None = None
    timing: CheckTiming = CheckTiming()


@dataclass(frozen=True)
class UdpCheck:
    """A datagram brings no ICMP error; with `require_reply`, an answer.

    `payload` and `reply` are in hexadecimal; an `x` in `reply` stands for any digit. Lengths are in bytes.
    """

    payload: str | None = None
    require_reply: bool = False
    reply: str | None = None
    reply_min: int | None = None
    reply_max: int | None = None
    port: int | None = None
    timing: CheckTiming = CheckTiming()


@dataclass(frozen=True)
class PingCheck:
    """The RIP answers an ICMP echo: the machine is there, whatever serves on it."""

    timing: CheckTiming = CheckTiming()


@dataclass(frozen=True)
class ScriptCheck:
    """A program on the director ends with 0 (MISC_CHECK).

    `{rip}`, `{port}` and `{real_server}` in its arguments stand for the real server's. With `dynamic`, what
    it ends with sets the weight: 2 to 255 a weight of 0 to 253, 0 the declared one, 1 is a failure.
    """

    path: str
    arguments: tuple[str, ...] = ()
    user: str = "root"
    dynamic: bool = False
    timing: CheckTiming = CheckTiming()


@dataclass(frozen=True)
class FileCheck:
    """A number in a file on the director: anything but 0 counts as failed.

    With a `weight` it is multiplied by that, and added to the real server's weight. No file means 0. The
    path may have the placeholders of ScriptCheck.
    """

    path: str
    weight: int = 0


@dataclass(frozen=True)
class BfdCheck:
    """A BFD session (RFC 5880) between DIP and RIP is up. Intervals are in milliseconds."""

    min_rx: int = 300
    min_tx: int = 300
    idle_tx: int = 1000
    multiplier: int = 3  # so many packets may be lost
    max_hops: int | None = None  # routers between the two


@dataclass(frozen=True)
class NoCheck:
    """No health check: a real server always counts as alive."""


HealthCheck = (
    TcpCheck
    | HttpCheck
    | DnsCheck
    | SmtpCheck
    | UdpCheck
    | PingCheck
    | ScriptCheck
    | FileCheck
    | BfdCheck
    | NoCheck
)

WithPort = TcpCheck | HttpCheck | DnsCheck | SmtpCheck | UdpCheck
"""The checks that ask on a port."""

_NAMES: dict[type, str] = {
    TcpCheck: "tcp",
    DnsCheck: "dns",
    SmtpCheck: "smtp",
    UdpCheck: "udp",
    PingCheck: "ping",
    ScriptCheck: "script",
    FileCheck: "file",
    BfdCheck: "bfd",
    NoCheck: "none",
}
PLACEHOLDERS = ("rip", "port", "real_server")
"""What a script's arguments and a file's path may have in braces."""


def name_of(check: HealthCheck) -> str:
    """A check's type as inventories call it."""
    if isinstance(check, HttpCheck):
        return "https" if check.tls else "http"
    return _NAMES[type(check)]


def timing_of(check: HealthCheck) -> CheckTiming | None:
    """A check's pace; None where there is none: nobody asks, or others do."""
    return None if isinstance(check, FileCheck | BfdCheck | NoCheck) else check.timing


def port_of(check: HealthCheck) -> int | None:
    """The port that a check names, if any."""
    return check.port if isinstance(check, WithPort) else None


def asks_over_tcp(check: HealthCheck) -> bool:
    """Whether a check opens a TCP connection."""
    return isinstance(check, TcpCheck | HttpCheck | SmtpCheck)


def changes_weight(check: HealthCheck) -> bool:
    """Whether a check may set another weight than the declared one."""
    return (isinstance(check, FileCheck) and check.weight != 0) or (
        isinstance(check, ScriptCheck) and check.dynamic
    )
