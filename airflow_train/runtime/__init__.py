"""What runs beside the script. Standard library only, Python 3.8 and later, imports nothing of ours.

It travels as one zipapp (`targets/bundle.py`). Two kinds of process:

    node.py     the supervisor: stages, starts the ranks, obeys cancel and time limit, collects, reports
                supervisor.py begins one that nobody else has begun, or finishes what a killed one left
                forked.py starts the ranks itself, mpirun.py has them started by mpirun
                memory.py holds its memory limit, by cgroups.py
    rank.py     the wrapper of one script process: output, exit record, and nothing that outlives it
                handed.py gets its secrets to it, redaction.py hides them in all it says
                starting.py turns a process into the script, exits.py makes the wrapper's last word, mpi_rank.py is its
                way in when mpirun starts it
    script/     what the training script itself may import

Others import `protocol` only.
"""
