"""Drives a simulated cloud with a client package that strangers wrote for the real one.

Run by `volvocarsapi.rs` as a process of its own: `driver.py BASE OWNER CLIENT_ID CLIENT_SECRET VCC_API_KEY`, where BASE is
the simulator's address. Prints one JSON object with what it saw; any surprise is an exception, so the exit code is not 0.

The package knows the maker's addresses by heart. `Redirected` sends what is meant for those to BASE and refuses every other
address, so nothing here can reach a real cloud. Nothing of the package is changed.
"""

import asyncio
import json
import sys

import aiohttp
from yarl import URL

from volvocarsapi.api import VolvoCarsApi
from volvocarsapi.auth import VolvoCarsAuth
from volvocarsapi.models import VolvoAuthException

MAKERS_HOSTS = {"api.volvocars.com", "volvoid.eu.volvocars.com"}
RETURN_ADDRESS = "http://localhost/callback"
SCOPES = [
    "openid",
    "conve:vehicle_relation",
    "conve:commands",
    "conve:command_accessibility",
    "conve:doors_status",
    "conve:lock_status",
    "conve:windows_status",
    "conve:lock",
    "conve:unlock",
    "location:read",
]


class Redirected:
    """What the package uses of a session, with the maker's hosts replaced."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self._base = URL(base)
        self.paths: list[str] = []

    def here(self, address: str) -> URL:
        url = URL(address)
        if url.scheme != "https" or url.host not in MAKERS_HOSTS:
            raise RuntimeError(f"not an address of the maker: {url.scheme}://{url.host}")
        self.paths.append(url.path)
        return url.with_scheme(self._base.scheme).with_host(self._base.host).with_port(self._base.port)

    def request(self, method: str, address: str, **rest):
        return self._session.request(method, self.here(address), **rest)

    def get(self, address: str, **rest):
        return self.request("GET", address, **rest)


class ControlPath:
    """Hands at the car, and what the car really is."""

    def __init__(self, session: aiohttp.ClientSession, base: str, vin: str) -> None:
        self._session = session
        self._car = URL(base) / "__sim" / "cars" / vin

    async def hand(self, action: str) -> int:
        async with self._session.post(self._car / "hand", json={"action": action}) as answer:
            return answer.status

    async def car(self) -> dict:
        async with self._session.get(self._car) as answer:
            answer.raise_for_status()
            return await answer.json()


async def log_in(auth: VolvoCarsAuth, maker: Redirected, session: aiohttp.ClientSession, owner: str) -> None:
    """Plays the owner in the browser: opens the address that the package made, is sent back with a code."""
    page = maker.here(auth.get_auth_uri(state="its-me")).update_query(login_hint=owner)
    async with session.get(page, allow_redirects=False) as answer:
        if answer.status != 302:
            raise RuntimeError(f"login answered {answer.status}")
        back = URL(answer.headers["Location"])
    if not str(back).startswith(RETURN_ADDRESS + "?") or back.query.get("state") != "its-me":
        raise RuntimeError("login sent the browser somewhere else")
    await auth.async_request_token(back.query["code"])


async def play(base: str, owner: str, client_id: str, client_secret: str, api_key: str) -> dict:
    async with aiohttp.ClientSession() as session:
        maker = Redirected(session, base)
        auth = VolvoCarsAuth(
            maker, client_id=client_id, client_secret=client_secret, scopes=SCOPES, redirect_uri=RETURN_ADDRESS
        )
        await log_in(auth, maker, session, owner)
        first = auth.token
        api = VolvoCarsApi(maker, auth, api_key)

        vins = await api.async_get_vehicles()
        api.vin = vins[0]
        there = ControlPath(session, base, api.vin)

        details = await api.async_get_vehicle_details()
        commands = await api.async_get_commands()
        accessible = await api.async_get_command_accessibility()
        windows = await api.async_get_window_states()
        location = (await api.async_get_location())["location"]

        async def doors() -> dict:
            return {name: field.value for name, field in (await api.async_get_doors_status()).items()}

        at_first = await doors()
        forced = await there.hand("open_tailgate")

        unlocked = await api.async_execute_command("unlock")
        opened = await there.hand("open_tailgate")
        while_open = await doors()
        while_open_lock = await api.async_execute_command("lock")
        shut = await there.hand("close_tailgate")

        locked = await api.async_execute_command("lock")
        at_last = await doors()
        forced_again = await there.hand("open_tailgate")

        second = await auth.async_refresh_token(first.refresh_token)
        after_refresh = await api.async_get_vehicles()
        try:
            await auth.async_refresh_token(first.refresh_token)
            old_token = "works"
        except VolvoAuthException:
            old_token = "refused"

        api.api_key = "not-the-key"
        try:
            await api.async_get_vehicles()
            wrong_key = "works"
        except VolvoAuthException as refused:
            wrong_key = refused.message

        return {
            "vins": vins,
            "details": {
                "model": details.description.model,
                "model_year": details.model_year,
                "colour": details.external_colour,
                "combustion": details.has_combustion_engine(),
            },
            "commands": sorted(command.command for command in commands),
            "accessible": accessible["availabilityStatus"].value,
            "accessible_has_time": accessible["availabilityStatus"].timestamp is not None,
            "windows": sorted({field.value for field in windows.values()}),
            "location": location.geometry.coordinates,
            "location_type": location.type,
            "location_since": location.properties.timestamp.isoformat(),
            "doors_at_first": at_first,
            "hand_before_unlock": forced,
            "unlock": {
                "word": unlocked.invoke_status,
                "ready": unlocked.get("ready_to_unlock"),
                "ready_until": unlocked.get("ready_to_unlock_until"),
            },
            "hand_after_unlock": opened,
            "tailgate_after_unlock": while_open["tailgate"],
            "lock_while_open": while_open_lock.invoke_status,
            "hand_closes": shut,
            "lock": locked.invoke_status,
            "doors_at_last": at_last,
            "hand_after_lock": forced_again,
            "access_token_changed": second.access_token != first.access_token,
            "refresh_token_changed": second.refresh_token != first.refresh_token,
            "works_after_refresh": after_refresh == vins,
            "old_refresh_token": old_token,
            "wrong_key": wrong_key,
            "expires_in": first.expires_in,
            "car": await there.car(),
            "paths": sorted(set(path.replace(api.vin, "VIN") for path in maker.paths)),
        }


def main() -> int:
    if len(sys.argv) != 6:
        print(__doc__, file=sys.stderr)
        return 2
    print(json.dumps(asyncio.run(play(*sys.argv[1:]))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
