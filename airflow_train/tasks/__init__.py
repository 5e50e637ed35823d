"""The Airflow side of a run, shared by operators, sensors and all that follow. The lowest room that imports Airflow.

    identity    which attempt of which task is this, and does it continue the one before
    attempts    the chain of attempts in the store: which run this attempt works on
    watching    the same for a task that watches somebody else's run
    plain       definitions as plain data for template fields, and the folder relative paths start from
    training    the way of a run through one task: start or find it, follow it, tell how it ended
    deferring   what a task hands to the triggerer, and what comes back
    store_watch one loop in the triggerer for all deferred runs of a store
    secrets     connections and variables that a definition refers to
    kill        what a kill means, and whether the run stops with the task
    reconcile   runs that outlived their task are found and stopped
    live_log    the bounded view of all ranks in the task log
    assets      a registered model as an asset, and the event that tells other DAGs
    places      where a run can be found, and what a browser can open of it
    xcom        what other tasks learn of a run
    retrying    names for the ways in which a run fails, and which are tried again
    retry_policy the same as a policy of Airflow 3.3
    failures    our errors as Airflow's: which must not be retried
    compat      differences between Airflow 3.1, 3.2 and 3.3

While a DAG file is parsed only `compat` is imported, and what the file asks for: `assets`, `plain`, `retrying`.
"""
