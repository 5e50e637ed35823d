"""All input and output of the run store; the only room that knows fsspec.

`files` is the door (exclusive create, atomic replace, listings), `layout` holds every name, `index` the dated index,
`snapshots` the content-addressed source code, `artifacts` the files of a run. May import exceptions, config,
`runtime.protocol`, definitions and runs.
"""
