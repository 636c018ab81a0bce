/* See control_group.h. */
#include "cli/control_group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"

/* Reads what one group says. False: it sets no limit. */
typedef bool (*read_limit)(const char *folder, double *value);

/* Up to two numbers of a group's file; "max" and what is not there leave them as they are. */
static void read_numbers(const char *folder, const char *name, double *first, double *second)
{
    char path[REEVE_PATH_BYTES_MAX + 32], word[2][32] = {"", ""};
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "re");
    if (f == NULL) return;
    if (fscanf(f, "%31s %31s", word[0], word[1]) >= 1) {
        char *end;
        double value = strtod(word[0], &end);
        if (end != word[0]) *first = value;
        value = strtod(word[1], &end);
        if (end != word[1]) *second = value;
    }
    (void)fclose(f);
}

static bool read_memory_v2(const char *folder, double *value)
{
    double unused = -1;
    *value = -1;
    read_numbers(folder, "memory.max", value, &unused);
    return *value >= 0;
}

static bool read_memory_v1(const char *folder, double *value)
{
    double unused = -1;
    *value = -1;
    read_numbers(folder, "memory.limit_in_bytes", value, &unused);
    return *value >= 0 && *value < 9e18; /* no limit is the largest number, in whole pages */
}

static bool read_cores_v2(const char *folder, double *value)
{
    double quota = -1, period = -1;
    read_numbers(folder, "cpu.max", &quota, &period);
    *value = quota / period;
    return quota > 0 && period > 0;
}

static bool read_cores_v1(const char *folder, double *value)
{
    double quota = -1, period = -1, unused = -1;
    read_numbers(folder, "cpu.cfs_quota_us", &quota, &unused);
    read_numbers(folder, "cpu.cfs_period_us", &period, &unused);
    *value = quota / period;
    return quota > 0 && period > 0; /* a quota of -1: none */
}

/* From `group` up to the root of the hierarchy that is mounted at `top`. */
static void take_least(const char *top, char *group, read_limit read, struct reeve_group_limit *least)
{
    if (strstr(group, "/..") != NULL) group[0] = '\0'; /* beyond what this name space shows */
    for (;;) {
        char folder[REEVE_PATH_BYTES_MAX];
        double value;
        int n = snprintf(folder, sizeof(folder), "%s%s", top, group);
        if (n > 0 && (size_t)n < sizeof(folder) && read(folder, &value) && (!least->set || value < least->value)) {
            least->set = true;
            least->value = value;
            (void)snprintf(least->group, sizeof(least->group), "%s", group[0] != '\0' ? group : "/");
        }
        char *slash = strrchr(group, '/');
        if (slash == NULL) return;
        *slash = '\0';
    }
}

/* "memory" in "cpu,memory" */
static bool is_listed(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = list; *at != '\0'; at += *at == ',') {
        size_t word = strcspn(at, ",");
        if (word == n && strncmp(at, name, n) == 0) return true;
        at += word;
    }
    return false;
}

/* Lines of the file are HIERARCHY:CONTROLLERS:PATH; version 2 is hierarchy 0, which lists no controllers. */
static struct reeve_group_limit find_least(const char *groups, const char *mount, const char *controller, read_limit v1,
                                           read_limit v2)
{
    struct reeve_group_limit least = {.set = false};
    char top[REEVE_PATH_BYTES_MAX], *line = NULL;
    size_t line_bytes = 0;
    FILE *f = fopen(groups, "re");
    if (f == NULL) return least;
    while (getline(&line, &line_bytes, f) > 0) {
        line[strcspn(line, "\n")] = '\0';
        char *list = strchr(line, ':'), *group = list != NULL ? strchr(list + 1, ':') : NULL;
        if (group == NULL) continue;
        *list++ = *group++ = '\0';
        bool second = list[0] == '\0' && strcmp(line, "0") == 0;
        if (!second && !is_listed(list, controller)) continue;
        (void)snprintf(top, sizeof(top), "%s%s%s", mount, second ? "" : "/", second ? "" : controller);
        take_least(top, group, second ? v2 : v1, &least);
    }
    free(line);
    (void)fclose(f);
    return least;
}

struct reeve_group_limit reeve_group_memory_bytes(const char *groups, const char *mount)
{
    return find_least(groups, mount, "memory", read_memory_v1, read_memory_v2);
}

struct reeve_group_limit reeve_group_cores(const char *groups, const char *mount)
{
    return find_least(groups, mount, "cpu", read_cores_v1, read_cores_v2);
}
