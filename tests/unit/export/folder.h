/* A fresh folder for the files of one test program, removed at its end. */
#ifndef TEST_EXPORT_FOLDER_H
#define TEST_EXPORT_FOLDER_H

#include <stdio.h>
#include <stdlib.h>

#include "base/path.h"

static char folder[] = "/tmp/reeve-export-XXXXXX";

static inline int folder_make(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static inline int folder_remove(void **state)
{
    (void)state;
    return reeve_remove_tree(folder, NULL) != REEVE_OK;
}

static inline const char *folder_file(const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static inline void folder_write(const char *name, const char *text)
{
    FILE *file = fopen(folder_file(name), "w");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0) abort();
}

#endif
