# SPDX-License-Identifier: Apache-2.0
"""6 TCP, SNI, gRPC, PROXY protocol: none is served yet. Each listener is read and judged, then refused by
its name before anything listens; routes for them are accepted and shown."""

import pytest

from harness.command import run
from harness.tagway import Tagway

CS = "-proxy.cs=cs=c;type=file;cert=/c.pem"


@pytest.mark.parametrize("options, name", [
    ("proto=tcp", "proto=tcp"),                                    # 6.2
    ("proto=tcp;cs=c", "proto=tcp (TLS)"),
    ("proto=tcp;rt=1s;wt=1s", "proto=tcp"),
    ("proto=tcp+sni", "proto=tcp+sni"),                            # 6.3
    ("proto=https+tcp+sni;cs=c", "proto=https+tcp+sni (TLS)"),     # 6.4
    ("proto=tcp-dynamic;refresh=5s", "proto=tcp-dynamic"),         # 6.5
    ("proto=tcp-dynamic;cs=c", "proto=tcp-dynamic (TLS)"),
    ("pxyproto=true", "pxyproto=true"),                            # 6.6
    ("pxyproto=true;pxytimeout=1s", "pxyproto=true"),
    ("proto=grpc", "proto=grpc"),                                  # 6.7
    ("proto=grpcs;cs=c", "proto=grpcs (TLS)"),
    ("proto=https;cs=c", "proto=https (TLS)"),                     # 7
    ("cs=c", "proto=https (TLS)"),
])
def test_a_listener_is_refused_by_name(options, name):
    for command in ((), ("check",)):
        code, stdout, stderr = run(*command, CS, f"-proxy.addr=:9999,127.0.0.1:7;{options}")
        assert code == 1
        assert (f'proxy.addr: listener "127.0.0.1:7" with {name} from flag -proxy.addr is not supported yet'
                in stderr), stderr
        assert "listening" not in stdout + stderr


def test_the_admin_listener_is_refused_by_name():
    for options, name in (("cs=c", "cs=c (TLS)"), ("cs=c;proto=https", "cs=c (TLS)"), ("pxyproto=true",) * 2):
        code, _, stderr = run(CS, f"-ui.addr=127.0.0.1:7;{options}")
        assert code == 1
        assert f'ui.addr: listener "127.0.0.1:7" with {name} from flag -ui.addr is not supported yet' in stderr


def test_mistakes_come_before_what_is_not_supported():
    code, _, stderr = run("-proxy.addr=:1;proto=tcp,:2;rt=5")
    assert code == 1
    assert "not a duration" in stderr


ROUTES = """route add db :5432 tcp://127.0.0.1:5432 opts "proto=tcp"
route add sni db.example/ tcp://127.0.0.1:5433 opts "proto=tcp pxyproto=true"
route add rpc /pkg.Service grpc://127.0.0.1:50051 opts "proto=grpc"
route add rpcs rpc.example/ grpcs://127.0.0.1:50052 opts "proto=grpcs tlsskipverify=true grpcservername=rpc"
"""


def test_routes_of_these_protocols_are_shown():
    with Tagway(ROUTES) as tagway:
        shown = {route["service"]: route for route in tagway.routes()}
        assert {name: route["dst"].rstrip("/") for name, route in shown.items()} == {
            "db": "tcp://127.0.0.1:5432", "sni": "tcp://127.0.0.1:5433",
            "rpc": "grpc://127.0.0.1:50051", "rpcs": "grpcs://127.0.0.1:50052"}
        assert shown["db"]["host"] == ":5432"
        assert shown["sni"]["opts"].split() == ["proto=tcp", "pxyproto=true"]
        assert set(shown["rpcs"]["opts"].split()) == {"proto=grpcs", "tlsskipverify=true", "grpcservername=rpc"}
