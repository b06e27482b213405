#!/usr/bin/env python3
"""Checks case bundles offline, as docs/protocol/bundle.md says, with nothing of ours: a page of code, PyPI's jwcrypto for
signed messages and cryptography for the two signatures that are not JOSE. Usage: verify.py [--anchors FILE] BUNDLE...
One line of JSON per bundle; exit status 0 if all hold. The numbers in comments are the steps of bundle.md."""

import base64
import datetime
import hashlib
import json
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from jwcrypto import jwk, jws

# What a record of each kind shows besides `kind` and `at` (records-and-log.md).
FIELDS = {
    "key_added": "keys", "carrier_admitted": "carrier cert", "device_enrolled": "device cert depot_cert",
    "passkey_added": "key statement assertion", "grant_accepted": "grant assertion delivery access_point",
    "delegation_accepted": "delegation cert delivery device", "ready_asked": "delivery slot answer",
    "place_disclosed": "delivery proof", "described": "delivery proof", "signalled": "delivery proof",
    "joined": "delivery attempt proof", "open_intended": "delivery attempt command proof",
    "outcome": "delivery attempt command outcome", "lock_intended": "delivery attempt command",
    "locked": "delivery attempt lock_proof", "alarm": "delivery attempt reason",
    "alarm_acknowledged": "delivery attempt", "blocked": "scope", "unblocked": "scope", "staff_access": "what",
}
ACTIONS = {"place_disclosed": "locate", "described": "describe", "signalled": "signal", "open_intended": "open", "joined": "open"}
BUNDLE = ("v anchors keys carrier delegation_cert devices passkeys request grant assertion accepted delegations proofs "
          "records checkpoint").split()
# What is a carrier's: there where one took part, and not where a guest or the owner acted.
CARRIERS = "carrier delegation_cert devices request delegations".split()


class Refused(Exception):
    pass


def need(holds, why):
    if not holds:
        raise Refused(why)


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def un64(text):
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    need(b64(data) == text, "base64url in another spelling")
    return data


def sha(*parts):
    return hashlib.sha256(b"".join(p.encode() if isinstance(p, str) else p for p in parts)).digest()


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def thumb(key):
    return b64(sha(compact({m: key[m] for m in ("crv", "kty", "x", "y")})))


def message(token, typ, key=None):
    """The claims of a signed message; the key is the one in the header where that carries it."""
    need([b64(un64(part)) for part in token.split(".")] == token.split("."), f"{typ}: form")
    head = json.loads(un64(token.split(".")[0]))
    key = key or head["jwk"]
    names = {"OKP": {"alg", "typ"}, "EC": {"alg", "typ", "jwk" if "jwk" in head else "kid"}}[key["kty"]]
    need(set(head) == names and head["typ"] == typ, f"{typ}: header")
    need("kid" not in head or head["kid"] == thumb(key), f"{typ}: key")
    signed = jws.JWS()
    signed.allowed_algs = ["EdDSA" if key["kty"] == "OKP" else "ES256"]
    signed.deserialize(token, jwk.JWK(**key))
    return json.loads(signed.payload), key


def posted(claims, at, what):
    """Handed in at `at`: made at most 60 s ahead, and not over."""
    need(claims["iat"] <= at + 60 and at < claims["exp"], f"{what}: time")


def cert(token, key, role, aud, at):
    claims, _ = message(token, "psh-cert+jwt", key)
    sub = thumb(claims["jwk"])
    if role == "device":
        sub = b64(sha("psh-device-v1\0", un64(sub), sha(un64(claims["seal"]))))
    need((claims["sub"], claims["iss"], claims["aud"], claims["role"]) == (sub, thumb(key), aud, role), f"certificate of {role}")
    if at is not None:
        posted(claims, at, f"certificate of {role}")
    return claims


def confirmed(assertion, challenge, key, anchors):
    """A passkey's word: on the wallet's own page, unframed, by a person who was verified there."""
    client, data = un64(assertion["client_data_json"]), un64(assertion["authenticator_data"])
    said = json.loads(client)
    right = (said["type"], said["challenge"], said["origin"]) == ("webauthn.get", b64(challenge), anchors["wallet_origin"])
    need(right and not said.get("crossOrigin") and "topOrigin" not in said, "assertion: client data")
    need(data[:32] == sha(anchors["rp_id"]) and data[32] & 5 == 5, "assertion: authenticator data")
    point = ec.EllipticCurvePublicNumbers(*(int.from_bytes(un64(key[m]), "big") for m in "xy"), ec.SECP256R1())
    point.public_key().verify(un64(assertion["signature"]), data + sha(client), ec.ECDSA(hashes.SHA256()))


def shown(record, chained):
    """The openings as a dictionary; empty for a chained record of another delivery."""
    raw = un64(record["bytes"])
    fields = json.loads(raw)
    need(list(fields) == ["v", "fields"] and fields["v"] == 1 and compact(fields).encode() == raw, "record: form")
    commitments = dict(fields["fields"])
    for o in record["openings"]:
        size = len(o["name"]).to_bytes(2, "big")
        made = sha("psh-field-v1\0", size, o["name"], un64(o["salt"]), o["value"])
        need(commitments.get(o["name"]) == b64(made), "record: an opening does not fit")
    names = [o["name"] for o in record["openings"]]
    told = {o["name"]: o["value"] for o in record["openings"]}
    own = names[:-2] if chained else names
    if chained:
        need(names[-2:] == ["chain_seq", "chain_prev"], "record: its place is not shown")
    if own or not chained:
        need(told.get("kind") in FIELDS and own == ["kind", "at", *FIELDS[told["kind"]].split()], "record: other fields")
        when = datetime.datetime.strptime(told["at"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc)
        told["s"] = when.timestamp()
    return told


def included(leaf, index, size, path, root):
    """RFC 9162, 2.1.3.2."""
    fn, sn, r = index, size - 1, leaf
    need(index < size, "record: index")
    for p in path:
        need(sn > 0, "record: path")
        if fn & 1 or fn == sn:
            r = sha(b"\1", p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = sha(b"\1", r, p)
        fn, sn = fn >> 1, sn >> 1
    need(sn == 0 and r == root, "record: not in the tree")


def checkpoint(note, line):
    """Size and root of a checkpoint that carries this log's signature and no other."""
    name, ident, key = line.split("+", 2)
    public = base64.b64decode(key)
    need(sha(name, "\n", public)[:4].hex() == ident and public[0] == 1, "anchor: log")
    text, signature = note.split("\n\n")
    dash, by, encoded = signature.removesuffix("\n").split(" ")
    raw = base64.b64decode(encoded)
    ed25519.Ed25519PublicKey.from_public_bytes(public[1:]).verify(raw[4:], (text + "\n").encode())
    origin, size, root = text.split("\n")
    again = f"{name}\n{int(size)}\n{base64.b64encode(base64.b64decode(root)).decode()}\n\n\u2014 {name} "
    again += base64.b64encode(bytes.fromhex(ident) + raw[4:]).decode() + "\n"
    need(again == note, "checkpoint: another spelling, or more signatures")
    return int(size), base64.b64decode(root)


def narrows(inner, outer, what):
    same = inner["purpose"] == outer["purpose"] and inner["uses"] <= outer["uses"]
    less = set(inner["opens"]) <= set(outer["opens"]) and set(inner["area"]) <= set(outer["area"])
    need(same and less and (inner["disclose"], outer["disclose"]) != ("area", "next_stop"), f"{what}: widens")
    need(outer["nbf"] <= inner["nbf"] and inner["exp"] <= outer["exp"], f"{what}: widens the window")


def verify(raw, expected):
    need(len(raw) <= 131_068, "too long")
    b = json.loads(raw)
    members = BUNDLE if "carrier" in b else [m for m in BUNDLE if m not in CARRIERS]
    need(compact(b).encode() == raw and list(b) == members and type(b["v"]) is int and b["v"] == 1, "form")  # 1
    delegated = "carrier" in b
    devices_shown, delegations = b.get("devices", []), b.get("delegations", [])
    a = b["anchors"]
    need(list(a) == ["aud", "log", "operator", "rp_id", "wallet_origin"] and expected in (None, a), "anchors")  # 2
    aud = a["aud"]

    # 3 and 5a: what records show, and that they follow one another.
    offset = 2 + len(devices_shown) if delegated else 1
    keys = offset + len(b["passkeys"])
    need(len(b["records"]) > keys, "records: too few")
    told = [shown(r, n >= keys) for n, r in enumerate(b["records"])]
    for n in range(keys + 1, len(told)):
        follows = int(told[n]["chain_seq"]) == int(told[n - 1]["chain_seq"]) + 1
        follows &= told[n]["chain_prev"] == b64(sha(un64(b["records"][n - 1]["bytes"])))
        need(follows and b["records"][n]["index"] > b["records"][n - 1]["index"], "records: a gap in the chain")
    events = [t for t in told[keys:] if "kind" in t]
    first = events[0]
    need(told[keys] is first and first["kind"] == "grant_accepted", "records: the acceptance is not the first")
    at = first["s"]

    # 4: every message is named by its record, and every record names a message.
    def is_named(text):
        return b64(sha(text))

    named = [("key_added", [is_named(b["keys"])])]
    if delegated:
        named += [("carrier_admitted", [told[1].get("carrier"), is_named(b["carrier"])])]
    named += [("device_enrolled", [told[2 + n].get("device"), is_named(d["device"]), is_named(d["depot"])]) for n, d in enumerate(devices_shown)]
    named += [("passkey_added", [told[offset + n].get("key"), b64(sha(un64(p["statement"]))), is_named(compact(p["assertion"]))])
              for n, p in enumerate(b["passkeys"])]
    for t, (kind, values) in zip(told, named):
        need(t["kind"] == kind and [t[f] for f in FIELDS[kind].split()] == values, f"{kind}: names another message")
    need((first["grant"], first["assertion"]) == (is_named(b["grant"]), is_named(compact(b["assertion"]))), "grant_accepted")
    accepted = [e for e in events if e["kind"] == "delegation_accepted"]
    need([e["delegation"] for e in accepted] == [is_named(d) for d in delegations], "delegations")
    need(all(e["cert"] == is_named(b["delegation_cert"]) for e in accepted), "delegation's certificate")
    proofs = list(dict.fromkeys(e["proof"] for e in events if e["kind"] in ACTIONS))
    need(proofs == [is_named(p) for p in b["proofs"]], "proofs")

    # 5b and 5c: the log.
    size, root = checkpoint(b["checkpoint"], a["log"])
    entries = [sha("psh-record-v1\0", un64(r["bytes"])) for r in b["records"]]
    for r, entry in zip(b["records"], entries):
        need(type(r["index"]) is int, "record: index")
        included(sha(b"\0", entry), r["index"], size, [un64(h) for h in r["inclusion"]], root)

    # 6: signatures, from the anchors down.
    log_key = {"kty": "OKP", "crv": "Ed25519", "x": b64(base64.b64decode(a["log"].split("+", 2)[2])[1:])}
    published, _ = message(b["keys"], "psh-keys+jwt", log_key)
    posted(published, at, "keys")
    mine = (published["iss"], published["log"], published["rp_id"], published["wallet_origin"])
    need(mine == (aud, a["log"], a["rp_id"], a["wallet_origin"]), "keys: other anchors")
    answer, _ = message(b["accepted"], "psh-accepted+jwt", published["message"])
    if delegated:
        carrier = cert(b["carrier"], a["operator"], "carrier", aud, at)
        delegating = cert(b["delegation_cert"], carrier["jwk"], "delegation", aud, at)
        whose = carrier["sub"]
    else:
        whose = json.loads(un64(b["grant"].split(".")[1]))["cnf"]["jkt"]
    need((answer["iss"], answer["aud"], answer["cnf"]["jkt"]) == (aud, whose, whose), "acceptance")
    devices = {}
    for d, t in zip(devices_shown, told[2:]):
        depot = cert(d["depot"], carrier["jwk"], "depot", aud, at)
        device = cert(d["device"], depot["jwk"], "device", aud, None)
        need(t["device"] == device["sub"], "device_enrolled: another device")
        devices[device["sub"]] = device
    passkeys = {}
    for n, p in enumerate(b["passkeys"]):
        said = json.loads(un64(p["statement"]))
        need(said["typ"] == ("passkey" if n else "wallet") and said["aud"] == aud, "statement")
        passkeys = passkeys or {said["credential_id"]: said["jwk"]}
        confirmed(p["assertion"], sha("psh-statement-v1\0", un64(p["statement"])), passkeys[p["assertion"]["credential_id"]], a)
        passkeys[said["credential_id"]] = said["jwk"]
        need(told[offset + n]["key"] == thumb(said["jwk"]), "passkey_added: another key")
        last = said
    if delegated:
        request, _ = message(b["request"], "psh-request+jwt", delegating["jwk"])
        posted(request, at, "request")
        need((request["iss"], request["aud"]) == (carrier["sub"], aud), "request")
    grant, grant_key = message(b["grant"], "psh-grant+jwt")
    posted(grant, at, "grant")
    need((grant["iss"], grant["aud"], grant["uses"]) == (thumb(grant_key), aud, 1), "grant")
    need(b["assertion"]["credential_id"] == last["credential_id"], "grant: confirmed by another passkey")
    confirmed(b["assertion"], sha("psh-grant-v1\0", b["grant"]), last["jwk"], a)
    need(grant["cnf"]["jkt"] == whose, "grant: for somebody else")
    need((grant["purpose"] in ("delivery", "pickup", "service")) == delegated, "grant: a carrier too many or too few")
    delivery = request["delivery"] if delegated else grant.get("delivery", answer["delivery"])
    if "request" in grant:
        need((grant["request"], grant["delivery"], grant["purpose"]) == (is_named(b["request"]), request["delivery"], request["purpose"]), "grant: another request")
        need(request["window"]["nbf"] <= grant["nbf"] and grant["exp"] <= request["window"]["exp"], "grant: widens the request")
    elif delegated:  # a standing rule, and what was announced under it
        need(request["merchant"]["id"] in grant["merchants"] and grant["purpose"] == request["purpose"], "grant: another merchant")
        need(grant["nbf"] <= request["window"]["nbf"] and request["window"]["exp"] <= grant["exp"], "request: outside the rule")
        need(request["window"]["nbf"] <= answer["nbf"] and answer["exp"] <= request["window"]["exp"], "acceptance: widens the request")
    need((answer["grant"], answer["delivery"]) == (is_named(b["grant"]), delivery), "acceptance: another grant")
    narrows(answer, grant, "acceptance")
    need(un64(answer["leaf"]) == entries[keys], "acceptance: another leaf")
    links = {}
    for d in delegations:
        link, _ = message(d, "psh-delegation+jwt", delegating["jwk"])
        right = (link["iss"], link["aud"], link["par"], link["delivery"]) == (carrier["sub"], aud, is_named(b["grant"]), request["delivery"])
        need(right and link["cnf"]["jkt"] in devices, "delegation")
        narrows(link, answer, "delegation")
        labels = {(i["kind"], i["label"]) for i in request["items"]}
        need({("put", h) for h in link["put"]} | {("take", h) for h in link["take"]} <= labels, "delegation: other labels")
        links[is_named(d)] = link
    need({link["cnf"]["jkt"] for link in links.values()} == set(devices), "a device that nothing was delegated to")
    need(first["access_point"] == grant["access_point"], "records: another access point")
    need(not delegated or told[1]["carrier"] == carrier["sub"], "records: another carrier")
    need(all(e.get("delivery", delivery) == delivery for e in events), "records: another delivery")

    # 6l: each record that names a proof.
    known, by_hash = {}, {is_named(p): p for p in b["proofs"]}
    if not delegated:  # the device that the grant names acts by the grant, for as long as was accepted
        known[is_named(b["grant"])] = {**grant, "nbf": answer["nbf"], "exp": answer["exp"]}
    for e in events:
        if e["kind"] == "delegation_accepted":
            link = known[e["delegation"]] = links[e["delegation"]]
            posted(link, e["s"], "delegation")
            need(e["device"] == link["cnf"]["jkt"], "delegation_accepted: another device")
        if e["kind"] not in ACTIONS:
            continue
        proof, device_key = message(by_hash[e["proof"]], "dpop+jwt")
        need(proof["ath"] in known and proof["act"] == ACTIONS[e["kind"]], "proof: for something else")
        link = known[proof["ath"]]
        if delegated:
            need(device_key == devices[link["cnf"]["jkt"]]["jwk"], "proof: another device")
        else:
            need(b64(sha("psh-device-v1\0", un64(thumb(device_key)), un64(grant["seal"]))) == whose, "proof: another device")
        if e["kind"] == "open_intended":
            for window in (grant, link):
                need(window["iat"] <= e["s"] + 60 and window["nbf"] <= e["s"] < window["exp"], "opened outside the window")

    # 7: sense.
    intended, decided, spent, openings, lock = [], [], set(), 0, None
    for e in events[1:]:
        kind, this = e["kind"], (e.get("attempt"), e.get("command"))
        need(kind not in ("grant_accepted", "key_added", "carrier_admitted", "device_enrolled", "passkey_added"), "sense: kind")
        if kind == "open_intended":
            need(str(1 + sum(i[0] == this[0] for i in intended)) == this[1], "sense: command")
            intended.append(this)
            lock = None
        elif kind == "outcome":
            need(this in intended and this not in decided, "sense: outcome")
            decided.append(this)
            openings += e["outcome"] == "opened"
            if not e["outcome"].startswith("did_not_happen:"):
                spent.add(this[0])
        elif kind in ("locked", "lock_intended", "alarm", "alarm_acknowledged", "joined"):
            need(any(i[0] == this[0] for i in intended), "sense: attempt")
            lock = e.get("lock_proof", lock)
    need(len(decided) == len(intended) and len(spent) <= 1, "sense: an outcome too few, or a use too many")
    return {"holds": True, "anchors": a, "carrier": carrier["name"] if delegated else None, "openings": openings, "lock_proof": lock, "log_size": size}


def main(arguments):
    expected = None
    if arguments[:1] == ["--anchors"]:
        with open(arguments[1], "rb") as file:
            expected = json.load(file)
        arguments = arguments[2:]
    all_hold = True
    for path in arguments:
        try:
            with open(path, "rb") as file:
                verdict = verify(file.read(), expected)
        except Exception as why:  # whatever cannot be read, or does not hold
            all_hold, verdict = False, {"holds": False, "why": f"{type(why).__name__}: {why}"}
        print(json.dumps({"file": path, **verdict}))
    return 0 if all_hold else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
