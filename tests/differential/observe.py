# SPDX-License-Identifier: Apache-2.0
"""One request through both proxies to one origin: what the client gets and what the origin sees, as flat
facts that can be compared."""

import gzip

from harness.client import Client, Closed, format_request

# Differs with every request.
_EVER_NEW = {"date"}


def fields_of(message, prefix):
    """name -> values, whatever their order and case: fabio sorts and respells, tagway leaves as it is."""
    facts = {}
    for name, value in message.fields:
        if name.lower() not in _EVER_NEW:
            facts.setdefault(f"{prefix} {name.lower()}", []).append(value)
    return {name: " | ".join(sorted(values)) for name, values in facts.items()}


def observe(proxy, origin, request):
    """request: raw bytes, or a dict for format_request."""
    before = len(origin.requests)
    raw = request if isinstance(request, bytes) else format_request(**request)
    method = raw.split(b" ", 1)[0].decode()
    facts = {}
    with Client(proxy.port) as client:
        client.send(raw)
        try:
            response = client.read_response(method)
            while response.status < 200 and response.status != 101:
                response = client.read_response(method)
        except Closed:
            return {"status": "closed"}
    facts["status"] = str(response.status)
    is_packed = response.get("content-encoding") == "gzip" and response.body
    facts["body"] = (gzip.decompress(response.body) if is_packed else response.body).decode("latin-1")
    facts.update(fields_of(response, "response"))
    for seen in origin.requests[before:]:
        facts["seen"] = f"{seen.method} {seen.target}"
        facts["seen body"] = seen.body.decode("latin-1")
        facts.update(fields_of(seen, "seen"))
    facts["seen count"] = str(len(origin.requests) - before)
    return {name: "ORIGIN" if value == str(origin.port) else value.replace(f":{origin.port}", ":ORIGIN")
            for name, value in facts.items()}


def differences(of_fabio, of_tagway):
    """fact -> (fabio's, tagway's), for those that are not equal. Where only one of them asks the origin, the
    rest follows from that."""
    found = {name: (of_fabio.get(name), of_tagway.get(name))
             for name in sorted(of_fabio.keys() | of_tagway.keys()) if of_fabio.get(name) != of_tagway.get(name)}
    if "seen count" in found:
        return {name: found[name] for name in ("status", "seen count") if name in found}
    return found
