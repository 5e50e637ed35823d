"""Containers of a Docker engine, here or elsewhere: what the target can do.

| asked for                              | on docker                                                                  |
|----------------------------------------|----------------------------------------------------------------------------|
| image                                  | `custom_docker_image`, or the target's option `image`; Python ≥ 3.8 inside |
| interpreter                            | `python3` of the image, else its `python`, or `interpreter_path`           |
| several processes                      | PyTorch, TensorFlow, ParallelTask; MPI where the image has Open MPI 4 or 5 |
| several nodes                          | a container each, in a network of the run's own, or the one that is named  |
| cpu, memory, shm_size, gpu             | yes; out of memory is named with the limit                                 |
| DockerConfiguration.arguments          | those of `docker run` in `arguments.py`; all others are refused            |
| pip, conda and apt packages            | an image `airflow-train/environment:<key>`, built once for all who ask     |
| Dockerfile, build context              | the same; packages come on top                                             |
| inputs                                 | refused at submit                                                          |
| registry with a login                  | `image_registry_details`, the target's connection, or `docker login` here  |
| resume_from, outputs of an attempt before | yes: copies come with the code                                          |
| run store                              | any that keeps: without `shared_store` the container never sees it         |
| death of whoever submitted             | the container goes on; whoever looks next finds the run                    |

| option of the target      | means                                                                         |
|---------------------------|-------------------------------------------------------------------------------|
| `image`                   | image of definitions that name none                                           |
| `interpreter_path`        | Python of scripts whose definition names none                                 |
| `host`                    | where the engine is: `unix://` or `tcp://`                                    |
| `context`                 | a context of the docker command instead                                       |
| `connection`              | an Airflow connection of type docker: engine, login at a registry, or both    |
| `tls_ca`, `_cert`, `_key` | files that the engine and this machine know each other by                     |
| `tls_hostname`            | name on the engine's certificate, where that isn't its address                |
| `tls_verify`              | false trusts any certificate                                                  |
| `shared_store`            | the engine's machine sees the run store: true, or its path there              |
| `user`, `network`         | as `docker run` takes them; `read_only` is true or false                      |
| `volumes`, `cap_add`      | lists of them                                                                 |
| `arguments`               | further arguments of `docker run`, for every container                        |

Without `host`, `context` and an engine's connection, DOCKER_HOST, DOCKER_CONTEXT and the current context of the docker
command count, in this order, with their certificates; else the socket of this machine. A connection is as the provider
apache-airflow-providers-docker has it: host, login and password are a registry's. What DockerOperator has as arguments
are its extras: `docker_url` (the engine), `tls_ca_cert`, `tls_client_cert`, `tls_client_key`, `tls_hostname`,
`tls_verify`. A host of `tcp://` or `unix://` is the engine; then the extra `registry` says where the login belongs.

The image is pulled by the engine, with the login of the definition, the connection, or the docker command's
config.json on this machine (`auths`, `credHelpers`, `credsStore`): the first that belongs to the image's registry.
Logins are resolved when a run is started, sent to the engine with the pull, and kept nowhere.

A container has no capabilities and can't gain privileges unless `arguments` ask for them. Its variables are those of
its image and of the definition; nothing of the submitter's environment gets there.

Code and runtime go into a volume of the run by the engine's archive API, before the container starts; what the run
writes comes back as segments of its outbox while it goes on (`logs.py`), and as a whole when it has ended
(`collect.py`): a small run by the container's last words (`parcel.py`), others by the archive API. So the engine may be
on another machine, and a read-only root does no harm.

Each node of several has a container and a volume of its own, all on one engine. They meet over mutual TLS, so an image
needs neither sshd nor open ports (`nodes.py`); for users: `targets/README.md`. Node 0 decides; outputs and logs come
home from all, what another node calls like one of node 0's files beside it, as `.conflict-1`, which the report names
(`merging.py`). Not for several nodes are `shared_store`, published ports and the networks `host`, `none` and `bridge`;
child runs that scripts make on other nodes than 0 may lose theirs to node 0's. With `gpu: 2` node 0 gets the engine's
GPUs 0 and 1, node 1 the next two. What ranks meet by (gloo, NCCL, PyTorch's RPC, Horovod) finds the interface that
connects the nodes in its variables, such as GLOO_SOCKET_IFNAME, unless the definition sets them.

With `shared_store` the run's folder of the store is mounted into the container, which writes outputs, logs and records
there itself; it runs as the store's owner, unless `user` says otherwise. Code still comes by the archive API.
"""
