"""Node 0's end of mpirun's agents, each of which stands for a command on another node.

mpirun calls an agent where it would call ssh: `agent.sh HOST COMMAND…`. A shell does, which starts in 1 ms; it leaves
what it wants in a file of the session folder, says so in the named pipe `agents`, and waits at one of its own for the
exit code. That is the command's; 255, as ssh's, when the connection to the node breaks, or nothing could be started.
What the command says goes where this process's own output goes: the node's log, as mpirun's.
"""

from __future__ import annotations

import contextlib
import os

from airflow_train.runtime.launched import content, lines_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: In the session folder, for mpirun. Opened for both ways, a named pipe doesn't wait for its other end; read alone,
#: when that has said that it is there, it ends with it.
AGENT_FILE = "agent.sh"
AGENT = r"""
here=${0%/*} place=${0%/*}/agent-$$ host=$1
shift
mkfifo "$place" && printf '%s %s' "$host" "$*" >"$place.wanted" || exit 255
exec 3<>"$place" 4<>"$here/agents" || exit
echo $$ >&4
read -r here <&3 && exec 5<"$place" 3>&- && read -r status <&5 && exit "$status"
exit 255
"""
_BROKEN = 255


class Agents:
    """mpirun's agents, each of which wants one command started on one node and waits for its end."""

    def __init__(self, to_node: Any) -> None:
        self._to_node = to_node
        self._folder = ""
        self._pipe: int | None = None
        self._hosts: dict[str, int] = {}
        self._last = 0
        self._words = b""
        #: number of a started command → (node, the pipe at which its agent waits)
        self._waiting: dict[int, tuple[int, int]] = {}

    def listen(self, folder: str, hosts: dict[str, int]) -> None:
        """From now on agents may come.

        :param folder: the session folder, in which the pipe `agents` is.
        """
        self._folder, self._hosts = folder, hosts
        self._pipe = os.open(os.path.join(folder, "agents"), os.O_RDWR | os.O_NONBLOCK)

    def sources(self) -> list[int]:
        """What to look at: the pipe, and whether an agent has gone, so that nobody reads any more."""
        return [] if self._pipe is None else [self._pipe, *(pipe for _, pipe in self._waiting.values())]

    def attend(self, found: set[int]) -> None:
        """Take what agents ask for, and notice those that have gone."""
        for number, (node, pipe) in list(self._waiting.items()):
            if pipe in found and number in self._waiting:
                del self._waiting[number]
                os.close(pipe)
                self._to_node(node, {"end": number})
        if self._pipe in found and self._pipe is not None:
            agents, self._words = lines_of(self._pipe, self._words)
            for agent in agents:
                with contextlib.suppress(OSError, ValueError):  # it has gone already
                    self._come(os.path.join(self._folder, "agent-%d" % int(agent)))

    def _come(self, place: str) -> None:
        wanted = (content("%s.wanted" % place) or b"").decode("utf-8", "surrogateescape")
        host, _, command = wanted.partition(" ")
        pipe, node = os.open(place, os.O_WRONLY | os.O_NONBLOCK), self._hosts.get(host)
        os.write(pipe, b"here\n")
        if node is None:
            _say("no node of this run has the address %s\n" % host)
            self._answer(pipe, _BROKEN)
            return
        self._last += 1
        self._waiting[self._last] = (node, pipe)
        if not self._to_node(node, {"start": self._last, "command": command}):
            self.lose(node)

    def from_node(self, message: dict[str, Any]) -> None:
        """Output or end of a command."""
        number = message.get("output", message.get("ended"))
        if number not in self._waiting:
            return
        if "ended" in message:
            self._answer(self._waiting.pop(number)[1], int(message["status"]))
        else:
            _say(str(message["text"]), int(message["stream"]))

    def lose(self, node: int) -> None:
        """A node is gone; what was started there is lost, and its agents say so by their exit code."""
        for number, (there, pipe) in list(self._waiting.items()):
            if there == node:
                del self._waiting[number]
                self._answer(pipe, _BROKEN)

    @staticmethod
    def _answer(pipe: int, status: int) -> None:
        with contextlib.suppress(OSError):  # it has gone
            os.write(pipe, b"%d\n" % status)
        os.close(pipe)


def _say(words: str, stream: int = 2) -> None:
    with contextlib.suppress(OSError):  # a full disk is no reason to lose a node
        os.write(1 if stream == 1 else 2, words.encode("utf-8", "surrogateescape"))
