#!/usr/bin/env bash
# Goal: where a site's file tells Open MPI which network interfaces to leave out, a run on one host ends well, and an MPI that
# cannot go on after a loss has nothing to say about it. Method: such a file in a home of the test's own.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
make_tiny
mkdir -p home/.openmpi
echo 'btl_tcp_if_exclude = lo,docker0' >home/.openmpi/mca-params.conf
HOME=$PWD/home must_run 0 2 run
[ "$(reeve version --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["ulfm"])')" = True ] ||
    ! grep -iE 'ORTE_ERROR_LOG|mutually|btl_tcp' run.out || fail "Open MPI has something to say about its interfaces"
