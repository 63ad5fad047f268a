"""What commands change videos with: this process as the owner of claims."""

from __future__ import annotations

import os
import socket

from vod_operators import processes
from vod_operators.settings import VodSettings
from vod_operators.storage import claim
from vod_operators.work.management import Manager
from vod_operators.work.worker import open_stores


def manager_of(settings: VodSettings, command: str) -> Manager:
    """Changes videos on behalf of this process.

    :param command: its name, for whoever meets its claim.
    """
    temp, results = open_stores(settings)
    return Manager(
        settings=settings,
        temp=temp,
        results=results,
        owner=f"{command}, process {os.getpid()} on {socket.gethostname()}",
        holder=claim.process_holder(processes.number(os.getpid())),
    )
