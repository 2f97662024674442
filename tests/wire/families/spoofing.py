# SPDX-License-Identifier: Apache-2.0
"""Who the client is: what an untrusted peer says of it reaches nobody. The exact comparison of what the origin
gets is the proof; peers, which keep such fields by their nature, are not asked."""

from case import HARDENING, Sent, forwarded, get, refused

_SENT = Sent(b"GET /case HTTP/1.1")


def _replaced(name, *lines):
    return forwarded(name, HARDENING, "7239 8.1", get(*lines), _SENT, is_shared=False)


def _shadow(name, *lines):
    return refused(f"shadow-{name}", HARDENING, "9110 5.1", get(*lines), peers_may="clean")


CASES = [
    _replaced("x-forwarded-for", b"X-Forwarded-For: 10.9.8.7"),
    _replaced("x-forwarded-for-twice", b"X-Forwarded-For: 10.9.8.7", b"X-Forwarded-For: 10.9.8.6"),
    _replaced("x-forwarded-for-other-case", b"x-fORWARDED-fOR: 10.9.8.7"),
    _replaced("x-forwarded-for-list", b"X-Forwarded-For: 10.9.8.7, 127.0.0.1"),
    _replaced("x-forwarded-for-empty", b"X-Forwarded-For:"),
    _replaced("x-real-ip", b"X-Real-Ip: 10.9.8.7"),
    _replaced("x-real-ip-twice", b"X-Real-IP: 10.9.8.7", b"X-Real-Ip: 10.9.8.6"),
    _replaced("forwarded", b"Forwarded: for=10.9.8.7;proto=https"),
    _replaced("forwarded-twice", b"Forwarded: for=10.9.8.7", b"Forwarded: for=10.9.8.6"),
    _replaced("x-forwarded-proto", b"X-Forwarded-Proto: https"),
    _replaced("x-forwarded-port", b"X-Forwarded-Port: 443"),
    _replaced("x-forwarded-host", b"X-Forwarded-Host: evil.example"),
    _replaced("x-forwarded-prefix", b"X-Forwarded-Prefix: /evil"),
    _replaced("x-forwarded-other", b"X-Forwarded-Server: evil", b"X-Forwarded-User: root"),
    _replaced("x-forwarded-for-nominated", b"X-Forwarded-For: 10.9.8.7", b"Connection: X-Forwarded-For"),
    _replaced("forwarded-nominated", b"Connection: Forwarded, X-Real-Ip"),
    _replaced("all-at-once", b"X-Forwarded-For: 10.9.8.7", b"X-Real-Ip: 10.9.8.7", b"Forwarded: for=10.9.8.7",
              b"X-Forwarded-Host: b", b"X-Forwarded-Proto: https", b"X-Forwarded-Port: 1"),
    _shadow("x-forwarded-for", b"X_Forwarded_For: 10.9.8.7"),
    _shadow("x-forwarded-for-half", b"X-Forwarded_For: 10.9.8.7"),
    _shadow("x-real-ip", b"X_Real_Ip: 10.9.8.7"),
    _shadow("x-forwarded-host", b"x_forwarded_host: evil.example"),
    _shadow("connection", b"Proxy_Connection: x"),
    _shadow("transfer-encoding-half", b"Transfer_encoding: chunked"),
]
