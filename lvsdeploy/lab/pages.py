"""A tiny web server, of both families, for a lab's real servers: who answers, and whom it sees asking."""

import shlex

# Several requests on one connection, as real clients do. A page is sent in one piece: in two, each would
# wait for the client's delayed acknowledgement.
_SERVER = """
import http.server, socket, sys, time
name = socket.gethostname()
class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    timeout = 30
    wbufsize = -1
    def do_GET(self):
        first, _, seconds = self.path.strip('/').partition('/')
        pieces = 2 * int(seconds) if first == 'slowly' else 0
        body = (name + ' ' + self.client_address[0].removeprefix('::ffff:') + chr(10)).encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body) + pieces))
        self.end_headers()
        self.wfile.write(body)
        for _ in range(pieces):
            self.wfile.flush()
            time.sleep(0.5)
            self.wfile.write(b'.')
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    def server_bind(self):
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()
Server(('', int(sys.argv[1])), Page).serve_forever()
"""


def serve_script(port: int) -> str:
    """A script for `Lab.spawn`: serves `MACHINE CLIENT-ADDRESS` on every path of `port`.

    On `/slowly/SECONDS` dots trickle after it, two a second.
    """
    return f"exec python3 -c {shlex.quote(_SERVER)} {port}"


def requests_script(url: str, count: int) -> str:
    """A script for a client: `count` requests one after the other, a line each; an empty one has failed."""
    return f"for i in $(seq {count}); do curl -s --max-time 2 {shlex.quote(url)} || echo; done"
