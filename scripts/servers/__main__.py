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
from servers.ports import listens
from servers.process import ServerError

DATA = "holdfast-data/cluster"
LOOK_EVERY = 1.0  # seconds

HELP = """\
Holdfast beyond one machine, on one: several processes behind nginx, which sends each request to the next of them; records in
Redis (a primary, a replica, three sentinels), content in an S3 server (OpenStack Swift).  Ctrl-C ends everything; what was
kept is there again at the next start.
"""
NAMES = "1, 2, … are nodes, nodes are all of them; nginx; s3 is the S3 server, redis the primary of Redis; more by status"


def main(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code."""
    options = _parser().parse_args(arguments, argparse.Namespace(verb="run", names=[], nodes=3, port=8080, data=DATA))
    folder = Path(options.data).absolute()
    if options.verb != "run":
        code, text = tell(folder, " ".join([options.verb, *options.names]))
        print(text, file=sys.stderr if code else sys.stdout)
        return code
    # Also when a shell script started it in the background: that has children ignore SIGINT, and this says that it ends by it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_taken(options.port, options.nodes)
        with listening(folder) as listener, Cluster(folder, nodes=options.nodes, port=options.port) as cluster:
            print(_welcome(cluster, folder), flush=True)
            running = {process for process in cluster.processes.values() if process.runs}
            while True:
                if select.select([listener], [], [], LOOK_EVERY)[0]:
                    if said := answer(listener, cluster):
                        print(said, flush=True)
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
    # Options may stand in front of the verb or behind it: what is not given behind does not undo what is given in front.
    where = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    where.add_argument("--data", help=f"folder for everything (default: {DATA})")
    what = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    what.add_argument("--nodes", type=_count, help="how many processes of Holdfast (default: 3)")
    what.add_argument("--port", type=_port, help="of nginx; the nodes have the ports behind it (default: 8080)")
    parser = argparse.ArgumentParser(prog="scripts/cluster", description=HELP, parents=[what, where])
    verbs = parser.add_subparsers(title="from another terminal, while it runs", metavar="verb")
    verbs.add_parser("run", help="run it; what is done without a verb", description=HELP, parents=[what, where])
    for verb, does in VERBS.items():
        of_verb = verbs.add_parser(verb, help=does, description=f"{does[0].upper()}{does[1:]}.", parents=[where])
        of_verb.add_argument("names", nargs="*", metavar="name", help=NAMES)
    for verb, does in LONE_VERBS.items():
        verbs.add_parser(verb, help=does, description=f"{does[0].upper()}{does[1:]}.", parents=[where])
    for verb, each in verbs.choices.items():
        each.set_defaults(verb=verb)
    return parser


def _count(text: str) -> int:
    if not 1 <= int(text) <= 64:
        raise ValueError
    return int(text)


def _port(text: str) -> int:
    if not 1 <= int(text) <= 65_000:
        raise ValueError
    return int(text)


def _refuse_taken(port: int, nodes: int) -> None:
    """Refuse ports at which another process listens, which would get the requests."""
    for each in range(port, port + nodes + 1):
        if listens(each):
            raise ServerError(f"port {each} is in use by another process; --port takes others")


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
