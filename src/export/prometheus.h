/* RUN/reeve.prom: the report in Prometheus' text format 0.0.4, for node_exporter's textfile collector (which takes no
 * timestamps: the file's own time says how old it is). Point --collector.textfile.directory at it, or link it there. */
#ifndef REEVE_EXPORT_PROMETHEUS_H
#define REEVE_EXPORT_PROMETHEUS_H

#include "export/status_file.h"

/* The whole text. *text: free(). JOB_NO_MEMORY. Cost: a few KiB, whatever the size of the run. */
reeve_status reeve_prometheus_format(const struct reeve_status_report *r, char **text, struct reeve_error *err);
/* Replace `path` atomically (not synced). STORE_CREATE | STORE_WRITE | JOB_NO_MEMORY. */
reeve_status reeve_prometheus_write(const char *path, const struct reeve_status_report *r, struct reeve_error *err);

#endif
