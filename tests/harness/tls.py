# SPDX-License-Identifier: Apache-2.0
"""Certificates made for the test by the openssl command, and origins that speak TLS."""

import os
import ssl
import subprocess
import tempfile

from .origin import Origin, OriginConnection, ScriptedOrigin


class Authority:
    """A certificate authority in a folder of its own."""

    def __init__(self, name="Test CA"):
        self._dir = tempfile.TemporaryDirectory(prefix="tagway-ca-")
        self._serial = 1
        self.file = self.path("ca.pem")
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                      "-keyout", self.path("ca.key"), "-out", self.file, "-subj", f"/CN={name}", "-days", "30",
                      "-addext", "basicConstraints=critical,CA:TRUE")

    def path(self, name):
        return os.path.join(self._dir.name, name)

    def _openssl(self, *args):
        subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=self._dir.name)

    def folder(self):
        """A folder of trusted certificates as OpenSSL wants it."""
        folder = self.path("trusted")
        os.makedirs(folder, exist_ok=True)
        with open(self.file, "rb") as source, open(os.path.join(folder, "ca.pem"), "wb") as copy:
            copy.write(source.read())
        self._openssl("rehash", folder)
        return folder

    def issue(self, *names, days=30, common_name="ignored"):
        """A certificate for DNS names and IP addresses; days < 0: expired. Returns its file, the key
        included."""
        self._serial += 1
        key, request, certificate = (self.path(f"{self._serial}.{kind}") for kind in ("key", "csr", "pem"))
        kinds = ",".join(("IP:" if name.replace(".", "").isdigit() or ":" in name else "DNS:") + name
                         for name in names)
        extensions = self.path(f"{self._serial}.ext")
        with open(extensions, "w", encoding="ascii") as file:
            file.write(f"subjectAltName={kinds}\n" if kinds else "basicConstraints=CA:FALSE\n")
        self._openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                      "-keyout", key, "-out", request, "-subj", f"/CN={common_name}")
        self._openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.path("ca.key"),
                      "-set_serial", str(self._serial), "-days", str(days), "-out", certificate,
                      "-extfile", extensions)
        with open(certificate, "a", encoding="ascii") as out, open(key, encoding="ascii") as source:
            out.write(source.read())
        return certificate

    def close(self):
        self._dir.cleanup()


def server_context(certificate, **settings):
    """An ssl.SSLContext for servers; settings are attributes of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    for name, value in settings.items():
        setattr(context, name, value)
    return context


class TlsConnection(OriginConnection):
    def goodbye(self):
        """Sends close_notify without waiting for the peer's."""
        self.sock.settimeout(0)
        try:
            self.sock.unwrap()
        except (OSError, ValueError):
            pass

    def close(self):
        if isinstance(self.sock, ssl.SSLSocket):
            self.goodbye()
        super().close()

    def cut(self):
        """FIN without close_notify."""
        os.close(self.sock.detach())


class _Tls:
    """Makes an origin speak TLS. names, versions and resumed record what each handshake brought;
    failures those that came to nothing."""

    def setup(self, certificate, settings):
        self.context = server_context(certificate, **settings)
        self.context.sni_callback = lambda _, name, __: self.asked.append(name)
        self.asked = []
        self.names = []
        self.versions = []
        self.alpn = []
        self.resumed = 0
        self.failures = []

    def _serve(self, connection):
        tls = TlsConnection(connection.sock, self)
        at = self.connections.index(connection)
        try:
            tls.sock = self.context.wrap_socket(connection.sock, server_side=True)
        except (OSError, ssl.SSLError) as error:
            self.failures.append(error)
            connection.close()
            return
        self.connections[at] = tls
        self.versions.append(tls.sock.version())
        self.alpn.append(tls.sock.selected_alpn_protocol())
        self.resumed += bool(tls.sock.session_reused)
        super()._serve(tls)

    @property
    def https_url(self):
        return f"https://{self.host}:{self.port}/"


class TlsOrigin(_Tls, Origin):
    def __init__(self, certificate, respond=None, name="origin", port=None, **settings):
        self.setup(certificate, settings)
        super().__init__(respond, name, port)


class TlsScriptedOrigin(_Tls, ScriptedOrigin):
    def __init__(self, certificate, script, port=None, **settings):
        self.setup(certificate, settings)
        super().__init__(script, port)


def https_route(origin, path="/", service="svc", options="", host="127.0.0.1"):
    port = origin if isinstance(origin, int) else origin.port
    text = f"route add {service} {path} https://{host}:{port}/"
    return text + (f' opts "{options}"' if options else "") + "\n"
