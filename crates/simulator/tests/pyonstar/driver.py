"""Drives a simulated cloud with a client package that strangers wrote for the real one.

Run by `pyonstar.rs` as a process of its own, with TZ=UTC: `driver.py BASE OWNER FOLDER`, where BASE is the simulator's
address and FOLDER an empty folder for the tokens that the package keeps. Prints one JSON object with what it saw; any
surprise is an exception, so the exit code is not 0.

The package knows the maker's addresses by heart. `Redirected` sends what is meant for those to BASE and refuses every other
address, so nothing here can reach a real cloud. Nothing of the package is changed. A person's part of the login (password,
second factor) is the simulator's `login_hint`; refreshing and exchanging tokens is the package's own.
"""

import asyncio
import base64
import hashlib
import json
import pathlib
import sys
import urllib.parse

import httpx
import pyonstar
from pyonstar.auth import constants

MAKERS_HOSTS = {"na-mobile-api.gm.com", "custlogin.gm.com"}
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


class Redirected(httpx.AsyncBaseTransport):
    """The network, with the maker's hosts replaced."""

    def __init__(self, address: str) -> None:
        self._inner = httpx.AsyncHTTPTransport()
        self._base = httpx.URL(address)
        self.paths: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        if url.scheme == "https" and url.host in MAKERS_HOSTS:
            url = url.copy_with(scheme=self._base.scheme, host=self._base.host, port=self._base.port)
            request.headers["host"] = url.netloc.decode()
        elif (url.host, url.port) != (self._base.host, self._base.port):
            raise RuntimeError(f"not an address of the maker: {url.scheme}://{url.host}")
        request.url = url
        self.paths.append(f"{request.method} {url.path}")
        return await self._inner.handle_async_request(request)


async def log_in(http: httpx.AsyncClient, owner: str) -> dict:
    """Plays the owner in the browser of the app, and keeps what the app would keep."""
    found = (await http.get(constants.DISCOVERY_URL)).raise_for_status().json()
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "client_id": constants.CLIENT_ID,
        "response_type": "code",
        "redirect_uri": constants.AUTH_REDIRECT_URI,
        "scope": constants.SCOPE_STRING,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "state": "its-me",
        "login_hint": owner,
    }
    answer = await http.get(found["authorization_endpoint"], params=asked)
    address, _, query = answer.headers["location"].partition("?")
    back = dict(urllib.parse.parse_qsl(query))
    if address != constants.AUTH_REDIRECT_URI or back.get("state") != "its-me":
        raise RuntimeError("login sent the browser somewhere else")
    form = {
        "grant_type": "authorization_code",
        "client_id": constants.CLIENT_ID,
        "code": back["code"],
        "redirect_uri": constants.AUTH_REDIRECT_URI,
        "code_verifier": VERIFIER,
    }
    return (await http.post(found["token_endpoint"], data=form)).raise_for_status().json()


async def play(address: str, owner: str, folder: pathlib.Path) -> dict:
    maker = Redirected(address)
    async with httpx.AsyncClient(transport=maker, timeout=20) as http, httpx.AsyncClient() as hands:
        control = f"{address}/__sim/cars"
        vin = (await hands.get(control)).raise_for_status().json()["cars"][0]["vin"]

        async def hand(action: str) -> int:
            return (await hands.post(f"{control}/{vin}/hand", json={"action": action})).status_code

        first = await log_in(http, owner)
        # Kept as if long ago: the package refreshes it, exchanges the result, and keeps both.
        kept = {**first, "expires_at": 1}
        (folder / "microsoft_tokens.json").write_text(json.dumps(kept))
        onstar = pyonstar.OnStar(
            username=owner,
            password="unused",
            device_id="11111111-2222-4333-8444-555555555555",
            vin=vin,
            onstar_pin="0000",
            totp_secret="JBSWY3DPEHPK3PXP",
            token_location=str(folder),
            request_polling_interval_seconds=0.1,
            http_client=http,
        )
        account = await onstar.get_account_vehicles()
        vehicle = account["vehicles"]["vehicle"][0]
        location = (await onstar.location())["commandResponse"]

        forced = await hand("open_trunk")
        unlocked = (await onstar.unlock_trunk())["commandResponse"]
        opened = await hand("open_trunk")
        try:
            await onstar.lock_trunk()
            while_open = "works"
        except RuntimeError as refused:
            while_open = str(refused).split(":")[0]
        shut = await hand("close_trunk")
        locked = (await onstar.lock_trunk())["commandResponse"]
        forced_again = await hand("open_trunk")
        doors = [(await command())["commandResponse"]["status"] for command in (onstar.unlock_door, onstar.lock_door)]
        alert = (await onstar.alert())["commandResponse"]["status"]

        again = {"grant_type": "refresh_token", "client_id": constants.CLIENT_ID, "refresh_token": first["refresh_token"]}
        old = await http.post(constants.FALLBACK_TOKEN_ENDPOINT, data=again)
        kept_now = json.loads((folder / "microsoft_tokens.json").read_text())
        return {
            "vin": vehicle["vin"],
            "size": account["vehicles"]["size"],
            "make": vehicle["make"],
            "year": vehicle["year"],
            "available": sorted(onstar._available_commands),
            "location": location["body"]["location"],
            "hand_before_unlock": forced,
            "unlock": {"status": unlocked["status"], "type": unlocked["type"]},
            "hand_after_unlock": opened,
            "lock_while_open": while_open,
            "hand_closes": shut,
            "lock": locked["status"],
            "hand_after_lock": forced_again,
            "doors": doors,
            "alert": alert,
            "refreshed_and_rotated": kept_now["refresh_token"] != first["refresh_token"],
            "exchanged": (folder / "gm_tokens.json").exists(),
            "old_refresh_token": [old.status_code, old.json()["error"], "AADB2C90080" in old.text],
            "polled": sum("/requests/" in path for path in maker.paths),
            "car": (await hands.get(f"{control}/{vin}")).json(),
        }


def main() -> int:
    if len(sys.argv) != 4:
        print(__doc__, file=sys.stderr)
        return 2
    print(json.dumps(asyncio.run(play(sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
