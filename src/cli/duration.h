/* A duration as people and Slurm write it. */
#ifndef REEVE_CLI_DURATION_H
#define REEVE_CLI_DURATION_H

#include <stdbool.h>
#include <stdint.h>

/* "90s", "30m", "12h", "2d", "H:MM:SS", "D-HH:MM:SS" -> seconds. A number alone is refused: minutes to Slurm, seconds to
 * others. At most ten years. */
bool reeve_duration_parse(const char *text, uint64_t *seconds);

#endif
