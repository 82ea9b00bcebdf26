"""
The command ``scripts/cluster``.
"""

from __future__ import annotations

import argparse
import select
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from servers.cluster import Cluster
from servers.control import LONE_VERBS, VERBS, answer, listening, places, tell
from servers.process import ServerError

DATA = "holdfast-data/cluster"
LOOK_EVERY = 1.0  # seconds

HELP = """\
Holdfast beyond one machine, on one: several processes behind nginx, which sends each request to the next of them; records in
Redis (a primary, a replica, three sentinels), content in an S3 server (OpenStack Swift).  Ctrl-C ends everything; what was
kept is there again at the next start.
"""
EPILOG = """\
from another terminal, while it runs:
  scripts/cluster kill 2         end a node without a word (SIGKILL); start 2 starts it again, restart 2 is both
  scripts/cluster stop 2         ask a node to end (SIGTERM)
  scripts/cluster freeze 2       stop it in its tracks (SIGSTOP); thaw 2 lets it go on
  scripts/cluster failover       kill the primary of Redis and wait until the replica has its place
  scripts/cluster restart s3     the S3 server; redis is the primary of Redis, nodes are all nodes, nginx is nginx
  scripts/cluster status         what there is, by name, and where; with what opens it
"""


def main(arguments: Sequence[str]) -> int:
    """
    Run the command line and return its exit code.
    """
    options = _parser().parse_args(arguments)
    folder = Path(options.data).absolute()
    if options.verb != "run":
        code, text = tell(folder, " ".join([options.verb, *options.names]))
        print(text, file=sys.stderr if code else sys.stdout)
        return code
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with listening(folder) as listener, Cluster(folder, nodes=options.nodes, port=options.port) as cluster:
            print(_welcome(cluster, folder), flush=True)
            running = {process for process in cluster.processes.values() if process.runs}
            while True:
                if select.select([listener], [], [], LOOK_EVERY)[0]:
                    if told := answer(listener, cluster):
                        print(told, flush=True)
                    running = {process for process in cluster.processes.values() if process.runs}
                for process in [process for process in running if not process.runs]:
                    print(f"{process.name} has ended by itself; its log is in {folder}", flush=True)
                    running.discard(process)
    except KeyboardInterrupt:
        return 130
    except ServerError as error:
        print(f"scripts/cluster: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/cluster", description=HELP, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("verb", nargs="?", default="run", choices=["run", *VERBS, *LONE_VERBS], metavar="verb")
    parser.add_argument("names", nargs="*", metavar="name")
    parser.add_argument("--nodes", type=_count, default=3, help="how many processes of Holdfast (default: 3)")
    parser.add_argument("--port", type=_port, default=8080, help="of nginx; the nodes have the ports behind it (default: 8080)")
    parser.add_argument("--data", default=DATA, help=f"folder for everything (default: {DATA})")
    return parser


def _count(text: str) -> int:
    if not 1 <= int(text) <= 64:
        raise ValueError
    return int(text)


def _port(text: str) -> int:
    if not 1 <= int(text) <= 65_000:
        raise ValueError
    return int(text)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _welcome(cluster: Cluster, folder: Path) -> str:
    data = "" if folder == Path(DATA).absolute() else f" --data {folder}"
    return f"""\
{places(cluster)}
(data in {folder})

Upload something with tus, and fetch it again:

  location=$(printf 'Hello, Holdfast!\\n' | curl -sS -D - -o /dev/null {cluster.url}/files \\
    -H 'Tus-Resumable: 1.0.0' -H 'Upload-Length: 17' -H 'Content-Type: application/offset+octet-stream' \\
    --data-binary @- | tr -d '\\r' | sed -n 's/^location: //p'); curl -sS "$location"

Break it from another terminal (scripts/cluster --help says how else):

  scripts/cluster{data} kill 2       scripts/cluster{data} start 2
  scripts/cluster{data} freeze 3     scripts/cluster{data} thaw 3
  scripts/cluster{data} failover     scripts/cluster{data} restart s3

Ctrl-C ends everything.
"""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
