"""What a health check asks, on a lab's real servers: one program that answers well, or badly."""

import shlex
import subprocess
from pathlib import Path

# Ports, of both families: 8080 HTTP, 8443 HTTPS that wants SNI, 8444 HTTPS that wants none, 2525 SMTP,
# 5300 DNS, 9999 UDP. What HTTP was asked for is counted in /run/asked, a line each.
_PROGRAM = r"""
import http.server, os, socket, ssl, sys, threading
good = sys.argv[1] == "good"
key = sys.argv[2]

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open("/run/asked", "a") as asked:
            print(self.request_version, self.headers.get("Host"), self.path, file=asked)
        if self.path == "/status":
            code, text = (204 if good else 500), ""
        else:
            code, text = 200, ('all "fine" {today} $HOME #1\n' if good else "an error\n")
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
    def log_message(self, *_): pass

def named(sock, name, context):
    if name != "shop.example" or not good:
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

def nameless(sock, name, context):
    if name is not None or not good:
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6

def http_on(port, tls):
    server = Server(("::", port), Page)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(key)
        context.sni_callback = tls
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()

def mail(port):
    server = socket.create_server(
        ("::", port), family=socket.AF_INET6, dualstack_ipv6=True, reuse_port=True
    )
    while True:
        client, _ = server.accept()
        try:
            client.settimeout(5)
            client.sendall(b"220 hello\r\n" if good else b"554 no\r\n")
            for line in client.makefile("rb"):
                word, _, name = line.decode().strip().partition(" ")
                if word == "QUIT":
                    client.sendall(b"221 bye\r\n")
                    break
                client.sendall(b"250 ok\r\n" if (word, name) == ("HELO", "mx.example") else b"550 who?\r\n")
        except OSError:
            pass
        client.close()

def datagrams(port, answer):
    server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    server.bind(("::", port))
    while True:
        asked, client = server.recvfrom(4096)
        if (said := answer(asked)) is not None:
            server.sendto(said, client)

def dns(asked):
    question = asked[12:]
    if not asked[12:].startswith(b"\x03www\x07example\x00\x00\x1c"):
        return None
    address = b"\xc0\x0c\x00\x1c\x00\x01\x00\x00\x00\x3c\x00\x10" + bytes(16)
    head = asked[:2] + (b"\x81\x80" if good else b"\x81\x82") + asked[4:6]
    return head + (b"\x00\x01" if good else bytes(2)) + bytes(4) + question + (address if good else b"")

def plain(asked):
    return (b"\x03\x04\xff\xff" if good else b"\x03\x05\xff\xff") if asked == b"\x01\xff\x02" else None

for target, *arguments in [
    (http_on, 8080, None), (http_on, 8443, named), (http_on, 8444, nameless), (mail, 2525),
    (datagrams, 5300, dns), (datagrams, 9999, plain),
]:
    threading.Thread(target=target, args=arguments).start()
"""


def certificate(folder: Path) -> str:
    """A key with its certificate, as PEM."""
    key, pem = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "3650", "-subj", "/CN=shop.example", "-keyout", str(key), "-out", str(pem),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return key.read_text() + pem.read_text()


def answering_script(pem: str, *, well: bool) -> str:
    """A script for `Lab.spawn`: answers every check, as a health check wants it or not."""
    return (
        f"printf %s {shlex.quote(pem)} >/run/key.pem; "
        f"exec python3 -c {shlex.quote(_PROGRAM)} {'good' if well else 'bad'} /run/key.pem"
    )
