"""The process that hosts the workers of this machine: a script that does not import Isolux, as it needs no PyTorch.

It reads one line from standard input, what workers to start. When it is told to end, or standard input ends because
the process that leads the run is no more, the workers end too.
"""

import asyncio
import json
import os
import sys
from typing import Any

ENDING = 3.0
"""Seconds for each worker to end by itself."""


async def host(order: dict[str, Any]) -> None:
    """Keep workers running until there is a further line, or none, on standard input."""
    import dask.config
    from distributed import Nanny

    dask.config.set(order["config"])
    nannies = [
        Nanny(
            order["scheduler"],
            name=worker["name"],
            nthreads=1,
            memory_limit=worker["memory"],
            env=worker["environment"],
            dashboard=False,
            death_timeout=None,
        )
        for worker in order["workers"]
    ]
    await asyncio.gather(*nannies)
    line = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    if line:
        await asyncio.wait_for(
            asyncio.gather(*(nanny.close(timeout=ENDING) for nanny in nannies)), 2 * ENDING
        )


def main() -> None:
    """Host workers; end whatever happens, and with this process all workers."""
    try:
        asyncio.run(host(json.loads(sys.stdin.readline())))
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()
