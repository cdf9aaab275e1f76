"""Where the workers of a training meet: at the address that Ray knows a node by, nowhere else.

By itself torch listens on every interface of rank 0's machine, and asks nobody who comes; gloo
listens at whatever address the machine's name has.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import psutil
import ray.util
from ray.train.torch import TorchConfig
from ray.train.torch.config import _TorchBackend
from torch.distributed import TCPStore


@dataclass
class AtOwnAddress(TorchConfig):
    """Torch's process group, on loopback where Ray is on loopback."""

    @property
    def backend_cls(self) -> type[_TorchBackend]:
        return _Backend


class _Backend(_TorchBackend):
    def on_start(self, worker_group: Any, backend_config: Any) -> None:
        worker_group.execute(_listen_at_own_address)
        super().on_start(worker_group, backend_config)


def _listen_at_own_address() -> None:
    """In a worker, before its process group is made."""
    # Torch has no setting for it. The module: `torch.distributed.rendezvous` is its function.
    vars(import_module("torch.distributed.rendezvous"))["TCPStore"] = _store
    address = ray.util.get_node_ip_address()
    for interface, held in psutil.net_if_addrs().items():
        if address in {one.address for one in held}:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)


def _store(*, host_name: str, port: int, is_master: bool, **settings: Any) -> TCPStore:
    if is_master:
        family = socket.getaddrinfo(host_name, port)[0][0]
        listening = socket.create_server((host_name, port), family=family)
        settings["master_listen_fd"] = listening.detach()  # the store's from here on
    return TCPStore(host_name=host_name, port=port, is_master=is_master, **settings)
