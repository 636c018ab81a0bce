# Settings of Open MPI, UCX, NCCL and threads for a run under Slurm, each with its reason. What is set already stays as it
# is: to choose otherwise, export it before this is sourced, or edit a copy.
# shellcheck shell=bash

# default NAME VALUE: export it, unless you have set it (to whatever, also to nothing).
default() {
    [ -n "${!1+set}" ] || export "$1=$2"
}

# --- Open MPI: the first of each pair is read by version 4, the second by version 5 ---

# Ranks go round the nodes, one on each, then a second one: rank 0, the master, comes to lie beside the workers of the first
# node, and every node has the same number of workers.
default OMPI_MCA_rmaps_base_mapping_policy node
default PRTE_MCA_rmaps_default_mapping_policy node
# A worker has several threads. Tied to the core of its rank, all of them would share that one; Slurm has chosen the cores.
default OMPI_MCA_hwloc_base_binding_policy none
default PRTE_MCA_hwloc_default_binding_policy none

# --- Slurm's PMIx, where srun starts the ranks ---

# MPI_Init counts on it that nobody goes on before all have come. Slurm's other ways do not hold anybody back (seen with 22.05
# and 24.11): then a rank that is late by some milliseconds is sent to before it can receive, and ends in MPI_Init.
default SLURM_PMIX_FENCE ring

# --- UCX, where Open MPI was built with it ---

# A setting meant for another build of UCX is no reason for a warning from each rank.
default UCX_WARN_UNUSED_ENV_VARS n

# --- NCCL, where workers compute on GPUs ---

# Says why it cannot start or hangs, and nothing else.
default NCCL_DEBUG WARN
# Sums within NVLink's switches cannot be counted on to end when they are aborted, and an abort is how a sum is given up when a
# worker is lost. Reeve switches them off by itself too; to have them all the same, export 1.
default NCCL_NVLS_ENABLE 0
# Which of several networks is the fast one NCCL may guess wrong, and no name is right everywhere. If sums over nodes are slow
# or do not begin, export it before this is sourced; `ip -brief address` on a node lists the names:
# export NCCL_SOCKET_IFNAME=hsn0

# --- threads ---

# Workers take resources.threads of the job. This is for libraries that would start one on each core of the node.
default OMP_NUM_THREADS 1
