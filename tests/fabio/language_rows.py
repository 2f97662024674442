# SPDX-License-Identifier: Apache-2.0
"""Section 2 of fabio's behaviour as a table: a text of commands and the table it comes to, as `?raw` prints
it. tests/differential puts the same texts before the real fabio."""

import dataclasses

Q1 = "Q-1: one bad line rejects fabio's whole table; here it loses only itself"


@dataclasses.dataclass
class Row:
    name: str
    text: str
    raw: str = ""
    problem: str = None  # part of the reason listed under problems; None: no problem
    lost: str = None  # the line it is about; None: the last line
    weights: tuple = None  # effective shares in the order of /api/routes
    # How fabio differs, with the reason.
    rejected_by_fabio: str = None
    raw_of_fabio: str = None
    reason: str = None


def good(name, text, raw=None, **more):
    return Row(name, text, text if raw is None else raw, **more)


def bad(name, line, problem, **more):
    """A line that is lost between two that are not."""
    return Row(name, f"route add ok /ok http://10.0.0.1/\n{line}\nroute add ok / http://10.0.0.1/",
               "route add ok /ok http://10.0.0.1/\nroute add ok / http://10.0.0.1/", problem, line,
               rejected_by_fabio=Q1, **more)


def shares(name, weights, *expected, more=""):
    """Targets of one route with these weights ("-": none), and the share that each is to get."""
    lines = [f"route add s{i} / http://10.0.{i // 250}.{i % 250}/" + ("" if weight == "-" else f" weight {weight}")
             for i, weight in enumerate(weights.split())]
    printed = []
    for line, weight, share in zip(lines, weights.split(), expected):
        fixed = weight != "-" and float(weight) > 0
        if share > 0:
            printed.append(line.partition(" weight")[0] + (f" weight {float(weight):.4f}" if fixed else ""))
    return Row(name, "\n".join(lines) + more, "\n".join(printed), weights=expected)


A, B = "route add a /a http://10.0.0.1:1/", "route add b /b http://10.0.0.1:2/"
T = 'route add s / http://10.0.0.1/ tags "x,y"\nroute add s / http://10.0.0.2/ tags "x"\nroute add t / http://10.0.0.3/ tags "x"'

ROWS = [
    # 2.1 lexical rules
    good("21-blank-lines-and-comments", f"\n  \n# c\n  # c\n// c\n\t//c\n{A}\n", A),
    good("21-white-space", " \troute\tadd   a\t/a  http://10.0.0.1:1/ \t weight\t0.5  tags \t\"x\"\topts  \"y\" \r\n",
         'route add a /a http://10.0.0.1:1/ weight 0.5000 tags "x" opts "y="'),
    bad("21-trailing-comment", f"{A} # c", "'route add' invalid"),
    bad("21-unknown-command", "rout add a /a http://10.0.0.1/", "'route' expected"),
    bad("21-unknown-verb", "route list", "'route' expected"),
    bad("21-keyword-by-prefix-add", "route addx a /a http://10.0.0.1/", "'route add' invalid"),
    bad("21-keyword-by-prefix-del", "route delx a", "'route del' invalid"),
    bad("21-keyword-by-prefix-weight", "route weights a / weight 1", "'route weight' invalid"),
    bad("21-keywords-are-lower-case", "ROUTE ADD a /a http://10.0.0.1/", "'route' expected"),
    bad("21-order-of-clauses", f'{A} opts "x" tags "y"', "'route add' invalid"),
    bad("21-weight-twice", f"{A} weight 1 weight 2", "'route add' invalid"),
    bad("21-no-dst", "route add a /a", "'route add' invalid"),
    bad("21-open-quote", f'{A} tags "x', "'route add' invalid"),
    bad("21-no-space-behind-quote", f'{A} tags "x"opts "y"', "'route add' invalid"),
    bad("21-no-quotes", f"{A} tags x", "'route add' invalid"),
    bad("21-weight-is-no-number", f"{A} weight x", "weight value invalid"),
    bad("21-weight-with-comma", f"{A} weight 0,5", "weight value invalid"),
    bad("21-hex-weight-without-exponent", f"{A} weight 0x10", "weight value invalid"),
    good("21-empty-quotes-are-absent", f'{A} tags "" opts ""', A),
    good("21-no-escapes-in-quotes", f'{A} tags "x\\y" opts "z=\\"', f'{A} tags "x\\\\y" opts "z=\\"'),
    good("21-tags-are-trimmed", f'{A} tags " x , y z "', f'{A} tags "x,y z"'),
    good("21-empty-tags-stay", f'{A} tags ",x,"'),
    good("21-options", f'{A} opts "b  a=1 c==2 a=3"', f'{A} opts "a=3 b= c==2"'),
    good("21-weight-exponent", f"{A} weight 25e-2", f"{A} weight 0.2500"),
    good("21-weight-hex", f"{A} weight 0x1p-1", f"{A} weight 0.5000"),
    good("21-weight-nan-is-none", f"{A} weight nan", A),
    bad("21-weight-inf", f"{A} weight inf", "weight value invalid",
        reason="fabio ends with a panic"),
    Row("21-weight-with-underscore", f"{A} weight 1_0", "", "weight value invalid",
        raw_of_fabio=f"{A} weight 10.0000", reason="Go's digit separators are not taken"),
    good("21-del-tags-without-quotes-is-a-service", "route add tags /a http://10.0.0.1/\nroute del tags", ""),
    good("21-weight-with-service-is-tried-first",
         "route add weight weight http://10.0.0.1/\nroute weight weight weight weight 0.2",
         "route add weight weight/ http://10.0.0.1/ weight 0.2000"),
    bad("21-weight-by-src-needs-tags", "route weight /ok weight 0.2", "'route weight' invalid"),
    Row("21-line-over-64-kib", f'{A}\nroute add a /b http://10.0.0.1/ opts "{"x" * 66000}"\n{B}', f"{B}\n{A}",
        "longer than 64 KB", raw_of_fabio=A, reason="Q-20: fabio loses all lines behind",
        lost="route add a /b http://10.0.0.1/ opts \"" + "x" * 66000),
    # 2.2 src
    good("22-port", "route add a :1234 tcp://10.0.0.1:1"),
    good("22-host-and-path", "route add a h.com/x http://10.0.0.1/"),
    good("22-no-slash", "route add a h.com http://10.0.0.1/", "route add a h.com/ http://10.0.0.1/"),
    good("22-add-lowers-the-host", "route add a H.Com/X http://10.0.0.1/", "route add a h.com/X http://10.0.0.1/"),
    Row("22-del-lowers-the-host", "route add a h.com/X http://10.0.0.1/\nroute del a H.com/X", "",
        raw_of_fabio="route add a h.com/X http://10.0.0.1/", reason="Q-16: del and weight lower the host as add does"),
    Row("22-weight-lowers-the-host", "route add a h.com/X http://10.0.0.1/\nroute weight a H.com/X weight 0.5",
        "route add a h.com/X http://10.0.0.1/ weight 0.5000",
        raw_of_fabio="route add a h.com/X http://10.0.0.1/", reason="Q-16: del and weight lower the host as add does"),
    good("22-path-keeps-its-case", "route add a h/X http://10.0.0.1/\nroute del a h/x", "route add a h/X http://10.0.0.1/"),
    # 2.3 add
    bad("23-bad-dst-escape", "route add a /a http://10.0.0.7/%zz", "route: invalid target"),
    bad("23-dst-without-scheme", "route add a /a 1.2.3.4:80", "route: invalid target"),
    good("23-dst-with-odd-scheme", "route add a /a localhost:5000", problem="cannot be proxied to"),
    good("23-dst-as-url-package-prints-it", "route add a /a HTTP://[::A]/{x}#",
         "route add a /a http://[::A]/%7Bx%7D"),
    Row("23-dst-port-out-of-range", "route add a /a http://10.0.0.1:99999/", "", "out of range",
        raw_of_fabio="route add a /a http://10.0.0.1:99999/", reason="no such port can be connected to"),
    Row("23-dst-query-not-ascii", "route add a /a http://10.0.0.1/?\u00fc", "", "ASCII",
        raw_of_fabio="route add a /a http://10.0.0.1/?\u00fc", reason="a request line is ASCII"),
    bad("23-bad-path-glob", "route add a /t[a http://10.0.0.1/", "path: bad pattern"),
    Row("23-bad-host-glob", "route add a [x/ http://10.0.0.1/", "", "host: bad pattern",
        raw_of_fabio="route add a [x/ http://10.0.0.1/", reason="Q-2: fabio then fails every request"),
    Row("23-strip-not-ascii", 'route add a /a http://10.0.0.1/ opts "strip=/\u00fc"', "", "option strip",
        raw_of_fabio='route add a /a http://10.0.0.1/ opts "strip=/\u00fc"', reason="a request line is ASCII"),
    Row("23-host-with-path", 'route add a /a http://10.0.0.1/ opts "host=b.com/x"', "", "option host",
        raw_of_fabio='route add a /a http://10.0.0.1/ opts "host=b.com/x"', reason="no such Host can be sent"),
    good("23-dst-with-zone", "route add a /a http://[fe80::1%25lo]:1/", problem="cannot be proxied to"),
    good("23-duplicate", f"{A}\n{A}", A),
    Row("23-duplicate-with-other-options", f'{A} opts "x=1"\n{A} opts "x=2"', f'{A} opts "x=1"',
        problem="the same target was already added"),
    good("23-no-duplicate-by-service", f"{A}\nroute add b /a http://10.0.0.1:1/"),
    good("23-no-duplicate-by-dst", f"{A}\nroute add a /a http://10.0.0.1:2/"),
    good("23-no-duplicate-by-weight", f"{A} weight 0.2\n{A}", f"{A} weight 0.2000\n{A}"),
    good("23-no-duplicate-by-tags", f'{A} tags "x,y"\n{A} tags "y,x"'),
    good("23-negative-weight-is-none", f"{A} weight -1\n{A}", A),
    good("23-same-path-other-host", f"route add a x/a http://10.0.0.1:1/\n{A}"),
    # 2.4 del
    good("24-tags", f'{T}\nroute del tags "x"', ""),
    good("24-all-tags-must-be-there", f'{T}\nroute del tags "y,x"', "\n".join(T.splitlines()[1:])),
    good("24-service-and-tags", f'{T}\nroute del s tags "x"', T.splitlines()[2]),
    good("24-empty-tags-and-service", f'{T}\nroute del s tags ""', T.splitlines()[2]),
    Row("24-empty-tags-alone", f'{T}\nroute del tags ""', T, "names neither"),
    good("24-service", f"{T}\nroute del s", T.splitlines()[2]),
    good("24-unknown-service", f"{T}\nroute del x", T),
    good("24-service-in-all-routes", f"{A}\nroute add a x/ http://10.0.0.1/\n{B}\nroute del a", B),
    good("24-service-and-src", f"{A}\nroute add a /b http://10.0.0.1/\n{B}\nroute del a /b", f"{B}\n{A}"),
    good("24-src-is-exact", f"{A}\nroute del a /", A),
    good("24-service-src-dst", f"{A}\nroute add a /a http://10.0.0.2/\nroute del a /a http://10.0.0.1:1/",
         "route add a /a http://10.0.0.2/"),
    good("24-dst-as-text", f"{A}\nroute del a /a http://10.0.0.1:1", A),
    good("24-dst-in-other-spelling", f"{A}\nroute del a /a HTTP://10.0.0.1:1/", ""),
    bad("24-bad-dst", "route del ok / http://10.0.0.7/%zz", "route: invalid target"),
    bad("24-nothing", "route del", "'route del' invalid"),
    bad("24-too-much", "route del a /a http://10.0.0.1/ x", "'route del' invalid"),
    good("24-port-route", "route add a :1 tcp://10.0.0.1:1\nroute del a :1", ""),
    good("24-order-matters", f"route del a\n{A}", A),
    # 2.5 weight
    good("25-service-and-src", f"{A}\nroute add b /a http://10.0.0.2/\nroute weight a /a weight 0.2",
         f"{A} weight 0.2000\nroute add b /a http://10.0.0.2/", weights=(0.2, 0.8)),
    good("25-shared-by-all-of-the-service",
         f"{A}\nroute add a /a http://10.0.0.2/\nroute add b /a http://10.0.0.3/\nroute weight a /a weight 0.2",
         f"{A} weight 0.1000\nroute add a /a http://10.0.0.2/ weight 0.1000\nroute add b /a http://10.0.0.3/",
         weights=(0.1, 0.1, 0.8)),
    good("25-tags", f'{T}\nroute weight / weight 0.5 tags "y"',
         T.replace('10.0.0.1/ tags', '10.0.0.1/ weight 0.5000 tags'), weights=(0.5, 0.25, 0.25)),
    good("25-service-and-tags", f'{T}\nroute weight t / weight 0.5 tags "x"',
         T.replace('10.0.0.3/ tags', '10.0.0.3/ weight 0.5000 tags'), weights=(0.25, 0.25, 0.5)),
    good("25-zero-makes-dynamic", f"{A} weight 0.5\nroute add b /a http://10.0.0.2/\nroute weight a /a weight 0",
         f"{A}\nroute add b /a http://10.0.0.2/", weights=(0.5, 0.5)),
    good("25-negative-makes-dynamic", f"{A} weight 0.5\nroute add b /a http://10.0.0.2/\nroute weight a /a weight -1",
         f"{A}\nroute add b /a http://10.0.0.2/", weights=(0.5, 0.5)),
    good("25-no-such-route", f"{A}\nroute weight a /x weight 0.5", A, problem="no target match"),
    good("25-no-such-service", f"{A}\nroute weight b /a weight 0.5", A, problem="no target match"),
    good("25-no-such-tags", f'{A}\nroute weight a /a weight 0.5 tags "x"', A, problem="no target match"),
    # 2.6 weights
    shares("26-none", "-", 1),
    shares("26-three-dynamic", "- - -", 0.3333, 0.3333, 0.3333),
    shares("26-zero", "0", 1),
    shares("26-all-fixed-below-one", "0.2 0.3", 0.4, 0.6),
    shares("26-all-fixed-above-one", "2 3", 0.4, 0.6),
    shares("26-dynamic-take-the-rest", "- - 0.5", 0.25, 0.25, 0.5),
    shares("26-nothing-left", "- 0.25 0.75", 0, 0.25, 0.75),
    shares("26-more-than-all", "- 1 3", 0, 0.25, 0.75),
    Row("26-service-weight", "route add a / http://10.0.1.1/\nroute add b / http://10.0.1.2/\nroute add b / http://10.0.1.3/\n"
        "route weight b / weight 0.1", "route add a / http://10.0.1.1/\nroute add b / http://10.0.1.2/ weight 0.0500\n"
        "route add b / http://10.0.1.3/ weight 0.0500", weights=(0.9, 0.05, 0.05)),
    shares("26-1234-dynamic", " ".join(["-"] * 1234 + ["0.2"]), *[0.8 / 1234] * 1234, 0.2),
    shares("26-tiny", "0.00001 -", 0.00001, 0.99999),
    # 2.7 printing
    good("27-hosts-descending-no-host-last", "route add a b.com/ http://10.0.0.1/\nroute add a :1 tcp://10.0.0.1:1\n"
         "route add a / http://10.0.0.1/\nroute add a a.com/ http://10.0.0.1/",
         "route add a b.com/ http://10.0.0.1/\nroute add a a.com/ http://10.0.0.1/\nroute add a :1 tcp://10.0.0.1:1\n"
         "route add a / http://10.0.0.1/"),
    good("27-paths-descending", "route add a /a http://10.0.0.1/\nroute add a /b http://10.0.0.1/\nroute add a /a/b http://10.0.0.1/\n"
         "route add a /B http://10.0.0.1/",
         "route add a /b http://10.0.0.1/\nroute add a /a/b http://10.0.0.1/\nroute add a /a http://10.0.0.1/\nroute add a /B http://10.0.0.1/"),
    good("27-targets-as-added", "route add z / http://10.0.0.4/\nroute add a / http://10.0.0.5/\nroute add m / http://10.0.0.6/"),
    good("27-tags-are-quoted", f'{A} tags "x\\,\u00e9"', f'{A} tags "x\\\\,\u00e9"'),
    good("27-no-routes", ""),
]
# Several services on one host and path are worth a note; so say the rows above, without writing it down.
NOTE = "also serves this host and path"
