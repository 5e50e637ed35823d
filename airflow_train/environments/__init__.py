"""What a run's script finds around it: from a job's environment to a recipe, and from a recipe to what was built of it.

`recipe` is pure: what is to be built, and the key under which it is built once. `once` lets one of many build.
`virtualenv` builds on this machine; `image` builds a `dockerfile` with its `context` on an engine that is handed in.
May import what lies below `targets/`.
"""
