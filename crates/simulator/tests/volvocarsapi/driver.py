"""Drives a simulated cloud with the package volvocarsapi, as somebody who knows nothing of us would.

Arguments: the simulator's address, the VIN. Prints one JSON object with what the package made of the answers. The package
has the maker's addresses built in: the session below sends the same requests to the simulator instead.
"""

import asyncio
import json
import sys
from urllib.parse import parse_qs, urlparse

import aiohttp
from volvocarsapi.api import VolvoCarsApi
from volvocarsapi.auth import VolvoCarsAuth
from volvocarsapi.scopes import DEFAULT_SCOPES, RestrictedScope
from yarl import URL

BASE, VIN = sys.argv[1], sys.argv[2]


class Redirected:
    """A session whose requests keep path, query, headers and body, and go to the simulator."""

    def __init__(self, session):
        self.session = session

    def request(self, method, url, **arguments):
        return self.session.request(method, elsewhere(url), **arguments)


def elsewhere(url):
    there = URL(BASE)
    return URL(url).with_scheme(there.scheme).with_host(there.host).with_port(there.port)


async def hand(session, action):
    async with session.post(f"{BASE}/__sim/cars/{VIN}/hand", json={"action": action}) as answer:
        return answer.status


async def code_of(session, address):
    """The owner logs in at the maker and is sent back with a code."""
    async with session.get(
        elsewhere(address).update_query(login_hint="alex@example.org"), allow_redirects=False
    ) as answer:
        back = urlparse(answer.headers["Location"])
        query = parse_qs(back.query)
        assert query["state"] == ["a-state"], query
        return query["code"][0]


def values(fields):
    return {name: field.value for name, field in fields.items() if field is not None}


async def main():
    told = {}
    async with aiohttp.ClientSession() as session:
        redirected = Redirected(session)
        auth = VolvoCarsAuth(
            redirected,
            client_id="parcelshelf-demo",
            client_secret="simulated-client-secret",
            scopes=DEFAULT_SCOPES + [scope.value for scope in RestrictedScope],
            redirect_uri="http://localhost/back",
        )
        code = await code_of(session, auth.get_auth_uri("a-state"))
        token = await auth.async_request_token(code)
        api = VolvoCarsApi(redirected, auth, "simulated-vcc-api-key-0123456789", VIN)

        told["vehicles"] = await api.async_get_vehicles()
        details = await api.async_get_vehicle_details()
        told["model_year"] = details.model_year
        told["commands"] = sorted(c.command for c in await api.async_get_commands() if c)
        told["accessibility"] = values(await api.async_get_command_accessibility())
        told["doors_before"] = values(await api.async_get_doors_status())
        location = (await api.async_get_location())["location"]
        told["longitude"], told["latitude"] = location.geometry.coordinates[:2]

        unlocked = await api.async_execute_command("unlock")
        told["unlock"] = unlocked.invoke_status
        told["hand_opens"] = await hand(session, "open_tailgate")
        told["doors_open"] = values(await api.async_get_doors_status())
        told["hand_shuts"] = await hand(session, "close_tailgate")
        locked = await api.async_execute_command("lock")
        told["lock"] = locked.invoke_status
        told["doors_after"] = values(await api.async_get_doors_status())

        fresh = await auth.async_refresh_token(token.refresh_token)
        told["refreshed"] = fresh.access_token != token.access_token and fresh.refresh_token != token.refresh_token
        told["vehicles_again"] = await api.async_get_vehicles()
    print(json.dumps(told))


asyncio.run(main())
