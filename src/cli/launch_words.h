/* What mpirun says on stderr when a launch ends badly, between two lines of dashes: which process was lost, on which host,
 * and by which signal. That is taken from it, and told in our own words; all other words pass. Texts of Open MPI 4.1 and
 * 5.0: tests/unit/cli/launch_words_test.c. */
#ifndef REEVE_CLI_LAUNCH_WORDS_H
#define REEVE_CLI_LAUNCH_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct reeve_launch_death {
    bool known;
    int rank; /* 0: the master */
    int signal; /* 0: not told */
    char host[256];
};

struct reeve_launch_words {
    char line[4096]; /* begun, and not ended yet */
    size_t line_bytes;
    char block[8192]; /* from a line of dashes on, held back until the next */
    size_t block_bytes;
    bool in_block;
    struct reeve_launch_death death; /* the first that was told */
};

/* Take what came through the pipe; what is for the user goes to out, what was told to us goes to log (may be NULL). */
void reeve_launch_words_take(struct reeve_launch_words *w, const char *text, size_t bytes, FILE *out, FILE *log);
/* Nothing more is coming, or not for a while: let go of what is held back. */
void reeve_launch_words_flush(struct reeve_launch_words *w, FILE *out);

#endif
