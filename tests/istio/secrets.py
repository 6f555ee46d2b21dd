#!/usr/bin/env python3
"""secrets.py FOLDER: a certificate authority, and a service account's token with the key to check
it."""

import base64, json, os, subprocess, sys, time

folder = sys.argv[1]


def openssl(*words, given=None):
    return subprocess.run(
        ["openssl", *words], check=True, capture_output=True, cwd=folder, input=given
    ).stdout


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


os.mkdir(f"{folder}/ca")
openssl(
    "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca/root-key.pem", "-out",
    "ca/root-cert.pem", "-days", "3650", "-subj", "/O=meshim-test/CN=root",
)
openssl(
    "req", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca/ca-key.pem", "-out", "ca/ca.csr",
    "-subj", "/O=meshim-test/CN=intermediate",
)
with open(f"{folder}/ca/extensions", "w") as file:
    file.write(
        "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\n"
        "subjectAltName=DNS:ca\n"
    )
openssl(
    "x509", "-req", "-in", "ca/ca.csr", "-CA", "ca/root-cert.pem", "-CAkey", "ca/root-key.pem",
    "-CAcreateserial", "-days", "3650", "-out", "ca/ca-cert.pem", "-extfile", "ca/extensions",
)
with open(f"{folder}/ca/cert-chain.pem", "w") as chain:
    for name in ("ca-cert", "root-cert"):
        chain.write(open(f"{folder}/ca/{name}.pem").read())

openssl("genrsa", "-out", "jwt.key", "2048")
modulus = openssl("rsa", "-in", "jwt.key", "-noout", "-modulus").decode().strip().split("=")[1]
key = {
    "kty": "RSA",
    "alg": "RS256",
    "use": "sig",
    "kid": "k1",
    "n": encoded(bytes.fromhex(modulus)),
    "e": "AQAB",
}
json.dump({"keys": [key]}, open(f"{folder}/jwks.json", "w"))
now = int(time.time())
claims = {
    "iss": "meshim-test",
    "aud": ["istio-ca"],
    "sub": "system:serviceaccount:shop:shop",
    "iat": now - 60,
    "exp": now + 86400,
    "kubernetes.io": {"namespace": "shop", "serviceaccount": {"name": "shop"}},
}
head = {"alg": "RS256", "kid": "k1", "typ": "JWT"}
signed = ".".join(encoded(json.dumps(part).encode()) for part in (head, claims))
open(f"{folder}/token", "w").write(
    f'{signed}.{encoded(openssl("dgst", "-sha256", "-sign", "jwt.key", given=signed.encode()))}'
)
