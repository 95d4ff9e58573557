"""Where a replica listens."""

from __future__ import annotations

import logging

__all__ = ["listen_where_ray_does"]


def listen_where_ray_does() -> None:
    """Keep this replica off the network where Ray itself is.

    Serve gives each replica a gRPC server for the other deployments on every interface, and what it receives is
    unpickled. On a Ray that listens on loopback only it has to be there, too. To be called before the replica is ready.
    """
    import ray.util
    from ray.serve._private import replica

    here = ray.util.get_node_ip_address()
    if here != "127.0.0.1":
        return
    try:  # a private part of Ray: the tests look at the ports that are open, and tell when it has moved
        opened = replica.add_port_to_grpc_server
    except AttributeError:
        logging.getLogger("ray.serve").warning("this version of Ray lets replicas listen on every interface")
        return
    replica.add_port_to_grpc_server = lambda server, address: opened(server, address.replace("[::]", here))
