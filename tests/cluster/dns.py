"""The cluster's DNS, in the least code: the A record of a Service is its cluster IP, asked of the
API server.

Owns its socket. `dns.py ADDRESS API CA CERTIFICATE KEY` runs until it is ended.
"""
import json, socket, ssl, struct, sys, threading, urllib.error, urllib.request

NO_SUCH_NAME, SERVER_FAILED, LIFE = 3, 2, 5  # the life of an answer in seconds


def question(packet):
    """The first question's name and type, and where it ends."""
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode().lower())
        at += 1 + packet[at]
    return labels, struct.unpack("!H", packet[at + 1:at + 3])[0], at + 5


def address(labels, api, context):
    """The address of NAME.NAMESPACE.svc.cluster.local, or None."""
    if len(labels) != 5 or labels[2:] != ["svc", "cluster", "local"]:
        return None
    try:
        with urllib.request.urlopen(
            f"{api}/api/v1/namespaces/{labels[1]}/services/{labels[0]}", context=context, timeout=3
        ) as answer:
            return json.load(answer)["spec"]["clusterIP"]
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return None


def answer(packet, api, context):
    labels, kind, end = question(packet)
    records, code = b"", 0
    try:
        found = address(labels, api, context)
        if found is None:
            code = NO_SUCH_NAME
        elif kind == 1:
            records = struct.pack("!HHHIH", 0xC00C, 1, 1, LIFE, 4) + socket.inet_aton(found)
    except OSError:
        code = SERVER_FAILED
    head = packet[:2] + struct.pack("!HHHHH", 0x8580 | code, 1, 1 if records else 0, 0, 0)
    return head + packet[12:end] + records


def main(own, api, authority, certificate, key):
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(certificate, key)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((own, 53))
    while True:
        packet, asker = server.recvfrom(1500)
        threading.Thread(
            target=lambda p=packet, a=asker: server.sendto(answer(p, api, context), a), daemon=True
        ).start()


main(*sys.argv[1:])
