/* For LD_PRELOAD: a process that was started in the place of a lost one dies before MPI has begun in it, as where PMIx cannot
 * map its memory, or /dev/shm is full. Its starter is not told (Open MPI 5.0). */
#include <mpi.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int MPI_Init_thread(int *argc, char ***argv, int required, int *provided)
{
    char words[64] = "";
    FILE *file = fopen("/proc/self/cmdline", "re");
    size_t n = file != NULL ? fread(words, 1, sizeof(words) - 1, file) : 0;
    if (file != NULL) (void)fclose(file);
    const char *second = memchr(words, '\0', n);
    if (second != NULL && strcmp(second + 1, "--place") == 0) _exit(1);
    return PMPI_Init_thread(argc, argv, required, provided);
}
