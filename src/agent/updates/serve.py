"""Serves goosebit on loopback, with one bundle for two devices: serve.py PORT FOLDER, with the file board-2.bundle there."""

import asyncio
import hashlib
import os
import pathlib
import sys

port, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
os.environ["GOOSEBIT_DB_URI"] = f"sqlite://{folder}/db"
os.environ["GOOSEBIT_ARTIFACTS_DIR"] = f"{folder}/artifacts"
os.environ["GOOSEBIT_POLL_TIME"] = "00:00:07"
os.chdir(folder)


async def main():
    import uvicorn
    from goosebit import app
    from goosebit.db.config import TORTOISE_CONF
    from goosebit.db.models import Device, Hardware, Software, SoftwareImageFormat, UpdateModeEnum
    from tortoise import Tortoise

    await Tortoise.init(config=TORTOISE_CONF)
    await Tortoise.generate_schemas()
    hardware = (await Hardware.get_or_create(model="default", revision="default"))[0]
    for name in ["kitchen", "cellar"]:
        await Device.create(id=name, hardware=hardware, update_mode=UpdateModeEnum.LATEST)
    # It reads the headers of its own formats when a file is uploaded; ours has another one.
    bundle = folder / "board-2.bundle"
    digest = hashlib.sha1(bundle.read_bytes()).hexdigest()
    software = await Software.create(
        uri=bundle.as_uri(), version="2", size=bundle.stat().st_size, hash=digest, image_format=SoftwareImageFormat.SWU
    )
    await software.compatibility.add(hardware)
    await uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning")).serve()


asyncio.run(main())
