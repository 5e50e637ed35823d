"""How the processes of a run find each other, and how many there are on how many nodes."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from airflow_train.definitions.definition import Definition
from airflow_train.definitions.kinds import Integer, IntegerList, Text
from airflow_train.definitions.parameters import param
from airflow_train.definitions.parts import Part
from airflow_train.definitions.report import At
from airflow_train.definitions.values import is_deferred

_NODES = "leave it out to run on one node"


class Distribution(Definition):
    """Base of the four ways."""

    #: The word for it in YAML and in a `Job`.
    WORD: ClassVar[str] = ""
    #: Words of the original for it.
    OLD_WORDS: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def type_names(cls) -> tuple[str, ...]:
        return (cls.__name__.lower(), *cls.OLD_WORDS, cls.WORD) if cls.WORD else ()


class MpiConfiguration(Distribution):
    """Processes that are started by `mpirun`."""

    WORD = "mpi"

    process_count_per_node: int | str = param(
        Integer(mend="leave it out to run one process per node"),
        default=1,
        kw_only=False,
        doc="Processes on every node.",
    )
    node_count: int | str = param(Integer(mend=_NODES), default=1, kw_only=False, doc="Nodes.")


class PyTorchConfiguration(Distribution):
    """Processes that meet by `torch.distributed` (`RANK`, `WORLD_SIZE`, `MASTER_ADDR` … are set)."""

    WORD = "pytorch"

    communication_backend: str = param(
        Text(choices=("Nccl", "Gloo")), default="Nccl", kw_only=False, doc="`Nccl` for GPUs, `Gloo` for CPUs."
    )
    process_count: int | str | None = param(
        Integer(mend="leave it out for one process per node"),
        default=None,
        kw_only=False,
        doc="Processes on all nodes together; default one per node.",
    )
    node_count: int | str = param(Integer(mend=_NODES), default=1, kw_only=False, doc="Nodes.")


class TensorflowConfiguration(Distribution):
    """Workers and parameter servers that find each other by `TF_CONFIG`; every worker is a node, servers go round them.

    Parameter servers are ended when all workers have.
    """

    WORD = "tensorflow"
    OLD_WORDS = ("ps", "parameterserver")

    worker_count: int | str = param(
        Integer(mend=_NODES), default=1, kw_only=False, doc="Workers, one per node."
    )
    parameter_server_count: int | str = param(
        Integer(minimum=0, mend="write 0 for none"), default=1, kw_only=False, doc="Parameter servers."
    )


class ParallelTaskConfiguration(Distribution):
    """Workers that know nothing of each other; one that fails is started again, a limited number of times."""

    WORD = "paralleltask"

    max_retries_per_worker: int | str = param(
        Integer(minimum=0, mend="write 0 for none"),
        default=0,
        kw_only=False,
        doc="How often one worker is started again after it has failed.",
    )
    worker_count_per_node: int | str = param(
        Integer(mend="leave it out for one worker per node"),
        default=1,
        kw_only=False,
        doc="Workers on every node.",
    )
    terminal_exit_codes: list[int] | None = param(
        IntegerList(minimum=1, maximum=255, example="[2, 77]"),
        default=None,
        kw_only=False,
        doc="Exit codes after which a worker isn't started again and the run has failed; 128 + N stands for signal N.",
    )


AnyDistribution = (
    MpiConfiguration | PyTorchConfiguration | TensorflowConfiguration | ParallelTaskConfiguration
)

#: What `distributed_backend` may say, and the configuration it stands for.
BACKENDS: dict[str, tuple[type[Definition], dict[str, Any]]] = {
    "mpi": (MpiConfiguration, {}),
    "gloo": (PyTorchConfiguration, {"communication_backend": "Gloo"}),
    "nccl": (PyTorchConfiguration, {"communication_backend": "Nccl"}),
    "ps": (TensorflowConfiguration, {}),
}


def distribution_part() -> Part:
    """The kind of a parameter that takes one of the four, by object, mapping or word."""
    return Part(
        MpiConfiguration,
        PyTorchConfiguration,
        TensorflowConfiguration,
        ParallelTaskConfiguration,
        aliases=BACKENDS,
    )


def framework_part(backends: tuple[str, ...]) -> Part:
    """The kind of a parameter that takes what one framework can do: its backends, and workers of their own."""
    aliases = {name: BACKENDS[name] for name in backends}
    classes = dict.fromkeys(cls for cls, _ in aliases.values())
    return Part(*classes, ParallelTaskConfiguration, aliases=aliases)


class Layout(NamedTuple):
    """How many nodes, and processes on each."""

    node_count: int
    process_count_per_node: int


def laid_out(
    training: Any, at: At, name: str, node_count: Any = 1, process_count_per_node: Any = 1
) -> Layout:
    """Nodes and processes per node, where the estimator's own numbers and its configuration's must agree.

    A number that is left at its default agrees with any other. Contradictions are reported.
    :param name: the parameter that holds `training`.
    """
    if is_deferred(training):
        return Layout(1, 1)
    own = {"node_count": node_count, "process_count_per_node": process_count_per_node}
    theirs = training.parameters() if training is not None else {}
    if any(is_deferred(value) for value in (*own.values(), *theirs.values())):
        return Layout(1, 1)
    if isinstance(training, MpiConfiguration):
        return Layout(
            _agreed(own, "node_count", training.node_count, f"{name}.node_count", at),
            _agreed(
                own,
                "process_count_per_node",
                training.process_count_per_node,
                f"{name}.process_count_per_node",
                at,
            ),
        )
    if isinstance(training, ParallelTaskConfiguration):
        theirs_name = f"{name}.worker_count_per_node"
        workers = _agreed(own, "process_count_per_node", training.worker_count_per_node, theirs_name, at)
        return Layout(node_count, workers)
    if isinstance(training, PyTorchConfiguration):
        return _pytorch(training, own, name, at)
    if isinstance(training, TensorflowConfiguration):
        nodes = _agreed(own, "node_count", training.worker_count, f"{name}.worker_count", at)
        if process_count_per_node != 1:
            (at / "process_count_per_node").wrong(
                process_count_per_node, "1 with TensorFlow", f"raise {name}.worker_count instead"
            )
        return Layout(nodes, 1)
    return Layout(node_count, process_count_per_node)


def described(training: Any, layout: Layout) -> dict[str, Any] | None:
    """The distribution of a `Job`: `type` and the configuration's own numbers, made consistent with the layout."""
    if isinstance(training, MpiConfiguration):
        return {"type": training.WORD, **layout._asdict()}
    if isinstance(training, ParallelTaskConfiguration):
        return {
            "type": training.WORD,
            "worker_count_per_node": layout.process_count_per_node,
            "max_retries_per_worker": training.max_retries_per_worker,
            "terminal_exit_codes": list(training.terminal_exit_codes or ()),
        }
    if isinstance(training, PyTorchConfiguration):
        total = layout.node_count * layout.process_count_per_node
        backend = training.communication_backend
        return {
            "type": training.WORD,
            "communication_backend": backend,
            "process_count": total,
            "node_count": layout.node_count,
        }
    if isinstance(training, TensorflowConfiguration):
        servers = training.parameter_server_count
        return {"type": training.WORD, "worker_count": layout.node_count, "parameter_server_count": servers}
    return None


def _pytorch(training: PyTorchConfiguration, own: dict[str, int], name: str, at: At) -> Layout:
    nodes = _agreed(own, "node_count", training.node_count, f"{name}.node_count", at)
    if training.process_count is None:
        return Layout(nodes, own["process_count_per_node"])
    total = int(training.process_count)
    per_node, rest = divmod(total, nodes)
    if rest:
        finding = f"{name}.process_count is {total} but must be a multiple of the {nodes} nodes"
        (at / name / "process_count").say(finding, "it counts the processes of all nodes together")
        return Layout(nodes, 1)
    whose = f"{name}.process_count divided by the {nodes} nodes"
    return Layout(nodes, _agreed(own, "process_count_per_node", per_node, whose, at, default=None))


def _agreed(
    own: dict[str, int], key: str, other: Any, other_name: str, at: At, default: int | None = 1
) -> int:
    mine = own[key]
    if mine == 1:
        return int(other)
    if other not in (default, mine):
        (at / key).say(
            f"{key} is {mine} but {other_name} is {other}", "give the number once, or the same twice"
        )
    return mine
