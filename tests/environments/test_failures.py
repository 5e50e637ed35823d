"""What uv and conda say when they fail comes to one sentence: what is wrong, or that it was bad luck."""

from __future__ import annotations

import pytest

from airflow_train.environments.failures import translated
from airflow_train.exceptions import BuildFailed, InfrastructureFailure

UNSOLVABLE = """\
error: No solution found when resolving dependencies
  cause: Because there is no version of six==99 and you require six==99, we can conclude that your requirements are \
unsatisfiable."""
NOT_BUILT = """\
   Building bad @ file:///tmp/bad
error: Failed to build `bad==1`
  cause: The build backend returned an error
  cause: Call to `setuptools.build_meta.build_wheel` failed (exit status: 1)
         [stderr]
         Traceback (most recent call last):
           File "<string>", line 1, in <module>
         RuntimeError: no compiler here
hint: Build failures usually indicate a problem with the package or the build environment"""
RENAMED = """\
error: Failed to build `sklearn==0.0.post12`
  cause: The build backend returned an error
         [stderr]
         The 'sklearn' PyPI package is deprecated, use 'scikit-learn'
         rather than 'sklearn' for pip commands.
hint: `sklearn` is often confused for `scikit-learn`. Did you mean to install `scikit-learn` instead?"""
NOT_ALLOWED = """\
error: No solution found when resolving dependencies
  cause: Because six was not found in the package registry and you require six, we can conclude that your requirements \
are unsatisfiable.
hint: An index could not be queried due to a lack of valid authentication credentials (401 Unauthorized)"""
REFUSED = """\
error: Request failed after 3 retries in 7.7s
  cause: Failed to fetch: http://127.0.0.1:9/all/six/
  cause: error sending request for url (http://127.0.0.1:9/all/six/)
  cause: Connection refused (os error 111)"""
GONE = """\
error: Failed to fetch: https://x.example/six.whl
  cause: HTTP status client error (404 Not Found) for url (https://x.example/six.whl)"""
BUSY = GONE.replace("client error (404 Not Found)", "server error (503 Service Unavailable)")
OFFLINE = """\
error: No solution found when resolving dependencies
  cause: Because six was not found in the cache and you require six, we can conclude that your requirements are \
unsatisfiable.
hint: Packages were unavailable because the network was disabled."""
KILLED = """\
error: Failed to bytecode-compile installed packages
  cause: Bytecode compilation failed, expected "/tmp/six.py", received: \"\""""
#: as uv 0.9 said it
EARLIER = """\
Using Python 3.11.7 environment at: e3
  × No solution found when resolving dependencies:
  ╰─▶ Because there is no version of six==99 and you require six==99, we can
      conclude that your requirements are unsatisfiable."""
EARLIER_NOT_BUILT = """\
   Building bad @ file:///tmp/bad
  × Failed to build `bad @ file:///tmp/bad`
  ├─▶ The build backend returned an error
  ╰─▶ Call to `setuptools.build_meta.build_wheel` failed (exit status: 1)
      [stderr]
      Traceback (most recent call last):
        File "<string>", line 1, in <module>
      RuntimeError: no compiler here
      hint: This usually indicates a problem with the package or the build
      environment."""
EARLIER_REFUSED = """\
error: Failed to fetch: `http://127.0.0.1:9/all/six/`
  Caused by: error sending request for url (http://127.0.0.1:9/all/six/)
  Caused by: Connection refused (os error 111)"""
EARLIER_OFFLINE = """\
  × No solution found when resolving dependencies:
  ╰─▶ Because six was not found in the cache and you require six, we can
      conclude that your requirements are unsatisfiable.
      hint: Packages were unavailable because the network was disabled. When
      the network is disabled, registry packages may only be read from the
      cache."""
CONDA = """\
Channels:
 - conda-forge
PackagesNotFoundError: The following packages are not available from current channels:

  - nosuch"""


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            UNSOLVABLE,
            (
                "No solution found when resolving dependencies: Because there is no version of six==99 and you require "
                "six==99"
            ),
        ),
        (
            EARLIER,
            (
                "No solution found when resolving dependencies: Because there is no version of six==99 and you require "
                "six==99"
            ),
        ),
        (NOT_BUILT, "Failed to build `bad==1`: RuntimeError: no compiler here"),
        (EARLIER_NOT_BUILT, "Failed to build `bad @ file:///tmp/bad`: RuntimeError: no compiler here"),
        (
            RENAMED,
            (
                "Failed to build `sklearn==0.0.post12`: The 'sklearn' PyPI package is deprecated, use 'scikit-learn': "
                "`sklearn` is often confused for `scikit-learn`. Did you mean to install `scikit-learn` instead?"
            ),
        ),
        (
            NOT_ALLOWED,
            (
                "No solution found when resolving dependencies: Because six was not found in the package registry and "
                "you require six: An index could not be queried due to a lack of valid authentication credentials "
                "(401 Unauthorized)"
            ),
        ),
        (
            GONE,
            (
                "Failed to fetch: https://x.example/six.whl: HTTP status client error (404 Not Found) for url "
                "(https://x.example/six.whl)"
            ),
        ),
        (
            CONDA,
            "PackagesNotFoundError: The following packages are not available from current channels: nosuch",
        ),
        ("", "uv ended with code 1"),
    ],
)
def test_what_the_author_has_to_mend_is_said_with_the_line_that_tells_why(said: str, sentence: str) -> None:
    error = translated(said.splitlines(), 1, "uv")

    assert type(error) is BuildFailed
    assert str(error) == (
        f"the environment can't be built: {sentence}; correct the packages, system_logs/build.log tells the rest"
    )


@pytest.mark.parametrize(
    ("said", "code", "words"),
    [
        (REFUSED, 2, "can't be reached (Failed to fetch: http://127.0.0.1:9/all/six/; Connection refused"),
        (BUSY, 2, "503 Service Unavailable"),
        (OFFLINE, 1, "can't be reached"),
        (EARLIER_OFFLINE, 1, "can't be reached"),
        (
            EARLIER_REFUSED,
            2,
            "can't be reached (Failed to fetch: `http://127.0.0.1:9/all/six/`; Connection refused",
        ),
        ("  cause: failed to write: No space left on device (os error 28)", 2, "no space is left"),
        ("Resolved 3 packages", -9, "uv was ended by signal 9"),
        (
            KILLED,
            2,
            "a program that uv has started was killed (Failed to bytecode-compile installed packages",
        ),
        (
            NOT_BUILT.replace("exit status: 1", "signal: 9 (SIGKILL)"),
            1,
            "was killed (Failed to build `bad==1`",
        ),
    ],
)
def test_what_may_be_different_next_time_is_no_fault_of_the_packages(
    said: str, code: int, words: str
) -> None:
    error = translated(said.splitlines(), code, "uv")

    assert type(error) is InfrastructureFailure
    assert words in str(error)
