"""Run the pip broker on a loopback port: `python -m edge.broker_amqtt PORT`."""

import asyncio
import signal
import sys
import warnings

from edge.sockets import LOOPBACK


async def serve(port: int) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        port: TCP port on 127.0.0.1.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from amqtt.broker import Broker

    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, done.set)
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"{LOOPBACK}:{port}"}},
            "plugins": {
                "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}
            },
        }
    )
    await broker.start()
    await done.wait()
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
