"""Containers of a Docker engine, here or elsewhere: what the target can do.

| asked for                              | on docker                                                                  |
|----------------------------------------|----------------------------------------------------------------------------|
| image                                  | `custom_docker_image`, or the target's option `image`; Python ≥ 3.8 inside |
| interpreter                            | `python3` of the image, else its `python`, or `interpreter_path`           |
| several processes on one node          | PyTorchConfiguration                                                       |
| cpu, memory, shm_size, gpu             | yes; out of memory is named with the limit                                 |
| DockerConfiguration.arguments          | those of `docker run` in `arguments.py`; all others are refused            |
| several nodes, MPI, packages, inputs   | refused at submit                                                          |
| registry with a login                  | refused at submit: `docker pull` the image where the engine runs           |
| run store                              | any that keeps: the container never sees it                                |
| death of whoever submitted             | the container goes on; whoever looks next finds the run                    |

| option of the target      | means                                                                         |
|---------------------------|-------------------------------------------------------------------------------|
| `image`                   | image of definitions that name none                                           |
| `interpreter_path`        | Python of scripts whose definition names none                                 |
| `host`, `context`         | where the engine is; else DOCKER_HOST, else the current context of the client |
| `tls_ca`, `_cert`, `_key` | files that the engine and this machine know each other by                     |
| `user`, `network`         | as `docker run` takes them; `read_only` is true or false                      |
| `volumes`, `cap_add`      | lists of them                                                                 |
| `arguments`               | further arguments of `docker run`, for every container                        |

A container has no capabilities and can't gain privileges unless `arguments` ask for them. Its variables are those of
its image and of the definition; nothing of the submitter's environment gets there.

Code and runtime go into a volume of the run by the engine's archive API, before the container starts; what the run
writes comes back as segments of its outbox while it goes on (`logs.py`), and as a whole when it has ended
(`collect.py`). So the engine may be on another machine, and a read-only root does no harm.
"""
