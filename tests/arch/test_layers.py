# SPDX-License-Identifier: Apache-2.0
"""The structure of the code, checked by reading its includes (docs/architecture.md)."""

import concurrent.futures
import os
import re
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# What each layer may include beside itself and the C library.
MAY_USE = {
    "base": set(),
    "http": {"base"},
    "route": {"base"},
    "stats": {"base"},
    "auth": {"base"},
    "net": {"base"},
    "upstream": {"base", "http", "route", "stats", "net"},
    "discover": {"base", "http", "route", "stats", "net", "upstream"},
    "proxy": {"base", "http", "route", "stats", "auth", "net", "upstream"},
    "admin": {"base", "http", "route", "stats", "auth", "net", "upstream", "discover"},
    "app": {"base", "http", "route", "stats", "auth", "net", "upstream", "discover", "proxy", "admin"},
}
PURE = ("base", "http", "route", "stats")

# Each library has one door: the paths (under src/ or include/) that may include its headers.
DOORS = {
    r"llhttp\.h": (r"http/head[a-z_]*\.[ch]$",),
    # The second is base64 of KV values.
    r"openssl/": (r"net/tls[a-z_]*\.[ch]$", r"discover/decode_kv\.c$", r"auth/"),
    r"crypt\.h": (r"auth/htpasswd\.c$",),
    # The second is the configuration that -cfg names by URL.
    r"curl/": (r"discover/", r"app/config_source\.c$"),
    r"cjson/": (r"discover/", r"admin/(api|manual_body)\.c$"),
    r"pcre2\.h": (r"base/regexp\.c$",),
    # Compression; its undoing.
    r"zlib\.h": (r"proxy/(gzip|gunzip|zlib_heap)\.c$",),
    r"nghttp2/": (r"proxy/h2[a-z_]*\.[ch]$",),
    r"uv\.h": (r"net/", r"upstream/", r"discover/", r"proxy/", r"admin/", r"app/"),
}
SOCKET_HEADERS = re.compile(r"uv\.h|sys/socket\.h|netinet/|sys/epoll\.h|netdb\.h|curl/|openssl/|pthread\.h")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def sources(*suffixes):
    found = []
    for top in ("src", "include"):
        for folder, _, names in os.walk(os.path.join(ROOT, top)):
            found += [os.path.relpath(os.path.join(folder, name), ROOT) for name in names
                      if name.endswith(suffixes)]
    return sorted(found)


def text_of(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def layer_of(path):
    return path.split("/")[1]


def includes(path):
    """(is_own, name) of each include; own ones are written with quotes."""
    return [(mark == '"', name) for mark, name in INCLUDE.findall(text_of(path))]


def test_there_is_code():
    assert len(sources(".c")) > 10


def test_every_folder_is_a_layer():
    folders = {layer_of(path) for path in sources(".c", ".h")}
    assert folders <= set(MAY_USE), folders - set(MAY_USE)


def test_layers_depend_downward_only():
    wrong = []
    for path in sources(".c", ".h"):
        for is_own, name in includes(path):
            other = name.split("/")[0] if "/" in name else None
            if is_own and other in MAY_USE and other != layer_of(path):
                if other not in MAY_USE[layer_of(path)]:
                    wrong.append(f"{path} includes {name}")
    assert not wrong, "\n".join(wrong)


def test_pure_layers_know_no_sockets_and_no_loop():
    wrong = [f"{path} includes {name}" for path in sources(".c", ".h") if layer_of(path) in PURE
             for is_own, name in includes(path) if not is_own and SOCKET_HEADERS.match(name)]
    assert not wrong, "\n".join(wrong)


def test_each_library_has_one_door():
    wrong = []
    for path in sources(".c", ".h"):
        inside = path.split("/", 1)[1]
        for _, name in includes(path):
            for library, doors in DOORS.items():
                if re.match(library, name) and not any(re.match(door, inside) for door in doors):
                    wrong.append(f"{path} includes {name}")
    assert not wrong, "\n".join(wrong)


def test_files_stay_small():
    wrong = []
    for path in sources(".c", ".h"):
        lines = text_of(path).count("\n")
        limit = 250 if path.endswith(".h") else 800
        if lines > limit:
            wrong.append(f"{path}: {lines} lines, limit {limit}")
    assert not wrong, "\n".join(wrong)


def test_headers_follow_the_house_rules():
    wrong = []
    for path in sources(".h"):
        text = text_of(path)
        if not text.startswith("// SPDX-License-Identifier: Apache-2.0\n// "):
            wrong.append(f"{path}: does not open with the licence line and a paragraph")
        if "#pragma once" not in text:
            wrong.append(f"{path}: no #pragma once")
        if re.search(r"^typedef struct", text, re.MULTILINE):
            wrong.append(f"{path}: typedef of a struct")
    assert not wrong, "\n".join(wrong)


def test_every_source_names_its_licence():
    wrong = [path for path in sources(".c") if "SPDX-License-Identifier: Apache-2.0" not in text_of(path)[:200]]
    assert not wrong, "\n".join(wrong)


@pytest.mark.no_sanitizer
def test_each_header_compiles_alone():
    flags = subprocess.run(["pkg-config", "--cflags", "libuv", "libcurl", "libcjson", "openssl"],
                           capture_output=True, text=True, check=True).stdout.split()

    def compile_alone(path):
        result = subprocess.run(
            ["gcc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
             "-Iinclude", "-Isrc", "-I/usr/share/llhttp", f"-I{os.path.dirname(path)}", *flags,
             "-x", "c", "-"],
            input=f'#include "{os.path.basename(path)}"\n' if path.startswith("src/")
            else f'#include "{path.split("/", 1)[1]}"\n',
            capture_output=True, text=True, cwd=ROOT, check=False)
        return f"{path}:\n{result.stderr}" if result.returncode else None

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        wrong = [error for error in pool.map(compile_alone, sources(".h")) if error]
    assert not wrong, "\n".join(wrong)
