"""The model registry: names, versions and files in the run store, with lineage to run, snapshot and git commit.

    model          `Model`, the handle people hold
    registration   `register_from_run`: files of a run become a version
    search         by name, tags, properties, run
    registry       claiming a version, finishing it, reading, changing, deleting; all over `store.files.Files`
    contents       which files make a model: of a run, or of a local path
    record         what is written about a version, and what changes make of it

A version is claimed by `claim.json`, then its files are copied, and `model.json` comes last: readers see whole models
only. Numbers are never used twice. Registering the same path of the same run again finds the version it has, also
when the first attempt was killed half way. May import what the store may, and the store.
"""
