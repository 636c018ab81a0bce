/* See one_line.h. Control characters: ECMA-48, section 5; those of C1 are U+0080 to U+009F, in UTF-8 C2 80 to C2 9F. */
#include "base/one_line.h"

#include <string.h>

static void blank_controls(char *text, const char *kept)
{
    for (unsigned char *at = (unsigned char *)text; *at != '\0'; at++) {
        if ((*at < ' ' || *at == 0x7F) && strchr(kept, *at) == NULL) *at = ' ';
        if (at[0] == 0xC2 && at[1] >= 0x80 && at[1] <= 0x9F) at[0] = at[1] = ' ';
    }
}

void reeve_one_line(char *text)
{
    blank_controls(text, "");
}

void reeve_plain_lines(char *text)
{
    blank_controls(text, "\n\t");
}
