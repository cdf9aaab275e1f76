"""`ray start`, also for nodes that join a cluster which is on loopback as a whole.

With RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0 Ray calls itself 127.0.0.1, and all its servers then listen
there only; but its command line then refuses to join nodes to a cluster. That refusal alone is
lifted, in this process alone: what it starts is told 127.0.0.1 and reads the variable itself.
"""

from __future__ import annotations

from ray._private import ray_constants, services
from ray.scripts.scripts import main

LOOPBACK = "127.0.0.1"


def loopback(address: str | None = None) -> str:  # noqa: ARG001 - Ray's signature
    return LOOPBACK


if __name__ == "__main__":
    ray_constants.ENABLE_RAY_CLUSTER = True
    services.get_node_ip_address = loopback
    main()
