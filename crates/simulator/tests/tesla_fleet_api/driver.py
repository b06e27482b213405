"""Drives a simulated cloud with a client package that strangers wrote for the real one.

Run by `tesla_fleet_api.rs` as a process of its own: `driver.py BASE OWNER CLIENT_ID SECRET KEY`, where BASE is the simulator's
address and KEY the file of the command key. Prints one JSON object with what it saw; any surprise is an exception, so the
exit code is not 0.

The package knows the maker's addresses by heart, in two dictionaries that it shares; both are pointed at BASE before anything is
asked, so nothing here can reach a real cloud. Nothing else of the package is changed. Its own errors derive from BaseException.
"""

import asyncio
import json
import sys
import urllib.parse

import aiohttp
from tesla_fleet_api import TeslaFleetOAuth, const, exceptions
from tesla_fleet_api.const import Method, Scope

BACK = "http://localhost/callback"


async def play(base: str, owner: str, client_id: str, secret: str, key: str) -> dict:
    for region in list(const.SERVERS):
        const.SERVERS[region] = base
        const.TOKEN_URLS[region] = f"{base}/oauth2/v3/token"
    saw: dict = {}
    async with aiohttp.ClientSession() as http:

        async def control(method: str, path: str, body: dict | None = None) -> tuple[int, dict]:
            async with http.request(method, f"{base}/__sim{path}", json=body) as answer:
                return answer.status, await answer.json()

        async def hand(vin: str, action: str) -> int:
            return (await control("POST", f"/cars/{vin}/hand", {"action": action}))[0]

        async def lid(vin: str) -> str:
            return (await control("GET", f"/cars/{vin}"))[1]["closures"]["trunk"]["value"]

        # The owner in a browser; the package makes the address.
        api = TeslaFleetOAuth(http, "eu", client_id, client_secret=secret, redirect_uri=BACK)
        scopes = [Scope.OPENID, Scope.OFFLINE_ACCESS, Scope.VEHICLE_DEVICE_DATA, Scope.VEHICLE_LOCATION, Scope.VEHICLE_CMDS]
        login = urllib.parse.urlsplit(api.get_login_url(scopes, "state-1"))
        address = f"{base}{login.path}?{login.query}&login_hint={urllib.parse.quote(owner)}"
        async with http.get(address, allow_redirects=False) as answer:
            back = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(answer.headers["location"]).query))
        saw["state"], saw["region"] = back["state"], back["code"].split("_")[0]
        await api.get_refresh_token(back["code"])
        first = api.refresh_token

        # Two cars of this owner: one that takes plain commands, one that takes signed ones only.
        cars = {car["vin"]: car for car in (await control("GET", "/cars"))[1]["cars"]}
        plain_vin = next(vin for vin, car in cars.items() if not car["signed"])
        signed_vin = next(vin for vin, car in cars.items() if car["signed"])
        listed = (await api._request(Method.GET, "api/1/vehicles"))["response"]
        saw["listed"] = sorted(car["vin"] for car in listed) == sorted(cars)
        plain = api.vehicles.createFleet(plain_vin)
        status = (await plain.fleet_status([plain_vin, signed_vin]))["response"]
        saw["needs_signing"] = [
            status["vehicle_info"][vin]["vehicle_command_protocol_required"] for vin in (plain_vin, signed_vin)
        ]
        saw["paired"] = sorted(status["key_paired_vins"]) == sorted(cars)

        # Asleep: told as such, woken by the package's own waiting.
        await hand(plain_vin, "sleep")
        try:
            await plain.vehicle_data(["vehicle_state"])
            saw["asleep"] = "not noticed"
        except exceptions.VehicleOffline:
            saw["asleep"] = "VehicleOffline"
        saw["woken"] = (await plain.wake_up(wait=True))["response"]["state"]

        data = (await plain.vehicle_data(["location_data", "drive_state", "vehicle_state", "vehicle_config"]))["response"]
        drive = data["drive_state"]
        saw["place"] = [drive["latitude"], drive["longitude"]]
        saw["fix_in_seconds"] = abs(drive["gps_as_of"] - drive["timestamp"] / 1000) < 60
        saw["car_type"] = data["vehicle_config"]["car_type"]
        without = (await plain.vehicle_data(["drive_state"]))["response"]["drive_state"]
        saw["place_unasked"] = "latitude" in without

        async def delivery(car, vin: str) -> dict:
            told: dict = {"hand_before": await hand(vin, "open_trunk")}
            told["open"] = (await car.actuate_trunk("rear"))["response"]["result"]
            told["lid_after_open"] = await lid(vin)
            try:
                told["lock_while_open"] = (await car.door_lock())["response"]["result"]
            except BaseException as refused:  # noqa: BLE001: the package's errors derive from it
                told["lock_while_open"] = type(refused).__name__
            told["toggled"] = (await car.actuate_trunk("rear"))["response"]["result"]
            told["lid_after_toggle"] = await lid(vin)
            told["lock"] = (await car.door_lock())["response"]["result"]
            told["flash"] = (await car.flash_lights())["response"]["result"]
            told["hand_after"] = await hand(vin, "open_trunk")
            return told

        saw["plain"] = await delivery(plain, plain_vin)
        try:
            await api.vehicles.createFleet(signed_vin).door_lock()
            saw["plain_to_signed"] = "taken"
        except exceptions.TeslaFleetError as refused:
            saw["plain_to_signed"] = refused.status
        await api.get_private_key(key)
        signed = api.vehicles.createSigned(signed_vin)
        saw["signed"] = await delivery(signed, signed_vin)
        saw["front"] = (await signed.actuate_trunk("front"))["response"]["result"]
        # The car's computer starts again: the package is told, takes the new session and signs anew by itself.
        await control("POST", f"/cars/{signed_vin}/restart", {})
        saw["after_restart"] = (await signed.door_unlock())["response"]["result"]

        # Refresh tokens are used once.
        await api.refresh_access_token()
        saw["refreshed"] = api.refresh_token != first
        saw["works_after_refresh"] = len((await api._request(Method.GET, "api/1/vehicles"))["response"])
        api.refresh_token = first
        try:
            await api.refresh_access_token()
            saw["old_refresh_token"] = "taken"
        except ValueError as refused:
            saw["old_refresh_token"] = refused.args[0]["error"]
    return saw


print(json.dumps(asyncio.run(play(*sys.argv[1:]))))
