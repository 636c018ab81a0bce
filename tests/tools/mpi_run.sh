#!/usr/bin/env bash
# Start a test program on RANKS ranks here, under whatever MPI is installed: mpi_run.sh RANKS PROGRAM [ARG...]
set -euo pipefail

# shellcheck source=tests/tools/mpi_environment.sh
. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/mpi_environment.sh"
ranks=${1:?how many ranks}
shift
exec mpirun -n "$ranks" "$@" </dev/null
