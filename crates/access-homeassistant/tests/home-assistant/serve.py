"""Starts a real Home Assistant for the tests and sets it up the way a person would, through its own interface.

Runs in the server's own interpreter: `serve.py CARS`. Prints one line of JSON when everything is there, and stops the
server when its standard input ends, which it does however the test ends.
"""

import asyncio
import json
import pathlib
import socket
import sys
import tempfile

import aiohttp
from PIL import Image

HERE = pathlib.Path(__file__).parent
READY_S = 120


def write_configuration(folder, cars):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "packages").mkdir()
    configuration = (HERE / "configuration.yaml").read_text()
    (folder / "configuration.yaml").write_text(configuration.replace("PORT", str(port)))
    car = (HERE / "car.yaml").read_text()
    for n in range(cars):
        (folder / "packages" / f"car_{n}.yaml").write_text(car.replace("NAME", f"car_{n}"))
    hall = (HERE / "hall.yaml").read_text()
    (folder / "packages" / "hall.yaml").write_text(hall.replace("FOLDER", str(folder)))
    for state, grey in [("off", 70), ("on", 140)]:
        Image.new("RGB", (640, 480), (grey, grey, grey)).save(folder / f"hall_{state}.jpg")
    (folder / "odd.jpg").write_text("<html>no picture</html>")
    return f"http://127.0.0.1:{port}"


async def until(what, ask):
    for _ in range(READY_S * 5):
        try:
            answer = await ask()
            if answer is not None:
                return answer
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.2)
    raise SystemExit(f"no {what} after {READY_S} s")


class Socket:
    """The server's websocket, signed in: one question, one answer."""

    def __init__(self, socket):
        self.socket, self.last = socket, 0

    @classmethod
    async def open(cls, session, base, token):
        socket = await session.ws_connect(f"{base}/api/websocket")
        assert (await socket.receive_json())["type"] == "auth_required"
        await socket.send_json({"type": "auth", "access_token": token})
        assert (await socket.receive_json())["type"] == "auth_ok"
        return cls(socket)

    async def ask(self, kind, **members):
        self.last += 1
        await self.socket.send_json({"id": self.last, "type": kind, **members})
        answer = await self.socket.receive_json()
        assert answer["id"] == self.last and answer["success"], answer
        return answer["result"]


async def tokens(session, base, code):
    form = {"grant_type": "authorization_code", "code": code, "client_id": f"{base}/"}
    async with session.post(f"{base}/auth/token", data=form) as answer:
        assert answer.status == 200, answer.status
        return await answer.json()


async def sign_in(session, base, username, password):
    flow = {"client_id": f"{base}/", "handler": ["homeassistant", None], "redirect_uri": f"{base}/"}
    async with session.post(f"{base}/auth/login_flow", json=flow) as answer:
        flow_id = (await answer.json())["flow_id"]
    person = {"client_id": f"{base}/", "username": username, "password": password}
    async with session.post(f"{base}/auth/login_flow/{flow_id}", json=person) as answer:
        return await tokens(session, base, (await answer.json())["result"])


async def set_up(base, cars):
    async with aiohttp.ClientSession() as session:

        async def onboarding():
            async with session.get(f"{base}/api/onboarding") as answer:
                return answer.status if answer.status == 200 else None

        await until("onboarding page", onboarding)
        owner = {"name": "Owner", "username": "owner", "password": "an owner's secret"}
        owner |= {"client_id": f"{base}/", "language": "en"}
        async with session.post(f"{base}/api/onboarding/users", json=owner) as answer:
            code = (await answer.json())["auth_code"]
        owner_access = (await tokens(session, base, code))["access_token"]
        as_owner = await Socket.open(session, base, owner_access)
        owner_token = await as_owner.ask("auth/long_lived_access_token", client_name="hands", lifespan=1)

        # A user of its own for the keyholder, without administration.
        created = await as_owner.ask("config/auth/create", name="Keyholder", group_ids=["system-users"])
        person = {"username": "keyholder", "password": "a keyholder's secret"}
        await as_owner.ask("config/auth_provider/homeassistant/create", user_id=created["user"]["id"], **person)
        access = (await sign_in(session, base, **person))["access_token"]
        as_keyholder = await Socket.open(session, base, access)
        token = await as_keyholder.ask("auth/long_lived_access_token", client_name="parcelshelf", lifespan=3650)
        me = await as_keyholder.ask("auth/current_user")
        assert not me["is_admin"] and not me["is_owner"], me

        bearer = {"Authorization": f"Bearer {owner_token}"}

        async def everything():
            async with session.get(f"{base}/api/config", headers=bearer) as answer:
                if (await answer.json())["state"] != "RUNNING":
                    return None
            names = [f"{kind}_{n}" for n in range(cars) for kind in ("lock.car", "cover.car")]
            names = [name if name.startswith("lock") else f"{name}_garage" for name in names]
            hall = ["camera.hall", "light.hall", "lock.hall", "binary_sensor.hall_contact"]
            for wanted in ["lock.front_door", *hall, *names]:
                async with session.get(f"{base}/api/states/{wanted}", headers=bearer) as answer:
                    if answer.status != 200:
                        return None
            return True

        await until("entities", everything)
        return {"base": base, "owner_token": owner_token, "token": token, **person}


async def main():
    with tempfile.TemporaryDirectory(prefix="parcelshelf-home-") as folder:
        await serve(pathlib.Path(folder), int(sys.argv[1]))


async def serve(folder, cars):
    base = write_configuration(folder, cars)
    log = (folder / "server.log").open("wb")
    command = [sys.executable, "-m", "homeassistant", "-c", str(folder), "--skip-pip"]
    server = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
    )
    try:
        print(json.dumps(await set_up(base, cars)), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    except BaseException:
        sys.stderr.write((folder / "server.log").read_text()[-4000:])
        raise
    finally:
        server.terminate()
        try:
            await asyncio.wait_for(server.wait(), 20)
        except TimeoutError:
            server.kill()


asyncio.run(main())
