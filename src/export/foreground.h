/* Who has the terminal: a line that is redrawn several times a second must not be drawn over somebody's prompt. */
#ifndef REEVE_EXPORT_FOREGROUND_H
#define REEVE_EXPORT_FOREGROUND_H

#include <stdbool.h>
#include <sys/types.h>

/* Is this process neither stopped (Ctrl-Z) nor in the background of its terminal (`bg`, `&`)? True where it has no
 * terminal, or where nothing is known of it. Asked of a process of this machine, of any session: tcgetpgrp() answers only
 * about one's own terminal, and ranks have none. Reads /proc/PID/stat. */
bool reeve_foreground_has(pid_t process);

/* The same of the text of that file; see proc(5). Pure. */
bool reeve_foreground_parse(const char *stat);

#endif
