"""What mpirun and its daemons are told of the network."""

from __future__ import annotations

import socket

import pytest

from airflow_train.runtime import mpi_environment


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (0x7FFF, {"PRTE_MCA_prte_if_include": "eth0"}),
        (
            0x8000,
            {
                "OMPI_MCA_reachable": "weighted",
                "PRTE_MCA_prtereachable": "weighted",
                "PRTE_MCA_prte_if_exclude": "lo,eth1",
            },
        ),
    ],
)
def test_an_interface_whose_number_daemons_can_not_keep_is_not_named_to_them(
    monkeypatch: pytest.MonkeyPatch, number: int, told: dict[str, str]
) -> None:
    there = [(1, "lo"), (number, "eth0"), (number + 2, "eth1")]
    monkeypatch.setattr(socket, "if_nameindex", lambda: there)
    monkeypatch.setattr(socket, "if_nametoindex", {name: one for one, name in there}.get)

    assert mpi_environment.daemons("eth0") == {"OMPI_MCA_oob_tcp_if_include": "eth0", **told}
