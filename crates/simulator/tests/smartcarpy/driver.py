"""Drives a simulated cloud with the client package that others wrote for the real one.

Run by `smartcarpy.rs` as a process of its own: `driver.py BASE OWNER`, where BASE is the simulator's address. Prints one JSON
object with what it saw; any surprise is an exception, so the exit code is not 0.

The package takes the vendor's addresses from its environment, which is set here before it is imported; anything that is
missing there would lead to the real cloud, so a hook refuses every other address. Nothing of the package is changed. A
person's part of the consent page is the simulator's `login_hint`.
"""

import json
import os
import sys
import urllib.parse

PERMISSIONS = ["read_vehicle_info", "read_vin", "read_location", "read_security", "control_security"]
CLIENT_ID = "parcelshelf-demo"
CLIENT_SECRET = "simulated-client-secret"
BACK = "http://localhost/callback"


def point_at(base: str) -> None:
    os.environ.update(
        SMARTCAR_API_ORIGIN=base,
        SMARTCAR_AUTH_ORIGIN=base + "/oauth/token",  # with the path
        SMARTCAR_CONNECT_ORIGIN=base,
        SMARTCAR_MANAGEMENT_API_ORIGIN=base,
        SMARTCAR_VEHICLE_API_V3_ORIGIN=base,
        SMARTCAR_CLIENT_ID=CLIENT_ID,
        SMARTCAR_CLIENT_SECRET=CLIENT_SECRET,
        NO_PROXY="*",
    )


def play(base: str, owner: str) -> dict:
    point_at(base)
    import requests
    import smartcar
    import smartcar.smartcar  # what the package itself forgets to export

    own = requests.sessions.Session.send

    def send(session, request, **options):
        if not request.url.startswith(base + "/"):
            raise RuntimeError("not an address of the simulator")
        return own(session, request, **options)

    requests.sessions.Session.send = send

    def hand(action: str) -> int:
        body = {"action": action}
        return requests.post(f"{base}/__sim/cars/{vin}/hand", json=body, timeout=10).status_code

    def fault(command: str, name: str) -> None:
        body = {"command": command, "fault": name}
        requests.post(f"{base}/__sim/cars/{vin}/faults", json=body, timeout=10).raise_for_status()

    def error_of(call) -> list:
        try:
            call()
        except smartcar.SmartcarException as told:
            return [told.status_code, told.type, told.code, getattr(told, "retry_after", None)]
        return ["works"]

    # Consent: the owner's browser, then the package's own exchange and refresh.
    client = smartcar.AuthClient(CLIENT_ID, CLIENT_SECRET, BACK, mode="test")
    address = client.get_auth_url(PERMISSIONS, {"state": "x", "force_prompt": True}) + "&login_hint=" + owner
    answer = requests.get(address, allow_redirects=False, timeout=10)
    back = urllib.parse.parse_qs(urllib.parse.urlsplit(answer.headers["location"]).query)
    first = client.exchange_code(back["code"][0])
    second = client.exchange_refresh_token(first.refresh_token)
    try:
        client.exchange_refresh_token(first.refresh_token)
        stale = ["works"]
    except smartcar.SmartcarException as told:
        stale = [told.status_code, told.type]
    token = second.access_token

    user = smartcar.get_user(token)
    listed = smartcar.get_vehicles(token)
    vehicle = smartcar.Vehicle(listed.vehicles[0], token)
    vin = vehicle.vin().vin
    attributes = vehicle.attributes()
    permissions = vehicle.permissions()
    capable = smartcar.get_compatibility(vin, ["control_security"], "SE")
    location = vehicle.location()
    before = vehicle.lock_status()

    forced = hand("open_tailgate")
    unlocked = vehicle.unlock()
    opened = hand("open_tailgate")
    while_open = vehicle.lock_status()
    refused = error_of(vehicle.lock)
    shut = hand("close_tailgate")
    locked = vehicle.lock()
    forced_again = hand("open_tailgate")
    after = vehicle.lock_status()

    # Accepted, and nothing moves.
    fault("unlock", "success_not_acted")
    taken = vehicle.unlock().status
    forced_when_only_taken = hand("open_tailgate")

    fault("unlock", "no_response")
    silent = error_of(vehicle.unlock)
    fault("security", "rate_limit")
    limited = error_of(vehicle.lock_status)
    fault("lock", "vehicle_request_limit")
    billed = error_of(vehicle.lock)
    fault("lock", "503")
    down = error_of(vehicle.lock)
    hand("sleep")
    asleep = error_of(vehicle.unlock)
    hand("wake")

    batch = vehicle.batch(["/vin", "/security", "/odometer"])
    v3 = smartcar.smartcar.get_vehicle(token, listed.vehicles[0])["body"]["data"]
    signals = vehicle.get_signals()["body"]["data"]
    signal = vehicle.get_signal("location-preciselocation")["body"]

    car = requests.get(f"{base}/__sim/cars/{vin}", timeout=10).json()
    gone = vehicle.disconnect().status
    after_the_end = error_of(vehicle.lock)
    return {
        "rotated": second.refresh_token != first.refresh_token,
        "stale_refresh": stale,
        "count": listed.paging.count,
        "user": len(user.id),
        "vin": vin,
        "attributes": [attributes.make, attributes.model, attributes.year],
        "permissions": sorted(permissions.permissions),
        "capable": [capable.compatible, capable.capabilities[0].capable],
        "location": [location.latitude, location.longitude],
        "location_has_an_age": location.meta.data_age is not None,
        "before": [before.is_locked, [s["status"] for s in before.storage]],
        "hand_before_unlock": forced,
        "unlock": [unlocked.status, unlocked.message],
        "hand_after_unlock": opened,
        "while_open": [while_open.is_locked, [s["status"] for s in while_open.storage]],
        "lock_while_open": refused,
        "hand_closes": shut,
        "lock": locked.status,
        "hand_after_lock": forced_again,
        "after": [after.is_locked, [d["status"] for d in after.doors]],
        "only_taken": [taken, forced_when_only_taken],
        "no_response": silent,
        "rate_limit": limited,
        "billing": billed,
        "down": down,
        "asleep": asleep,
        "batch": [batch.vin().vin, batch.lock_status().is_locked, error_of(batch.odometer)[:2]],
        "v3": [v3["id"] == listed.vehicles[0], v3["attributes"]["make"]],
        "signals": sorted(s["attributes"]["code"] for s in signals),
        "signal": [signal["attributes"]["body"]["latitude"], isinstance(signal["meta"]["oemUpdatedAt"], int)],
        "disconnected": [gone, after_the_end[:2]],
        "car": car,
    }


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    print(json.dumps(play(sys.argv[1], sys.argv[2])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
