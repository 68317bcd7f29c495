"""A server of http.server with threads, and urllib's clients."""

import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path != "/none" else 404)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(f"{self.command} {self.path}\n".encode() * 100)

    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.end_headers()
        self.wfile.write(data[::-1])

    def log_message(self, *args):
        pass


with ThreadingHTTPServer(("localhost", 0), Handler) as server:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://localhost:{server.server_port}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for path in ("/", "/a?b=c"):
        with opener.open(url + path, timeout=20) as answer:
            body = answer.read()
            print(answer.status, len(body), body.split(b"\n")[0])
    with opener.open(url + "/post", data=b"0123456789" * 20_000, timeout=20) as answer:
        print(answer.status, len(answer.read()))
    try:
        opener.open(url + "/none", timeout=20)
    except urllib.error.HTTPError as error:
        print(error.code, error.reason)
    server.shutdown()
    thread.join()
