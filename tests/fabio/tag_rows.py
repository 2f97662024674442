# SPDX-License-Identifier: Apache-2.0
"""Section 1 of fabio's behaviour as a table: the tags of one instance and the commands they come to, as
`?raw` prints them without "route add SERVICE". tests/differential puts the same rows before the real fabio."""

import dataclasses

PORT = 5000
DST = f"http://127.0.0.1:{PORT}/"


@dataclasses.dataclass
class Row:
    name: str
    tags: list  # of the instance
    lines: list = None  # None: [] (nothing routed)
    problem: str = None  # part of the reason listed under problems; None: no problem
    # How fabio differs, with the reason: it rejects the whole table, or prints these lines instead.
    rejected_by_fabio: str = None
    lines_of_fabio: list = None
    reason: str = None
    address: str = "127.0.0.1"

    def __post_init__(self):
        self.lines = [line.replace("DST", DST) for line in self.lines or []]
        if self.lines_of_fabio is not None:
            self.lines_of_fabio = [line.replace("DST", DST) for line in self.lines_of_fabio]

    @property
    def service(self):
        return "row-" + self.name


def row(name, tag, *lines, **more):
    """A row with one route tag."""
    return Row(name, ["urlprefix-" + tag], list(lines), **more)


Q1 = "Q-1: one bad tag rejects fabio's whole table; here it loses only itself"

ROWS = [
    # 1.1 which tags count
    Row("11-prefix", ["urlprefix-/11a"], ["/11a DST"]),
    Row("11-prefix-in-upper-case-is-a-plain-tag", ["URLPREFIX-/x", "urlprefix-/11b"],
        ['/11b DST tags "URLPREFIX-/x"'], problem="misspelt"),
    Row("11-near-miss", ["url-prefix:/x", "urlprefix-/11c"], ['/11c DST tags "url-prefix:/x"'],
        problem="misspelt"),
    Row("11-white-space-around", ["  urlprefix-/11d  ", "urlprefix-/11e"], ["/11e DST", "/11d DST"]),
    Row("11-plain-tags-in-their-order", ["b", "urlprefix-/11f", "a", " c "], ['/11f DST tags "b,a,c"']),
    Row("11-plain-tag-with-comma", ["a, b", "urlprefix-/11g"], ['/11g DST tags "a,b"']),
    Row("11-one-command-for-each", ["urlprefix-/11h", "urlprefix-/11i x", "urlprefix-11.h/"],
        ["11.h/ DST", '/11i DST opts "x="', "/11h DST"]),
    Row("11-no-route-tag", ["a", "b"], []),
    Row("11-plain-tag-with-quote", ['a"b', "urlprefix-/11j"], ['/11j DST tags "a\\"b"'],
        rejected_by_fabio=Q1),
    Row("11-plain-tag-with-backslash", ["a\\b", "urlprefix-/11k"], ['/11k DST tags "a\\\\b"'],
        lines_of_fabio=['/11k DST tags "a\\\\\\\\b"'],
        reason="Q-1: what fabio writes for its own parser comes back with the escapes doubled"),
    # 1.2 grammar
    Row("12-prefix-without-dash", ["urlprefix"], [], problem="misspelt"),
    Row("12-empty", ["urlprefix-"], [], problem="nothing stands behind the prefix", rejected_by_fabio=Q1),
    Row("12-blank", ["urlprefix- "], [], problem="nothing stands behind the prefix", rejected_by_fabio=Q1),
    row("12-slash", "12.a/", "12.a/ DST"),
    row("12-space-behind-the-prefix", " 12.b/ ", "12.b/ DST"),
    row("12-host-in-upper-case", "WWW.BAR.COM/Foo", "www.bar.com/Foo DST"),
    row("12-no-slash", "1.1.1.1:999", "1.1.1.1:999/ DST"),
    row("12-no-slash-in-upper-case", "HOST12.Com", "host12.com/ DST"),
    row("12-options", "bar/foo a b c", 'bar/foo DST opts "a= b= c="'),
    row("12-unknown-variables", "$x/$y", "/ DST"),
    row("12-tcp-port", ":1234", ":1234 DST"),
    row("12-tcp-port-with-path", ":1235/X", ":1235/x DST"),
    row("12-tab-in-the-route", "/12\tc", problem="white space", rejected_by_fabio=Q1),
    row("12-tab-between-options", "/12d a\tb", '/12d DST opts "a= b="'),
    row("12-unicode-space-between-options", "/12e a\u2003b", '/12e DST opts "a= b="'),
    row("12-several-spaces", "/12f   a    b", '/12f DST opts "a= b="'),
    row("12-scheme-is-a-host", "https://foo.com/t", "https://foo.com/t DST"),
    row("12-port-in-host", "foo.com:8080/t", "foo.com:8080/t DST"),
    row("12-glob-host", "*.{a,b}.com/", "*.{a,b}.com/ DST"),
    row("12-ipv6-host", "[::1]:80/x", "[::1]:80/x DST"),
    row("12-utf-8-path", "/12\u00e9", "/12\u00e9 DST"),
    row("12-bad-path-glob", "/12g[a", problem="path: bad pattern", rejected_by_fabio=Q1),
    row("12-bad-host-glob", "[12h/", problem="host: bad pattern", lines_of_fabio=["[12h/ DST"],
        reason="Q-2: fabio keeps the pattern and fails every request; here the tag is lost"),
    # 1.3 variables
    row("13-dc", "$DC.13a.com/${DC}/$NOPE/z", "dc1.13a.com/dc1//z DST"),
    row("13-dc-alone", "13b/$DC", "13b/dc1 DST"),
    row("13-braces-glue", "13c/a${DC}b", "13c/adc1b DST"),
    row("13-name-ends-at-other-char", "13d/$DC-x/$DC_x/", "13d/dc1-x// DST"),
    row("13-special-parameters", "13e/a$1b$*c$$d$?e", "13e/abcde DST"),
    row("13-dollar-stays", "13f/a$/b$.c$", "13f/a$/b$.c$ DST"),
    row("13-empty-braces", "13g/a${}b", "13g/ab DST"),
    row("13-open-braces", "13h/a${b", "13h/ab DST"),
    row("13-not-in-options", "13i/ x=$DC", '13i/ DST opts "x=$DC"'),
    row("13-not-without-slash", "$DC.13j", "$dc.13j/ DST"),
    row("13-environment-is-not-read", "13k/$PATH/$HOME", "13k// DST"),
    # 1.4 address
    Row("14-node-address", ["urlprefix-14.a/"], ["14.a/ DST"], address=""),
    Row("14-ipv6", ["urlprefix-14.b/"], [f"14.b/ http://[2001:db8::1]:{PORT}/"], address="2001:db8::1"),
    Row("14-name", ["urlprefix-14.c/"], [f"14.c/ http://box:{PORT}/"], address="box"),
    # 1.5 options consumed while the command is made
    row("15-proto-tcp", ":15 proto=tcp", f":15 tcp://127.0.0.1:{PORT}"),
    row("15-proto-https", "15.a/ proto=https", f"15.a/ https://127.0.0.1:{PORT}"),
    row("15-proto-grpc", "15.b/ proto=grpc", f"15.b/ grpc://127.0.0.1:{PORT}"),
    row("15-proto-grpcs", "15.c/ proto=grpcs", f"15.c/ grpcs://127.0.0.1:{PORT}"),
    row("15-proto-http-passes", "15.d/ proto=http", '15.d/ DST opts "proto=http"'),
    row("15-proto-tcp-sni-passes", "15.e/ proto=tcp+sni", '15.e/ DST opts "proto=tcp+sni"'),
    row("15-proto-in-upper-case-passes", "15.f/ proto=HTTPS", '15.f/ DST opts "proto=HTTPS"'),
    row("15-last-proto-wins", "15.g/ proto=tcp proto=https", f"15.g/ https://127.0.0.1:{PORT}"),
    row("15-weight", "15.h/ weight=0.2", "15.h/ DST weight 0.2000"),
    row("15-last-weight-wins", "15.i/ weight=0.2 weight=0.3", "15.i/ DST weight 0.3000"),
    row("15-empty-weight-is-none", "15.j/ weight=", "15.j/ DST"),
    row("15-negative-weight-is-none", "15.k/ weight=-1", "15.k/ DST"),
    row("15-bad-weight", "15.l/ weight=many", problem="weight value invalid", rejected_by_fabio=Q1),
    row("15-redirect", "15.m/ redirect=301,https://b.com/x", '15.m/ https://b.com/x opts "redirect=301"'),
    row("15-redirect-variables", "15.n/ redirect=301,https://$host$path",
        '15.n/ https://$host$path opts "redirect=301"'),
    row("15-redirect-without-url-proxies", "15.o/ redirect=301", "15.o/ DST", problem="a URL is missing"),
    row("15-redirect-with-two-commas-proxies", "15.p/ redirect=301,http://b/a,b", "15.p/ DST",
        problem="exactly one comma"),
    row("15-last-redirect-wins", "15.q/ redirect=301,http://b/ redirect=302,http://c/",
        '15.q/ http://c/ opts "redirect=302"'),
    row("15-redirect-then-proto", "15.r/ redirect=301,http://b/ proto=https",
        f'15.r/ https://127.0.0.1:{PORT} opts "redirect=301"'),
    row("15-redirect-with-bad-url", "15.s/ redirect=301,http://b/%zz", problem="invalid target",
        rejected_by_fabio=Q1),
    row("15-redirect-with-empty-url", "15.t/ redirect=301,", "15.t/ DST", problem="a URL is missing",
        rejected_by_fabio=Q1),
    row("15-redirect-with-semicolon", "15.u/ redirect=301;https://b.com/a",
        '15.u/ https://b.com/a opts "redirect=301"', lines_of_fabio=["15.u/ DST"],
        reason="registrator cuts tags at commas: ; and | stand for them"),
    row("15-redirect-with-bar", "15.v/ redirect=301|https://b.com/",
        '15.v/ https://b.com/ opts "redirect=301"', lines_of_fabio=["15.v/ DST"],
        reason="registrator cuts tags at commas: ; and | stand for them"),
    row("15-others-pass-in-order", "15.w/ z=1 weight=1 a=2 proto=https b",
        f'15.w/ https://127.0.0.1:{PORT} weight 1.0000 opts "a=2 b= z=1"'),
    row("15-quote-in-option", '15.x/ a="b"', '15.x/ DST opts "a="b""', rejected_by_fabio=Q1),
    # 1.6 options of routing time, as they are kept and shown; what they do: tests of section 5 and below
    row("16-known", "16.a/ strip=/a prepend=/b host=dst tlsskipverify=true pxyproto=true auth=",
        '16.a/ DST opts "auth= host=dst prepend=/b pxyproto=true strip=/a tlsskipverify=true"'),
    row("16-lists", "16.b/ allow=ip:127.0.0.1,ip:10.0.0.0/8", '16.b/ DST opts "allow=ip:127.0.0.1,ip:10.0.0.0/8"'),
    row("16-list-with-semicolon", "16.c/ allow=ip:127.0.0.1;ip:10.0.0.0/8",
        '16.c/ DST opts "allow=ip:127.0.0.1;ip:10.0.0.0/8"'),
    row("16-register", "16.d/ register=also", '16.d/ DST opts "register=also"'),
    row("16-grpcservername", "16.e/ proto=grpcs grpcservername=x",
        f'16.e/ grpcs://127.0.0.1:{PORT} opts "grpcservername=x"'),
    row("16-unknown", "16.f/ colour=blue", '16.f/ DST opts "colour=blue"'),
    row("16-without-value", "16.g/ strip", '16.g/ DST opts "strip="'),
    row("16-last-wins", "16.h/ a=1 b=2 a=3", '16.h/ DST opts "a=3 b=2"'),
    row("16-equals-in-value", "16.i/ a=b=c =d", '16.i/ DST opts "=d a=b=c"'),
    row("16-redirect-code-of-another-kind", "16.j/ redirect=200,http://b/",
        '16.j/ http://b/ opts "redirect=200"', problem="requests are proxied instead"),
    row("16-redirect-code-no-number", "16.k/ redirect=x,http://b/",
        '16.k/ http://b/ opts "redirect=x"', problem="requests are proxied instead"),
]
