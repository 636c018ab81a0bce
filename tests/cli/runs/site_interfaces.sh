#!/usr/bin/env bash
# Goal: where a site's file tells Open MPI which network interfaces to leave out, a run on one host ends well, and an MPI that
# cannot go on after a loss has nothing to say about it; nor has any MPI where the file is the site's, which mpirun does not hand
# on; and it is told why nobody can be replaced. Method: such a file in a home of the test's own, and one as the site's.
# shellcheck source=tests/fault/tiny.sh
. "$REEVE_SOURCE/tests/fault/tiny.sh"
make_tiny
mkdir -p home/.openmpi
echo 'btl_tcp_if_exclude = lo,docker0' >home/.openmpi/mca-params.conf
HOME=$PWD/home must_run 0 2 run
ulfm=$(reeve version --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["ulfm"])')
[ "$ulfm" = True ] ||
    ! grep -iE 'ORTE_ERROR_LOG|mutually|btl_tcp' run.out || fail "Open MPI has something to say about its interfaces"

printf '# of the site\n btl_tcp_if_exclude\t= docker0\n' >site.conf
printf 'faults: {replace: true}\n' >>job.yaml
OMPI_MCA_mca_base_param_files=$PWD/site.conf must_run 0 2 site
! grep -iE 'mutually|MCA variable' run.out || fail "Open MPI is told two things at once"
[ "$ulfm" = True ] || exit 0
expect_text site/log/rank-00000.log "no effect: Open MPI was told which network interfaces to take \\($PWD/site.conf:2\\)"
OMPI_MCA_btl_tcp_if_exclude=docker0 must_run 0 2 variable
expect_text variable/log/rank-00000.log 'interfaces to take \(OMPI_MCA_btl_tcp_if_exclude in the environment\)'
OMPI_MCA_mca_base_param_files=/dev/null must_run 0 2 none
expect_no_text none/log/rank-00000.log 'no effect'
