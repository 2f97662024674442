# SPDX-License-Identifier: Apache-2.0
"""fabio's section 5.11, auth: HTTP Basic from htpasswd files. The hashes were made with openssl passwd,
Python's crypt and hashlib; the password is always the same."""

import base64
import json
import os
import re
import signal
import subprocess
import threading

import pytest

from harness.client import SLOWNESS, Closed, chunked, format_request
from harness.origin import ScriptedOrigin, refused_port
from harness.process import wait_until
from harness.tagway import BINARY, Tagway, route

pytestmark = pytest.mark.measured  # hashes take seconds of CPU time that waiting requests do not have for ever

PASSWORD = "open sesame"
FORMATS = {
    "apr1": "$apr1$oN9bCdEf$fBoMq13AoOanPrlS1H2WN.",
    "md5": "$1$oN9bCdEf$uR.ZqxcJRSuAxCkIrjtLj0",
    "sha": "{SHA}W8r/fyL/UzygmbNAjq2HbA67qac=",
    "ssha": "{SSHA}E49j48yRuk1EYsFBtSedDAV/S3NwZXBwZXIxMg==",
    "2a": "$2a$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy",
    "2b": "$2b$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy",
    "2x": "$2x$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy",
    "2y": "$2y$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy",
    "sha256": "$5$rounds=1000$saltstring$n3a2i8i4F9QJeBWCS0AMO5xyVBBf.4iFCPvoPCJ5wW9",
    "sha512": "$6$rounds=1000$saltstring$AdF0dhxxQeX7lBhEFgFprDLUvtSZ7IYdRFezMwSn6Qhut1SH9kbIGcYsgWgPCQEHCNfc7D"
              "GxViV.S4ubwHZG4.",
    "plain": "open sesame",
    "braces": "{PLAIN}open sesame",
}
SLOW = ("apr1", "md5", "2a", "2b", "2x", "2y", "sha256", "sha512")
# A tenth of a second of CPU and more: long enough to look around meanwhile.
COST_10 = "$2y$10$abcdefghijklmnopqrstuu4SuEsu2LsUrAYUpWQHLMMc4GV5pZTxK"
COST_13 = "$2y$13$abcdefghijklmnopqrstuu0Sy/LdPyiWyyJB99rj5GlsN6a7ld0Yi"

CHECKED = "tagway_proxy_passwords_checked_total"
UNAUTHORIZED = "tagway_proxy_unauthorized_total"


def basic(user, password=PASSWORD):
    return [("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("auth")


@pytest.fixture(scope="module")
def proxy(origin, folder):
    users = folder / "users"
    users.write_text("".join(f"{name}:{secret}\n" for name, secret in FORMATS.items()))
    fast = folder / "fast"
    fast.write_text("ali:open sesame\n")
    slow = folder / "slow"
    slow.write_text(f"ten:{COST_10}\nthirteen:{COST_13}\n")
    schemes = (f"name=all;type=basic;file={users};realm=The Cave,"
               f"name=fast;type=basic;file={fast},"
               f"name=slow;type=basic;file={slow};realm=a \"b\" \\c")
    text = (route(origin, "open.example/") + route(origin, "all.example/", options="auth=all")
            + route(origin, "fast.example/", options="auth=fast")
            + route(origin, "slow.example/", options="auth=slow")
            + route(origin, "unknown.example/", options="auth=nosuch")
            + route(origin, "empty.example/", options="auth=")
            + route(origin, "redirect.example/", options="auth=fast redirect=302")
            + route(origin, "denied.example/", options="auth=slow deny=ip:127.0.0.0/8")
            + route(refused_port(), "retry.example/", options="auth=slow")
            + route(origin, "retry.example/", options="auth=slow"))
    with Tagway(text, {"proxy.auth": schemes, "proxy.workers": 1, "log.access.target": "stdout",
                       "log.access.format": "json", "proxy.strategy": "rr"}) as tagway:
        yield tagway


def ask(proxy, name, fields=(), method="GET", body=None, target="/"):
    return proxy.get(target, f"{name}.example", fields, method=method, body=body)


# Who passes.


@pytest.mark.parametrize("name", ["open", "empty"])
def test_a_route_without_auth_passes(proxy, name):
    assert ask(proxy, name).status == 200
    assert ask(proxy, name, [("Authorization", "rubbish")]).status == 200


@pytest.mark.parametrize("name", FORMATS)
def test_every_format(proxy, origin, name):
    requests_before = len(origin.requests)
    checked_before = proxy.metric(CHECKED)
    assert ask(proxy, "all", basic(name, "open sesam")).status == 401
    assert ask(proxy, "all", basic(name)).status == 200
    assert ask(proxy, "all", basic(name)).status == 200
    assert ask(proxy, "all", basic(name, "open sesam")).status == 401
    assert len(origin.requests) - requests_before == 2
    assert origin.requests[-1].get("authorization") == basic(name)[0][1]  # forwarded
    # Of the slow ones a verdict, good or bad, is remembered.
    assert proxy.metric(CHECKED) - checked_before == (2 if name in SLOW else 0)


CREDENTIALS = {
    "none": [],
    "empty": [("Authorization", "")],
    "malformed": [("Authorization", "malformed")],
    "bearer": [("Authorization", "Bearer abc")],
    "no base64": [("Authorization", "Basic !!!!")],
    "no padding": [("Authorization", "Basic YWxpOm9wZW4gc2VzYW1")],
    "no colon": [("Authorization", "Basic " + base64.b64encode(b"ali").decode())],
    "too long": [("Authorization", "Basic " + base64.b64encode(b"ali:" + b"x" * 4000).decode())],
    "stranger": basic("eve"),
    "wrong password": basic("ali", "open"),
    "no password": basic("ali", ""),
    "no user": basic("", PASSWORD),
    "other case": basic("Ali"),
    "nul": basic("ali", PASSWORD + "\0"),
    "twice": basic("ali") + basic("ali"),
    "wrong, then right": basic("ali", "open") + basic("ali"),
    "elsewhere": [("Proxy-Authorization", basic("ali")[0][1]), ("X-Authorization", basic("ali")[0][1])],
    "wrong form": [("Authorization", f"ali:{PASSWORD}")],
}


@pytest.mark.parametrize("case", CREDENTIALS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_everyone_else_is_asked_for_a_password(proxy, origin, case, method):
    requests_before = len(origin.requests)
    body = b"x" * 500 if method == "POST" else None
    response = ask(proxy, "fast", CREDENTIALS[case], method, body)
    assert response.status == 401
    assert response.get("www-authenticate") == 'Basic realm="fast"'  # the name, where no realm is given
    assert response.body == (b"" if method == "HEAD" else b"authorization failed\n")
    assert response.get("content-length") == "21"
    assert response.get("content-type") == "text/plain; charset=utf-8"
    assert response.get("x-content-type-options") == "nosniff"
    assert len(origin.requests) == requests_before


def test_credentials_are_read_as_fabio_does(proxy):
    value = base64.b64encode(f"ali:{PASSWORD}".encode()).decode()
    for scheme in ("Basic", "basic", "BASIC"):
        assert ask(proxy, "fast", [("Authorization", f"{scheme} {value}")]).status == 200
        assert ask(proxy, "fast", [("authorization", f"{scheme} {value}")]).status == 200


def test_the_realm(proxy):
    assert ask(proxy, "all").get("www-authenticate") == 'Basic realm="The Cave"'
    assert ask(proxy, "slow").get("www-authenticate") == 'Basic realm="a \\"b\\" \\\\c"'


def test_a_scheme_knows_its_own_users_only(proxy):
    assert ask(proxy, "fast", basic("plain")).status == 401
    assert ask(proxy, "all", basic("ali")).status == 401


def test_an_unknown_scheme_closes_the_route(proxy, origin):
    requests_before = len(origin.requests)
    for fields in ([], basic("ali"), basic("plain")):
        response = ask(proxy, "unknown", fields)
        assert response.status == 401
        assert response.body == b"authorization failed\n"
        assert "nosuch" not in response.get("www-authenticate")
    assert len(origin.requests) == requests_before
    rows = [row for row in proxy.problems() if "nosuch" in row["reason"]]
    assert len(rows) == 1 and "unknown.example/" in rows[0]["text"], rows
    assert len(re.findall(r"\[ERROR\].*nosuch", proxy.stderr())) == 1


def test_known_schemes_are_no_problem(proxy):
    assert len(proxy.problems()) == 1


def test_redirects_and_access_rules(proxy):
    assert ask(proxy, "redirect").status == 401
    assert ask(proxy, "redirect", basic("ali")).status == 302
    checked_before = proxy.metric(CHECKED)
    assert ask(proxy, "denied", basic("ten", "never asked")).status == 403
    assert proxy.metric(CHECKED) == checked_before


def test_it_is_counted_and_logged(proxy):
    before = proxy.metric(UNAUTHORIZED)
    assert ask(proxy, "fast", target="/counted").status == 401
    assert proxy.metric(UNAUTHORIZED) == before + 1
    lines = wait_until(lambda: [json.loads(line) for line in proxy.process.stdout().splitlines()
                                if "/counted" in line], what="the access log line")
    assert [(line["status"], line["reason"]) for line in lines] == [(401, "unauthorized")]


def test_no_password_is_written_anywhere(proxy):
    ask(proxy, "slow", basic("ten", "s3cr3t-passw0rd"))
    encoded = basic("ten", "s3cr3t-passw0rd")[0][1][6:]
    for text in (proxy.stderr(), proxy.process.stdout(), proxy.admin("/api/config").body.decode(),
                 json.dumps(proxy.problems())):
        assert "s3cr3t" not in text and encoded not in text and COST_10 not in text


# Slow hashes.


def test_a_slow_hash_delays_nobody(proxy):
    """There is one worker. While it waits for a verdict it answers others, those with a fast hash and
    those whose verdict it remembers too."""
    assert ask(proxy, "slow", basic("ten")).status == 200
    answered = 0
    with proxy.connect() as waiting, proxy.connect() as other:
        waiting.send(format_request(fields=basic("thirteen"), host="slow.example"))
        while waiting.is_silent() and answered < 900:  # a connection takes 1000
            assert other.request(host="open.example").status == 200
            assert other.request(host="fast.example", fields=basic("ali")).status == 200
            assert other.request(host="slow.example", fields=basic("ten")).status == 200
            answered += 3
        assert waiting.read_response().status == 200
    assert answered >= 30


def test_the_same_question_is_asked_once(proxy):
    checked_before = proxy.metric(CHECKED)
    clients = [proxy.connect() for _ in range(100)]
    for client in clients:
        client.send(format_request(fields=basic("thirteen", "all at once"), host="slow.example"))
    for client in clients:
        assert client.read_response().status == 401
        assert client.request(host="open.example").status == 200
        client.close()
    assert proxy.metric(CHECKED) == checked_before + 1


def test_verdicts_are_remembered(proxy):
    ask(proxy, "slow", basic("ten"))
    checked_before = proxy.metric(CHECKED)
    with proxy.connect() as client:
        for _ in range(200):
            assert client.request(host="slow.example", fields=basic("ten")).status == 200
    assert proxy.metric(CHECKED) == checked_before


def test_strangers_cost_as_much_as_users(proxy):
    checked_before = proxy.metric(CHECKED)
    assert ask(proxy, "slow", basic("stranger")).status == 401
    assert proxy.metric(CHECKED) == checked_before + 1


def test_guessing_is_bounded(proxy):
    """64 passwords wait at most; who is known already, and who needs none, notices nothing."""
    assert ask(proxy, "slow", basic("ten")).status == 200
    before = proxy.metric("tagway_proxy_auth_overloaded_total")
    clients = [proxy.connect() for _ in range(80)]
    for i, client in enumerate(clients):
        client.send(format_request(fields=basic("thirteen", f"guess {i}"), host="slow.example"))
    wait_until(lambda: sum(not client.is_silent() for client in clients) >= 14, what="refusals")
    refused = [client for client in clients if not client.is_silent()]
    responses = [client.read_response() for client in refused]
    assert {response.status for response in responses} <= {401, 503}
    overloaded = [response for response in responses if response.status == 503]
    assert 80 - 64 - 2 <= len(overloaded) <= 80 - 64
    assert overloaded[0].get("retry-after") == "1"
    assert proxy.metric("tagway_proxy_auth_overloaded_total") == before + len(overloaded)
    assert ask(proxy, "slow", basic("ten")).status == 200
    assert ask(proxy, "open").status == 200
    # Whoever leaves is checked no more.
    checked_before = proxy.metric(CHECKED)
    for client in clients:
        client.reset()
    wait_until(lambda: ask(proxy, "slow", basic("ten", "afterwards")).status == 401, what="room again")
    assert proxy.metric(CHECKED) - checked_before <= 5


@pytest.mark.parametrize("password, status", [("body right", 401), (PASSWORD, 200)])
@pytest.mark.parametrize("size", [0, 10, 100_000, 3_000_000])
def test_bodies_wait_too(proxy, origin, password, status, size, folder):
    """Each case asks what has not been asked before."""
    users = folder / "slow-bodies"
    users.write_text(f"u:{FORMATS['sha512']}\n")
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    with Tagway(route(origin, options="auth=b"),
                {"proxy.auth": f"name=b;type=basic;file={users}", "proxy.workers": 1}) as tagway:
        with tagway.connect() as client:
            head = format_request("POST", "/bodies", basic("u", password) + [("Content-Length", str(size))])
            client.send(head + body[:1000])

            def send_rest():
                try:
                    client.send(body[1000:])
                except OSError:
                    pass  # refused meanwhile

            sender = threading.Thread(target=send_rest)
            sender.start()
            response = client.read_response()
            sender.join()
            assert response.status == status
        assert tagway.metric(CHECKED) == 1
    if status == 200:
        assert origin.requests[-1].body == body


def test_a_chunked_body_waits_too(proxy, origin):
    with proxy.connect() as client:
        head = "POST / HTTP/1.1\r\nHost: slow.example\r\nTransfer-Encoding: chunked\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in basic("thirteen", "chunked"))
        client.send(head + "\r\n")
        client.send(chunked(b"abc", b"defg"))
        assert client.read_response().status == 401
    with proxy.connect() as client:
        client.send(head.replace(basic("thirteen", "chunked")[0][1], basic("ten")[0][1]) + "\r\n")
        client.send(chunked(b"abc", b"defg"))
        assert client.read_response().status == 200
    assert origin.requests[-1].body == b"abcdefg"


def test_requests_behind_a_waiting_one_wait(proxy):
    with proxy.connect() as client:
        client.send(format_request(target="/1", fields=basic("thirteen", "pipelined"), host="slow.example")
                    + format_request(target="/2", host="open.example")
                    + format_request(target="/3", fields=basic("ali"), host="fast.example"))
        assert [client.read_response().status for _ in range(3)] == [401, 200, 200]


def test_a_half_closed_client_gets_its_answer(proxy):
    with proxy.connect() as client:
        client.send(format_request(fields=basic("thirteen", "half"), host="slow.example"))
        client.half_close()
        assert client.read_response().status == 401
        assert client.is_closed()


def test_a_client_that_leaves_harms_nobody(proxy):
    for body in (b"", b"abc"):
        client = proxy.connect()
        client.send(format_request("POST", fields=basic("thirteen", "gone") + [("Content-Length", "10")],
                                   host="slow.example") + body)
        client.reset()
    assert ask(proxy, "slow", basic("thirteen", "gone")).status == 401
    assert ask(proxy, "slow", basic("ten")).status == 200


def test_another_try_asks_for_nothing(proxy, origin):
    """One of the two targets refuses connections."""
    ask(proxy, "slow", basic("ten"))
    checked_before = proxy.metric(CHECKED)
    for _ in range(6):
        assert ask(proxy, "retry", basic("ten"), "POST", b"body").status == 200
        assert origin.requests[-1].body == b"body"
        assert ask(proxy, "retry").status == 401
    assert proxy.metric(CHECKED) == checked_before


# Websockets.


def upgrade(fields):
    return [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), *fields]


def echo(connection):
    connection.read_request()
    connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    while True:
        connection.fill()
        connection.send(connection.take(len(connection.buffer)))


def test_websockets(folder):
    users = folder / "websockets"
    users.write_text(f"ali:{FORMATS['apr1']}\n")
    with ScriptedOrigin(echo) as origin, \
            Tagway(route(origin, options="auth=ws"), {"proxy.auth": f"name=ws;type=basic;file={users}"}) as tagway:
        assert tagway.get(fields=upgrade([])).status == 401
        assert tagway.get(fields=upgrade(basic("ali", "wrong"))).status == 401
        assert not origin.requests
        with tagway.connect() as client:
            # Sent while the password is being checked: kept for the tunnel.
            client.send(format_request(fields=upgrade(basic("ali"))) + b"early")
            assert client.read_head().status == 101
            client.send(b" late")
            assert client.take(10) == b"early late"


# The file.


def make(folder, text, refresh=None, name="f"):
    path = folder / name
    path.write_text(text)
    return path, f"name=s;type=basic;file={path}" + (f";refresh={refresh}" if refresh else "")


def replace(path, text):
    temporary = f"{path}.new"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(temporary, path)


def status_of(tagway, user, password=PASSWORD):
    return tagway.get(fields=basic(user, password)).status


@pytest.mark.multi_worker
@pytest.mark.parametrize("workers", [1, 3])
def test_refresh(origin, tmp_path, workers):
    path, scheme = make(tmp_path, f"one:{FORMATS['apr1']}\n", "1ns")  # 1 s at least
    with Tagway(route(origin, options="auth=s"), {"proxy.auth": scheme, "proxy.workers": workers}) as tagway:
        assert status_of(tagway, "one") == 200
        replace(path, f"one:{FORMATS['apr1']}\ntwo:{FORMATS['sha']}\n")
        wait_until(lambda: status_of(tagway, "two") == 200, what="the new user")
        assert status_of(tagway, "one") == 200
        # A changed password is not remembered, of either kind.
        replace(path, "one:changed\ntwo:changed\n")
        wait_until(lambda: status_of(tagway, "two", "changed") == 200, what="the new passwords")
        wait_until(lambda: {status_of(tagway, "one") for _ in range(10)} == {401}, what="all workers")
        assert status_of(tagway, "two") == 401
        # In place, and older than before.
        path.write_text("one:older\n")
        os.utime(path, (1000, 1000))
        wait_until(lambda: status_of(tagway, "one", "older") == 200, what="the older file")
        assert tagway.problems() == []


def test_an_unchanged_line_is_not_asked_again_after_a_refresh(origin, tmp_path):
    path, scheme = make(tmp_path, f"one:{COST_10}\n", "1s")
    with Tagway(route(origin, options="auth=s"), {"proxy.auth": scheme, "proxy.workers": 1}) as tagway:
        assert status_of(tagway, "one") == 200
        assert status_of(tagway, "two", "x") == 401
        assert tagway.metric(CHECKED) == 2
        replace(path, f"one:{COST_10}\ntwo:x\n")
        wait_until(lambda: status_of(tagway, "two", "x") == 200, what="the new user")
        assert status_of(tagway, "one") == 200
        assert tagway.metric(CHECKED) == 2


def test_without_refresh_the_file_is_read_once(origin, tmp_path):
    watched, scheme = make(tmp_path, "one:x\n", "1s", "watched")
    once, _ = make(tmp_path, "one:x\n", name="once")
    schemes = f"{scheme},name=once;type=basic;file={once}"
    with Tagway(route(origin, options="auth=s") + route(origin, "/once", options="auth=once"),
                {"proxy.auth": schemes}) as tagway:
        for path in (watched, once):
            replace(path, "one:y\n")
        wait_until(lambda: status_of(tagway, "one", "y") == 200, what="the watched file")
        os.unlink(once)
        os.unlink(watched)
        wait_until(lambda: status_of(tagway, "one", "y") == 401, what="the watched file to be missed")
        assert tagway.get("/once", fields=basic("one", "x")).status == 200


def test_a_vanished_file_lets_nobody_in(origin, tmp_path):
    path, scheme = make(tmp_path, f"one:{FORMATS['apr1']}\n", "1s")
    text = path.read_text()
    with Tagway(route(origin, options="auth=s"), {"proxy.auth": scheme}) as tagway:
        assert status_of(tagway, "one") == 200
        os.rename(path, f"{path}.away")
        wait_until(lambda: status_of(tagway, "one") == 401, what="nobody to pass")
        rows = tagway.problems()
        assert len(rows) == 1 and rows[0]["source"] == "auth" and str(path) in rows[0]["instance"]
        assert "nobody may pass" in rows[0]["reason"]
        assert len(re.findall(r"\[WARN\].*nobody may pass", tagway.stderr())) == 1
        # There, but no file: still nobody.
        os.mkdir(path)
        wait_until(lambda: "directory" in tagway.problems()[0]["reason"], what="the folder to be noticed")
        assert status_of(tagway, "one") == 401
        os.rmdir(path)
        os.rename(f"{path}.away", path)  # with the same time as before
        wait_until(lambda: status_of(tagway, "one") == 200, what="the file to be back")
        assert tagway.problems() == []
        assert path.read_text() == text


def test_a_file_that_cannot_be_read_leaves_the_users(origin, tmp_path):
    path, scheme = make(tmp_path, "one:x\n", "1s")
    with Tagway(route(origin, options="auth=s"), {"proxy.auth": scheme}) as tagway:
        os.unlink(path)
        os.mkdir(path)
        wait_until(tagway.problems, what="the problem")
        rows = tagway.problems()
        if "nobody" not in rows[0]["reason"]:  # else it was looked at just between
            assert "the users before stay" in rows[0]["reason"]
            assert status_of(tagway, "one", "x") == 200
        os.rmdir(path)
        path.write_text("one:y\n")
        wait_until(lambda: status_of(tagway, "one", "y") == 200, what="the file")
        assert tagway.problems() == []


def test_bad_lines_are_told_and_left_out(origin, tmp_path):
    path, scheme = make(tmp_path, "\n# comment\nnocolon\none:x\nbad:{SHA}short\n  two : y \n", "1s")
    with Tagway(route(origin, options="auth=s"), {"proxy.auth": scheme}) as tagway:
        assert status_of(tagway, "one", "x") == 200
        assert status_of(tagway, "two ", " y") == 200
        assert status_of(tagway, "bad", "{SHA}short") == 401
        rows = {row["instance"]: row["reason"] for row in tagway.problems()}
        assert rows == {f"{path} line 3": "no colon between user and password",
                        f"{path} line 5": "malformed {SHA} password"}
        for line in (3, 5):
            assert re.search(rf"\[WARN\].*{re.escape(str(path))} line {line}:", tagway.stderr())
        assert "nocolon" not in tagway.stderr()
        replace(path, "one:x\n")
        wait_until(lambda: tagway.problems() == [], what="the good file")


# Start and end.


def run(*options):
    return subprocess.run([BINARY, "-registry.backend=static", "-insecure", "-proxy.addr=127.0.0.1:0",
                           "-ui.addr=127.0.0.1:0", *options], capture_output=True, text=True,
                          timeout=20 * SLOWNESS, check=False)


BAD = {
    "no name": ("type=basic;file=F", "missing 'name' in auth"),
    "empty name": ("name=;type=basic;file=F", "missing 'name' in auth"),
    "no type": ("name=x;file=F", "missing 'type' in auth 'x'"),
    "no file": ("name=x;type=basic", "missing 'file' in auth 'x'"),
    "empty file": ("name=x;type=basic;file=", "missing 'file' in auth 'x'"),
    "type": ("name=x;type=digest;file=F", "unknown auth type 'digest'"),
    "second": ("name=y;type=basic;file=F,name=x;type=foo", "unknown auth type 'foo'"),
    "refresh": ("name=x;type=basic;file=F;refresh=5", "refresh: \"5\" is not a duration"),
    "key": ("name=x;type=basic;file=F;reload=5s", "unknown key \"reload\""),
    "no key": ("x;type=basic;file=F", "unknown key \"\""),
    "quotes": ("name=\"x;type=basic;file=F", "unbalanced quotes"),
    "realm": ("name=x;type=basic;file=F;realm=a\nb", "realm has a control character"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("source", ["flag", "environment"])
def test_bad_configuration_ends_the_start(tmp_path, case, source):
    value, reason = BAD[case]
    path = tmp_path / "F"
    path.write_text("a:b\n")
    value = value.replace("file=F", f"file={path}")
    if source == "flag":
        result = run(f"-proxy.auth={value}")
    else:
        env = {**os.environ, "FABIO_PROXY_AUTH": value}
        result = subprocess.run([BINARY], env=env, capture_output=True, text=True, timeout=20 * SLOWNESS,
                                check=False)
    assert result.returncode == 1
    assert "proxy.auth" in result.stderr and reason in result.stderr
    assert ("flag" if source == "flag" else "FABIO_PROXY_AUTH") in result.stderr


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_file_that_cannot_be_read_ends_the_start(tmp_path, is_folder):
    path = tmp_path if is_folder else tmp_path / "nosuch"
    result = run(f"-proxy.auth=name=x;type=basic;file={path}")
    assert result.returncode == 1
    assert "proxy.auth" in result.stderr and "'x'" in result.stderr and str(path) in result.stderr


def test_the_last_scheme_of_a_name_counts(origin, tmp_path):
    first, one = make(tmp_path, "one:x\n", name="first")
    second, two = make(tmp_path, "one:y\n", name="second")
    with Tagway(route(origin, options="auth=s"), {"proxy.auth": f"{one},{two}"}) as tagway:
        assert status_of(tagway, "one", "x") == 401
        assert status_of(tagway, "one", "y") == 200
        assert re.search(r"\[WARN\].*proxy\.auth.*'s'", tagway.stderr())


def test_the_configuration_is_shown(proxy):
    schemes = proxy.json("/api/config")["Proxy"]["AuthSchemes"]
    assert set(schemes) == {"all", "fast", "slow"}
    assert schemes["all"]["Name"] == "all" and schemes["all"]["Type"] == "basic"
    assert schemes["all"]["Basic"]["Realm"] == "The Cave"
    assert schemes["all"]["Basic"]["File"].endswith("/users")
    assert schemes["all"]["Basic"]["Refresh"] == 0


@pytest.mark.multi_worker
@pytest.mark.parametrize("signals", [1, 2])
def test_the_end_waits_for_those_who_wait(origin, tmp_path, signals):
    """They are answered; a second signal cuts them, and the check that is under way is waited for."""
    _, scheme = make(tmp_path, f"one:{COST_10 if signals == 1 else COST_13}\n")
    with Tagway(route(origin, options="auth=s"), {"proxy.auth": scheme, "proxy.shutdownwait": "60s"}) as tagway:
        clients = [tagway.connect() for _ in range(3)]
        for i, client in enumerate(clients):
            client.send(format_request(fields=basic("one", f"{i // 2}")))
        clients.append(tagway.connect())
        clients[-1].send(format_request("POST", fields=[*basic("one", "2"), ("Content-Length", "9")]) + b"x")
        wait_until(lambda: tagway.metric("tagway_proxy_requests_total") == 4, what="the requests")
        for _ in range(signals):
            tagway.process.signal(signal.SIGTERM)
            if signals == 2:
                wait_until(lambda: tagway.admin("/ready", may_fail=True).status != 200, what="the drain")
        for client in clients:
            try:
                assert client.read_response().status == 401
                assert signals == 1 or client is clients[0]
            except Closed:
                assert signals == 2
