"""Where the workers of a training meet: at the address that Ray knows a node by, nowhere else.

By itself torch listens on every interface of rank 0's machine, and asks nobody who comes; gloo
listens at whatever address the machine's name has. Ray Train's controller reads this module too,
and starts the workers only then: so torch is imported in workers alone.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import psutil
import ray
import ray.util
from ray.exceptions import GetTimeoutError
from ray.train._internal.utils import get_address_and_port
from ray.train.backend import Backend, BackendConfig

if TYPE_CHECKING:
    from torch.distributed import TCPStore

LEAVE_S = 30.0  # a worker that hangs is ended all the same


@dataclass
class AtOwnAddress(BackendConfig):
    """Torch's process group, on loopback where Ray is on loopback."""

    @property
    def backend_cls(self) -> type[Backend]:
        return _Backend


class _Backend(Backend):
    share_cuda_visible_devices = True

    def on_start(self, worker_group: Any, backend_config: BackendConfig) -> None:  # noqa: ARG002
        backend = "nccl" if worker_group.get_resources_per_worker().get("GPU", 0) else "gloo"
        address, port = worker_group.execute_single(0, get_address_and_port)
        meeting = {"MASTER_ADDR": address, "MASTER_PORT": str(port)}
        workers = range(len(worker_group))
        ray.get([worker_group.execute_single_async(i, _join, backend, meeting) for i in workers])

    def on_shutdown(self, worker_group: Any, backend_config: BackendConfig) -> None:  # noqa: ARG002
        with suppress(GetTimeoutError):
            ray.get(worker_group.execute_async(_leave), timeout=LEAVE_S)


def _join(backend: str, meeting: dict[str, str]) -> None:
    """In a worker: make its process group with the others."""
    from ray.train.torch.config import _set_torch_distributed_env_vars, _setup_torch_process_group

    _listen_at_own_address()
    os.environ.update(meeting)
    _set_torch_distributed_env_vars()
    _setup_torch_process_group(
        backend=backend,
        world_rank=int(os.environ["RANK"]),
        world_size=int(os.environ["WORLD_SIZE"]),
        init_method="env://",
    )


def _leave() -> None:
    from ray.train.torch.config import _shutdown_torch

    _shutdown_torch(destroy_process_group=int(os.environ["WORLD_SIZE"]) > 1)


def _listen_at_own_address() -> None:
    # Torch has no setting for it. The module: `torch.distributed.rendezvous` is its function.
    vars(import_module("torch.distributed.rendezvous"))["TCPStore"] = _store
    address = ray.util.get_node_ip_address()
    for interface, held in psutil.net_if_addrs().items():
        if address in {one.address for one in held}:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)


def _store(*, host_name: str, port: int, is_master: bool, **settings: Any) -> TCPStore:
    from torch.distributed import TCPStore

    if is_master:
        family = socket.getaddrinfo(host_name, port)[0][0]
        listening = socket.create_server((host_name, port), family=family)
        settings["master_listen_fd"] = listening.detach()  # the store's from here on
    return TCPStore(host_name=host_name, port=port, is_master=is_master, **settings)
