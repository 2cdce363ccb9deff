"""The health checks of a Cluster: from what the schema accepted to the dataclass of the type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lvsdeploy.inventory.health_checks import (
    BfdCheck,
    CheckTiming,
    DnsCheck,
    FileCheck,
    HealthCheck,
    HttpCheck,
    NoCheck,
    PingCheck,
    ScriptCheck,
    SmtpCheck,
    TcpCheck,
    UdpCheck,
    Url,
)
from lvsdeploy.inventory.model import Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Options = Mapping[str, Any]


def health_check(given: Any, protocol: Protocol, ports: tuple[int, ...]) -> HealthCheck:
    """The check as declared; by default a connection, where there is something to connect to."""
    if given is None:
        return TcpCheck() if protocol is Protocol.TCP and 0 not in ports else NoCheck()
    options: Options = {"type": given} if isinstance(given, str) else given
    return _BUILDERS[options["type"]](options)


def _timing(options: Options) -> CheckTiming:
    usual = CheckTiming()
    return CheckTiming(
        interval=float(options.get("interval", usual.interval)),
        timeout=float(options.get("timeout", usual.timeout)),
        retries=options.get("retries", usual.retries),
        retry_delay=float(options.get("retry_delay", usual.retry_delay)),
        warmup=float(options.get("warmup", usual.warmup)),
    )


def _tcp(options: Options) -> TcpCheck:
    return TcpCheck(options.get("port"), _timing(options))


def _http(options: Options) -> HttpCheck:
    """Several `urls`, or one whose keys stand beside the type. Those of a URL win over those beside."""
    return HttpCheck(
        urls=tuple(_url({**options, **url}) for url in options.get("urls", ({},))),
        tls=options["type"] != "http",
        sni=options.get("sni", True),
        version=options.get("http_version"),
        port=options.get("port"),
        timing=_timing(options),
    )


def _url(options: Options) -> Url:
    usual = Url()
    return Url(
        path=options.get("path", usual.path),
        status=_ranges(options.get("status", 200)),
        host=options.get("host"),
        digest=options.get("digest"),
        regex=options.get("regex"),
        regex_no_match=options.get("regex_no_match", usual.regex_no_match),
        regex_options=tuple(options.get("regex_options", ())),
    )


def _ranges(given: Any) -> tuple[tuple[int, int], ...]:
    """`200`, `"200-299"`, or a list of such."""
    ranges = []
    for status in given if isinstance(given, list) else (given,):
        first, _, last = str(status).partition("-")
        ranges.append((int(first), int(last or first)))
    return tuple(ranges)


def _dns(options: Options) -> DnsCheck:
    usual = DnsCheck()
    return DnsCheck(
        record=options.get("record", usual.record),
        name=options.get("name", usual.name),
        port=options.get("port"),
        timing=_timing(options),
    )


def _smtp(options: Options) -> SmtpCheck:
    return SmtpCheck(options.get("host"), options.get("port"), _timing(options))


def _udp(options: Options) -> UdpCheck:
    expects = {"reply", "reply_min", "reply_max"} & options.keys()
    return UdpCheck(
        payload=options.get("payload"),
        require_reply=options.get("require_reply", bool(expects)),
        reply=options.get("reply"),
        reply_min=options.get("reply_min"),
        reply_max=options.get("reply_max"),
        port=options.get("port"),
        timing=_timing(options),
    )


def _ping(options: Options) -> PingCheck:
    return PingCheck(_timing(options))


def _script(options: Options) -> ScriptCheck:
    return ScriptCheck(
        path=options["path"],
        arguments=tuple(options.get("arguments", ())),
        user=options.get("user", "root"),
        dynamic=options.get("dynamic", False),
        timing=_timing(options),
    )


def _file(options: Options) -> FileCheck:
    return FileCheck(options["path"], options.get("weight", 0))


def _bfd(options: Options) -> BfdCheck:
    usual = BfdCheck()
    return BfdCheck(
        min_rx=options.get("min_rx", usual.min_rx),
        min_tx=options.get("min_tx", usual.min_tx),
        idle_tx=options.get("idle_tx", usual.idle_tx),
        multiplier=options.get("multiplier", usual.multiplier),
        max_hops=options.get("max_hops"),
    )


def _none(_options: Options) -> NoCheck:
    return NoCheck()


_BUILDERS: Mapping[str, Callable[[Options], HealthCheck]] = {
    "tcp": _tcp,
    "http": _http,
    "https": _http,
    "ssl": _http,
    "dns": _dns,
    "smtp": _smtp,
    "udp": _udp,
    "ping": _ping,
    "script": _script,
    "file": _file,
    "bfd": _bfd,
    "none": _none,
}
