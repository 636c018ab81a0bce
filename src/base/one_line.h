/* Text that came from outside, on its way to people. */
#ifndef REEVE_BASE_ONE_LINE_H
#define REEVE_BASE_ONE_LINE_H

#include <stdbool.h>

/* Is there nothing in it that the next would change? */
bool reeve_is_one_line(const char *text);
/* In place: what ends a line, or is a command to a terminal (C0, DEL, and C1 in UTF-8), becomes blanks. So no path, name or
 * message poses as a line of its own, or changes the colours, the title or the input of whoever reads it. */
void reeve_one_line(char *text);
/* The same for a text that may have lines of its own: newlines and tabs stay. */
void reeve_plain_lines(char *text);

#endif
