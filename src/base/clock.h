/* The two clocks. Decisions use the monotonic one only; the wall clock is for people and files. */
#ifndef REEVE_BASE_CLOCK_H
#define REEVE_BASE_CLOCK_H

#include <stdint.h>

#include "reeve/ids.h"

#define REEVE_SECOND_NS ((reeve_time_ns)1000000000)
#define REEVE_MILLISECOND_NS ((reeve_time_ns)1000000)

reeve_time_ns reeve_clock_now(void);      /* CLOCK_MONOTONIC, ns */
int64_t reeve_clock_wall_ns(void);        /* CLOCK_REALTIME, ns since 1970 */
void reeve_clock_sleep(reeve_time_ns ns); /* returns early on a signal */
/* "2026-11-24T01:02:03Z" into text (21 bytes with the NUL). */
void reeve_clock_format_utc(int64_t wall_ns, char text[21]);

#endif
