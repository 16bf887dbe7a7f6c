"""A real Label Studio on loopback for a test, the people who use it, and a proxy that breaks things on the way to it.

`annotate_with_label_studio.py` is the test. Here is what it stands on: kopri with a pipeline of its own; a server with
SQLite in a folder of the test, made with secrets of this run alone; its API, asked directly; and a proxy that counts,
records, answers 502 or 401, cuts connections after the server has done the work, or loses what the server said.
"""

import base64
import http.client
import json
import os
import random
import re
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import requests

ADMIN = "owner@example.org"


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


PIPELINE = """
version = 1
name = "{name}"
source = "ru"
target = "tk"
workspace = "workspace"
[annotate]
interface = "{interface}"
budget = {budget}
annotators = 3
[annotate.label-studio]
url = "{url}"
[dataset]
write = true
"""

THINGS = [("книгу", "kitap"), ("газету", "gazet"), ("письмо", "hat"), ("журнал", "žurnal"), ("рассказ", "hekaýa")]
PLACES = [("в школе", "mekdepde"), ("дома", "öýde"), ("в библиотеке", "kitaphanada"), ("в Мары", "Maryda")]
TIMES = [("утром", "irden"), ("вечером", "agşam"), ("вчера", "düýn"), ("сегодня", "şu gün")]


def check(truth, said):
    if not truth:
        raise AssertionError(said)


def pairs(count):
    """Pairs that differ in their numbers, so that none is a duplicate; every seventh is wrong."""
    draw = random.Random(7)
    for index in range(count):
        (thing, kitap), (place, yerde), (time_ru, wagt) = draw.choice(THINGS), draw.choice(PLACES), draw.choice(TIMES)
        pages = 10 + index
        target = f"Mugallym {wagt} {yerde} {pages} sahypalyk {kitap} okady."
        if index % 7 == 3:
            target = f"Açyk howada {pages} adam ýygnandy we aýdym aýdyldy."
        source = f"Учитель {time_ru} {place} прочитал {thing} из {pages} страниц."
        yield {"source": source, "target": target}


class Kopri:
    """A pipeline in a folder, and the program that works on it."""

    def __init__(self, program, folder, url, token, name="bridge", interface="translation", budget=1000):
        self.program, self.folder, self.token, self.name = program, Path(folder), token, name
        self.folder.mkdir(parents=True)
        text = PIPELINE.format(url=url, name=name, interface=interface, budget=budget)
        (self.folder / "pipeline.toml").write_text(text)

    def command(self, *arguments):
        words = 2 if arguments[0] in ("labelstudio", "dataset") else 1
        return [str(self.program), *arguments[:words], "pipeline.toml", *arguments[words:]]

    def environment(self, token=None):
        return {**os.environ, "LABEL_STUDIO_TOKEN": token or self.token, "NO_COLOR": "1"}

    def run(self, *arguments, expect=0, token=None):
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(token),
            capture_output=True,
            text=True,
            timeout=1800,
        )
        said = done.stdout + done.stderr
        secret = (token or self.token).strip()
        check(not secret or secret not in said, f"{arguments} shows the token")
        check(done.returncode == expect, f"{arguments} ended with {done.returncode}, expected {expect}:\n{said}")
        self.said = done.stderr
        return json.loads(done.stdout) if "--json" in arguments else said

    def start(self, *arguments):
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def rows(self, sql, *values):
        database = sqlite3.connect(f"file:{self.folder}/workspace/kopri.db?mode=ro", uri=True)
        try:
            return database.execute(sql, values).fetchall()
        finally:
            database.close()

    def fill(self, count):
        with open(self.folder / "pairs.tsv", "w") as out:
            out.write("source\ttarget\n")
            for pair in pairs(count):
                out.write("{source}\t{target}\n".format(**pair))
        self.run("import", "tsv", "pairs.tsv")
        self.run("run")


def result(verdict, problems=(), fix=None):
    """What an annotator's browser sends."""
    items = [("verdict", "tgt", "choices", {"choices": [verdict]})]
    items += [("problems", "tgt", "choices", {"choices": list(problems)})] if problems else []
    items += [("tgt_fix", "tgt", "textarea", {"text": [fix]})] if fix else []
    return [{"from_name": name, "to_name": to, "type": kind, "value": value} for name, to, kind, value in items]


class LabelStudio:
    """The server: SQLite in `folder`, an owner with a legacy token."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = secrets.token_hex(20)
        self.password = secrets.token_urlsafe(16)
        self.process = None

    def start(self):
        environment = {
            **{name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")},
            "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
            "LABEL_STUDIO_USERNAME": ADMIN,
            "LABEL_STUDIO_PASSWORD": self.password,
            "LABEL_STUDIO_USER_TOKEN": self.token,
            "LABEL_STUDIO_HOST": self.url,
            "COLLECT_ANALYTICS": "false",
            "LATEST_VERSION_CHECK": "false",
            "DEBUG": "false",
        }
        program = Path(sys.executable).parent / "label-studio"
        self.log = open(self.folder / "server.log", "ab")
        self.process = subprocess.Popen(
            [program, "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(self.port)]
            + ["--data-dir", str(self.folder / "data")],
            env=environment,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.wait()

    def wait(self, seconds=240):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.process.poll() is not None:
                break
            try:
                if requests.get(f"{self.url}/health", timeout=5).status_code == 200:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.5)
        tail = (self.folder / "server.log").read_text(errors="replace")[-3000:]
        sys.exit(f"Label Studio did not start:\n{tail}")

    def stop(self):
        """Ends the server with everything that it has started."""
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.log.close()


class Person:
    """Somebody who asks the server directly, not through the proxy."""

    def __init__(self, server, token):
        self.server = server
        self.headers = {"Authorization": f"Token {token}"}

    def call(self, method, path, expect=(200, 201, 204), **more):
        answer = requests.request(method, self.server.url + path, headers=self.headers, timeout=600, **more)
        assert answer.status_code in expect, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json() if answer.content and "json" in answer.headers.get("content-type", "") else answer

    def tasks(self, project, **query):
        """All tasks of a project with everything that a listing has."""
        found, page = [], 1
        while True:
            query |= {"project": project, "page": page, "page_size": 1000, "fields": "all"}
            answer = self.call("GET", "/api/tasks/", expect=(200, 404), params=query)
            if "tasks" not in answer or not answer["tasks"]:
                return found
            found += answer["tasks"]
            if len(found) >= answer["total"]:
                return found
            page += 1

    def annotate(self, task, result, skipped=False, lead_time=5.0):
        body = {"result": result, "was_cancelled": skipped, "ground_truth": False, "lead_time": lead_time}
        return self.call("POST", f"/api/tasks/{task}/annotations/", json=body)

    def personal_token(self):
        return self.call("POST", "/api/token/")["token"]


def sign_up(server, email):
    """A new user, through the form that people use; answers the person and the session's cookie."""
    session, password = requests.Session(), secrets.token_urlsafe(16)
    page = session.get(f"{server.url}/user/signup/", timeout=60)
    form = {
        "csrfmiddlewaretoken": re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text).group(1),
        "email": email,
        "password": password,
    }
    session.post(f"{server.url}/user/signup/", data=form, headers={"Referer": server.url}, timeout=60)
    answer = session.get(f"{server.url}/api/current-user/token", timeout=60)
    assert answer.status_code == 200, f"no token for {email}: {answer.status_code} {answer.text[:300]}"
    return Person(server, answer.json()["token"])


def log_in(server):
    """The owner's session cookie, for a browser."""
    session = requests.Session()
    page = session.get(f"{server.url}/user/login/", timeout=60)
    form = {
        "csrfmiddlewaretoken": re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text).group(1),
        "email": ADMIN,
        "password": server.password,
    }
    session.post(f"{server.url}/user/login/", data=form, headers={"Referer": server.url}, timeout=60)
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in session.cookies)


class Fault:
    """What the proxy does to the `at`-th request that fits (from 1), and to the `times` - 1 after it."""

    def __init__(self, method, path, what, at=1, times=1, call=None):
        self.method, self.path, self.what = method, re.compile(path), what
        self.at, self.times, self.call, self.seen = at, times, call, 0

    def happened(self):
        return self.seen >= self.at + self.times - 1


class Proxy(ThreadingHTTPServer):
    """Stands before the server. `what` of a fault: `502` (the server is not asked), `lost` (it is, and the connection
    is cut instead of answering), `502-after` (it is asked, and 502 is answered), `401` (the token has run out),
    `call` (calls a function first)."""

    daemon_threads = True

    def __init__(self, server, cookie=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.target, self.cookie = server, cookie
        self.faults, self.counts, self.exchanges, self.recording = [], Counter(), [], False
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        """Clients that are killed, and connections that are cut, are what the test is about."""

    def fault_of(self, method, path):
        found = None
        with self.lock:
            for fault in self.faults:
                if fault.method == method and fault.path.search(path):
                    fault.seen += 1
                    if fault.at <= fault.seen < fault.at + fault.times:
                        found = found or fault
        return found


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def forward(self, body):
        target = http.client.HTTPConnection("127.0.0.1", self.server.target.port, timeout=1200)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        headers["Host"] = f"127.0.0.1:{self.server.target.port}"
        # Recorded as text.
        headers["Accept-Encoding"] = "identity"
        if self.server.cookie:
            headers["Cookie"] = self.server.cookie
        target.request(self.command, self.path, body, headers)
        answer = target.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()

    def handle_one(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        if self.path.startswith("http"):
            # A browser that uses us as its proxy; it gets nothing but the server.
            if not self.path.startswith(self.server.target.url + "/"):
                return self.send_error(404)
            self.path = self.path[len(self.server.target.url) :]
        path = urlsplit(self.path).path
        self.server.counts[f"{self.command} {re.sub('[0-9]+', 'N', path)}"] += 1
        fault = self.server.fault_of(self.command, path)
        what = fault.what if fault else None
        if what == "call":
            fault.call()
        if what in ("502", "401"):
            text = (
                b"<html>bad gateway</html>"
                if what == "502"
                else b'{"detail":"Given token not valid for any token type"}'
            )
            status, headers, answer = int(what), {}, text
        else:
            try:
                status, headers, answer = self.forward(body)
            except OSError:
                status, headers, answer = 502, {}, b"<html>bad gateway</html>"
        if what == "502-after":
            status, headers, answer = 502, {"Retry-After": "1"}, b"<html>bad gateway</html>"
        self.server.record(self, body, None if what == "lost" else (status, headers, answer))
        if what == "lost":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("connection", "transfer-encoding", "content-length", "server", "date"):
                self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = do_HEAD = do_OPTIONS = handle_one


# What stands in a recording instead of the access token of the day. Its claims: it lives for a thousand years.
ACCESS = "eyJhbGciOiJIUzI1NiJ9.{}.c2NydWJiZWQ".format(
    base64.urlsafe_b64encode(b'{"token_type":"access","exp":31536000300,"iat":300}').decode().rstrip("=")
)
KEPT_HEADERS = ("content-type", "retry-after")


def record(proxy, request, body, answer):
    """Keeps an exchange as the replay reads it: no secret, and nothing that names this machine."""
    if not proxy.recording:
        return
    parts = urlsplit(request.path)
    scheme = (request.headers.get("Authorization") or "").split(" ")[0]
    asked = {"method": request.command, "path": parts.path, "query": parse_qsl(parts.query), "authorization": scheme}
    if body:
        asked["body"] = scrubbed(json.loads(body), proxy)
        if "refresh" in asked["body"]:
            asked["body"]["refresh"] = "scrubbed"
    if answer is None:
        proxy.exchanges.append({"request": asked, "lost": True})
        return
    status, headers, text = answer
    answered = {"status": status}
    answered["headers"] = {n.lower(): v for n, v in headers.items() if n.lower() in KEPT_HEADERS}
    try:
        # A snapshot stays as it is, for its checksum.
        answered |= (
            {"text": text.decode()} if parts.path.endswith("/download") else {"json": scrubbed(json.loads(text), proxy)}
        )
    except ValueError:
        answered["text"] = text.decode()
    proxy.exchanges.append({"request": asked, "response": answered})


def scrubbed(value, proxy):
    if isinstance(value, dict):
        return {k: ACCESS if k == "access" else scrubbed(v, proxy) for k, v in value.items() if k not in NOISE}
    if isinstance(value, list):
        return [scrubbed(v, proxy) for v in value]
    if isinstance(value, str):
        for name, interface in INTERFACES.items():
            if value.strip() == interface:
                return f"shipped:{name}"
        return value.replace(proxy.url, "http://server").replace(proxy.target.url, "http://server")
    return value


# The replay compares them with what ships on its day.
INTERFACES = {
    path.stem: path.read_text().strip() for path in (Path(__file__).parents[2] / "schemas/label-studio").glob("*.xml")
}
# Of no use to the replay, and new in every recording.
NOISE = {"exc_info", "avatar", "initials", "last_activity", "date_joined", "parsed_label_config", "control_weights"}
Proxy.record = record
