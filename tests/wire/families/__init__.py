# SPDX-License-Identifier: Apache-2.0
"""The tables, one module a family. ALL is every row."""

import importlib

NAMES = ("request_line", "host", "fields", "length", "coding", "chunks", "trailers", "limits", "connection",
         "upgrade", "expect", "sequence", "spoofing", "status_line", "response_framing", "response_fields",
         "response_bodies", "faults", "options")

ALL = []
for _name in NAMES:
    for _case in importlib.import_module(f"families.{_name}").CASES:
        _case.family = _name
        ALL.append(_case)
