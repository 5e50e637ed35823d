"""What runs beside the script. Standard library only, Python 3.8 and later, imports nothing of ours.

It travels as one zipapp (`targets/bundle.py`). Kinds of process:

    node.py     the supervisor, as supervisor.py begins it: claims the run, stages, starts the ranks, obeys cancel and
                time limit, collects, reports
                forked.py starts the ranks itself, launched.py those of an mpirun, which mpirun.py starts
                memory.py holds its memory limit, by cgroups.py
    nodes.py    the same where nodes have supervisors of their own: meeting.py connects them by a process beside each,
                hub.py on node 0 and link.py elsewhere, over tls.py and wire.py; across.py sees all ranks as one node's;
                hosts.py lets mpirun start its daemons that way, by agents.py and started.py
    rank.py     the wrapper of one script process: output, exit record, and nothing that outlives it
                handed.py gets its secrets to it, redaction.py hides them in all it says
                starting.py turns a process into the script, exits.py makes the wrapper's last word
    script/     what the training script itself may import

Others import `protocol` only.
"""
