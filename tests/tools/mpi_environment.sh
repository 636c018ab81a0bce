# To be sourced: Open MPI 4 and 5 as a test needs them, on one machine, as any user, with few cores.
# shellcheck shell=bash

export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# More ranks than cores: allowed, and then idle ranks have to give their core away. One name for each major version.
export OMPI_MCA_rmaps_base_oversubscribe=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
export OMPI_MCA_mpi_yield_when_idle=1
# A container has often no right to read another process's memory; the plain way through shared memory always works.
export OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_btl_sm_single_copy_mechanism=none
export OMPI_MCA_hwloc_base_binding_policy=none PRTE_MCA_hwloc_default_binding_policy=none
# The same path for messages on every machine: shared memory within one, TCP beyond it.
export OMPI_MCA_pml=ob1 OMPI_MCA_btl=^openib,ofi,uct
