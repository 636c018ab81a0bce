/* See foreground.h. */
#include "export/foreground.h"

#include <stdio.h>
#include <string.h>

bool reeve_foreground_parse(const char *stat)
{
    char state = '\0';
    long group = 0, terminal = 0, foreground = 0;
    const char *at = strrchr(stat, ')'); /* the name in front of it may hold blanks and brackets of its own */
    if (at == NULL || sscanf(at, ") %c %*d %ld %*d %ld %ld", &state, &group, &terminal, &foreground) != 4) return true;
    if (state == 'T' || state == 't') return false;
    return terminal == 0 || foreground <= 0 || group == foreground;
}

bool reeve_foreground_has(pid_t process)
{
    char path[64], stat[512];
    (void)snprintf(path, sizeof(path), "/proc/%ld/stat", (long)process);
    FILE *f = fopen(path, "re");
    if (f == NULL) return true;
    size_t n = fread(stat, 1, sizeof(stat) - 1, f);
    (void)fclose(f);
    stat[n] = '\0';
    return reeve_foreground_parse(stat);
}
