"""What clients log in with: JSON web tokens and signed statements, made with the openssl program."""

import base64
import json
import os
import struct
import subprocess
import tempfile
import time


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*arguments, data=None):
    done = subprocess.run(["openssl", *arguments], input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60)
    if done.returncode != 0:
        raise RuntimeError("openssl %s: %s" % (arguments[0], done.stderr.decode(errors="replace")))
    return done.stdout


def integer(der, at):
    """An INTEGER of 32 bytes, and where it ends."""
    size = der[at + 1]
    return der[at + 2:at + 2 + size].lstrip(b"\0").rjust(32, b"\0"), at + 2 + size


class Key:
    """A P-256 key: signatures are r and s, as ES256 and statements have them."""

    def __init__(self, folder, name):
        self.path = os.path.join(folder, name + ".key")
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.path)
        self.point = openssl("ec", "-in", self.path, "-pubout", "-outform", "DER")[-64:]

    def sign(self, data):
        der = openssl("dgst", "-sha256", "-sign", self.path, data=data)
        r, at = integer(der, 2)
        return r + integer(der, at)[0]

    def jwk(self, kid=None):
        jwk = {"kty": "EC", "crv": "P-256", "x": base64url(self.point[:32]), "y": base64url(self.point[32:])}
        return {**jwk, "kid": kid} if kid else jwk


def make_jwt(header, claims, sign):
    text = base64url(json.dumps(header).encode()) + "." + base64url(json.dumps(claims).encode())
    return text + "." + base64url(sign(text.encode()))


class Issuer:
    NAME = "https://issuer.example"

    def __init__(self, folder, name=NAME):
        self.name = name
        self.key = Key(folder, "issuer")

    def body(self, policies, **more):
        return {"issuer": self.name, "audiences": ["ostraka"], "ttl_max": 3600,
                "jwks": {"keys": [self.key.jwk("first")]},
                "roles": [{"claim": "team", "value": "build", "policies": list(policies)}], **more}

    def claims(self, **more):
        now = int(time.time())
        claims = {"iss": self.name, "aud": "ostraka", "sub": "runner", "iat": now, "exp": now + 600,
                  "team": ["build", "other"], **more}
        return {key: value for key, value in claims.items() if value is not None}

    def jwt(self, header=None, **claims):
        return make_jwt({"alg": "ES256", "kid": "first", **(header or {})}, self.claims(**claims), self.key.sign)


class Authority:
    """Issues certificates for clients."""

    def __init__(self, folder):
        self.folder = folder
        self.key = Key(folder, "authority")
        self.path = os.path.join(folder, "authority.crt")
        openssl("req", "-x509", "-new", "-key", self.key.path, "-subj", "/CN=clients", "-days", "2", "-out", self.path,
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        with open(self.path) as file:
            self.pem = file.read()

    def certificate(self, key, identity, serial):
        """As DER."""
        with tempfile.NamedTemporaryFile("w", dir=self.folder) as extensions:
            extensions.write("basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
                             "extendedKeyUsage=clientAuth\nsubjectAltName=URI:urn:uuid:%s\n" % identity)
            extensions.flush()
            request = openssl("req", "-new", "-key", key.path, "-subj", "/CN=client")
            return openssl("x509", "-req", "-CA", self.path, "-CAkey", self.key.path, "-set_serial", str(serial),
                           "-days", "1", "-extfile", extensions.name, "-outform", "DER", data=request)


    def revocations(self, serials, number, seconds=3600, times=None):
        """A list of revoked certificates, in PEM; seconds until the next one is due, or both times, YYMMDDHHMMSSZ."""
        when = ("-crl_lastupdate", times[0], "-crl_nextupdate", times[1]) if times else ("-crlsec", str(seconds))
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            paths = {name: os.path.join(folder, name) for name in ("config", "index", "number", "list")}
            contents = {"config": "[ca]\ndefault_ca=lists\n[lists]\ndefault_md=sha256\n"
                                  "database=%(index)s\ncrlnumber=%(number)s\n" % paths,
                        "index": "".join("R\t400101000000Z\t260101000000Z\t%04X\tunknown\t/CN=client\n" % serial
                                         for serial in serials),
                        "number": "%04X\n" % number}
            for name, content in contents.items():
                with open(paths[name], "w") as file:
                    file.write(content)
            openssl("ca", "-gencrl", "-config", paths["config"], "-cert", self.path, "-keyfile", self.key.path,
                    *when, "-out", paths["list"])
            with open(paths["list"]) as file:
                return file.read()


def cbor_bytes(data):
    size = len(data)
    if size < 24:
        return bytes([0x40 | size]) + data
    return (bytes([0x58, size]) if size < 256 else b"\x59" + struct.pack(">H", size)) + data


def statement(key, certificate, cluster_id, tenant="default", at=None):
    """The text that a client logs in with: auth/statement.h has its form."""
    milliseconds = int((time.time() if at is None else at) * 1000)
    payload = (b"\x86\x01" + cbor_bytes(cluster_id) + cbor_bytes(tenant.encode()) + b"\x1b" +
               struct.pack(">Q", milliseconds) + cbor_bytes(os.urandom(16)) + cbor_bytes(certificate))
    signature = key.sign(b"ostraka login statement 1\n" + payload)
    return "ostst1." + base64url(payload) + "." + base64url(signature)
