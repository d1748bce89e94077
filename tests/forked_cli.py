"""A process that has loaded btcflow once and forks a command line for every line it reads; see ``fetching.py``.

A line is ``{"arguments": [...], "folder": ..., "environment": {...}, "limits": {...}}``; the answer is the id of the
new process, and when that has ended a second line with its exit status. The id stays taken until the next line.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import warnings
from typing import Any


def _load() -> None:
    import ccxt
    import pyarrow.parquet
    import requests

    import btcflow.config.load
    import btcflow.fetch.run
    import btcflow.terminal.data_commands
    import btcflow.terminal.fetching

    assert all(map(bool, (ccxt, pyarrow, requests, btcflow)))


def _give_up_root() -> None:
    """Leave the right to write everywhere; the user stays the same."""
    import ctypes

    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if os.geteuid() == 0 and ctypes.CDLL(None, use_errno=True).capset(header, none) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _become(job: dict[str, Any]) -> None:
    """Be ``btcflow ARGUMENTS``, with output into files; never returns."""
    code: Any = 70
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(job["folder"])
        os.environ.update(job["environment"])
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(job[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        if (size := job["limits"].get("file_size")) is not None:
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        if job["limits"].get("no_root"):
            _give_up_root()
        sys.argv = ["btcflow", *job["arguments"]]
        from btcflow.cli import main

        main()
    except SystemExit as done:
        code = done.code
    except BaseException:
        import traceback

        traceback.print_exc()
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _serve() -> None:
    warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside the threads of numpy
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _load()
    before = None
    for line in sys.stdin:
        if before is not None:
            os.waitpid(before, 0)
        pid = os.fork()
        if pid == 0:
            _become(json.loads(line))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        sys.stdout.write(f"{ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status}\n")
        sys.stdout.flush()
        before = pid


if __name__ == "__main__":
    _serve()
