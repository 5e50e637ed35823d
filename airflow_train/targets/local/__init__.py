"""Local processes: what the target can do.

| asked for                                    | on local                                                             |
|----------------------------------------------|----------------------------------------------------------------------|
| interpreter                                  | the current one, or `interpreter_path`                               |
| several processes, emulated nodes            | PyTorchConfiguration, TensorflowConfiguration, MpiConfiguration      |
| time limit, cancel with grace                | yes                                                                  |
| limits of all other phases                   | `[train] start_limit`, `build_limit`, `stage_limit`, `meet_limit` …  |
| no_progress_timeout                          | yes; Python stacks on Linux only                                     |
| resume_from, outputs of the attempt before   | copied below the run, read-only, and removed at its end              |
| system metrics                               | processor and memory of every node, on Linux                         |
| death of whoever submitted                   | the supervisor goes on; whoever looks next finds the run             |
| memory                                       | by cgroups, per node; where these can't be written, the run says so  |
| pip packages, Python of a version            | a virtual environment by uv, built once for each content             |
| conda packages                               | by micromamba, mamba or conda, where there is one; else refused      |
| apt packages, images, inputs, gpu, cpu       | refused at submit                                                    |
| MPI                                          | one real mpirun, of Open MPI 4 or 5; refused at submit without       |
| run store                                    | local files                                                          |
"""
