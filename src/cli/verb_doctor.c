/* `reeve doctor`: what this build was made with, what this machine gives, and whether training can run here. */
#include <stdio.h>

#include "cli/doctor.h"
#include "cli/output.h"
#include "cli/verb.h"
#include "reeve/status.h"

enum { OPT_SLURM = 300 };

static int doctor_main(const struct reeve_verb *verb, int argc, char **argv)
{
    static struct reeve_doctor d; /* some 50 KiB: not for the stack */
    bool json = false, slurm = false;
    for (int id; (id = reeve_verb_option(verb, argc, argv, NULL)) != -1;) {
        json = json || id == REEVE_OPT_JSON_ID;
        slurm = slurm || id == OPT_SLURM;
    }
    int code = reeve_verb_operands(verb, argc, argv, 0, 0);
    if (code != 0) return code;

    reeve_doctor_probe_build(&d);
    reeve_doctor_probe_machine(&d);
    reeve_doctor_probe_folder(&d);
    reeve_doctor_probe_launcher(&d);
    reeve_doctor_probe_libraries(&d);
    reeve_doctor_probe_cluster(&d);
    if (slurm) reeve_doctor_probe_slurm(&d);

    if (!json) reeve_doctor_print(&d, stdout);
    else if ((code = reeve_doctor_print_json(&d)) != 0) return code;
    return reeve_doctor_can_train(&d) ? REEVE_EXIT_DONE : REEVE_EXIT_CONFIG;
}

static const struct reeve_opt doctor_opts[] = {
    {OPT_SLURM, "slurm", NULL, "ask Slurm too: PMIx, requeueing, signals, the end of a job's time, GPUs"},
    REEVE_OPT_JSON,
    {0}};
const struct reeve_verb reeve_verb_doctor = {
    "doctor",
    "",
    "say what this machine gives, what is missing, and what follows from it",
    "Looks at the processor, memory, the current folder (a run directory would be here), the MPI launcher, HDF5,\n"
    "OpenBLAS, Slurm and GPUs, and starts two processes by way of trial. Changes nothing. Run it where the job will\n"
    "run: a login node often has other answers than a compute node.\n"
    "\n"
    "Exit code 0 if training can run here, 78 if something marked BAD has to be mended first.\n"
    "\n"
    "Examples:\n"
    "  reeve doctor\n"
    "  reeve doctor --slurm             on a login node: what this cluster allows\n"
    "  reeve doctor --json | python3 -c 'import json,sys; print(json.load(sys.stdin)[\"can_train\"])'\n",
    doctor_opts,
    doctor_main};
