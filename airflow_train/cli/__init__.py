"""The command `airflow-train`: thin, over the same runs, store and models as everything else.

    main        entry point: runs a command, turns errors into sentences and exit codes
    codes       exit codes
    parser      every command and option; imports nothing of the other rooms, so that `--help` is quick
    screen      tables and lines for people, JSON for programs
    load        FILE with `--set` → definition
    describe    a run as JSON and as lines
    watch       a run's lines and phases as they come; Ctrl-C
    training    run, dry-run
    runs        runs list, show, logs, metrics, files, download, cancel, wait
    models      models list, show, register, download, delete
    checking    validate, schema
    doctor      doctor

Exit codes: 0 completed or detached, 1 failed, 2 bad input, 3 cancelled; 130 when Ctrl-C ended a command that had not
started anything or waited for a run, 141 when whoever read the output went away.
"""
