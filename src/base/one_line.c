/* See one_line.h. Control characters: ECMA-48, section 5; those of C1 are U+0080 to U+009F, in UTF-8 C2 80 to C2 9F. */
#include "base/one_line.h"

#include <string.h>

/* Bytes of the control character that stands here; 0: none does. */
static size_t control_bytes(const unsigned char *at)
{
    if (*at < ' ' || *at == 0x7F) return 1;
    return at[0] == 0xC2 && at[1] >= 0x80 && at[1] <= 0x9F ? 2 : 0;
}

static void blank_controls(char *text, const char *kept)
{
    for (char *at = text; *at != '\0'; at++)
        if (strchr(kept, *at) == NULL) memset(at, ' ', control_bytes((unsigned char *)at));
}

bool reeve_is_one_line(const char *text)
{
    for (; *text != '\0'; text++)
        if (control_bytes((const unsigned char *)text) > 0) return false;
    return true;
}

void reeve_one_line(char *text)
{
    blank_controls(text, "");
}

void reeve_plain_lines(char *text)
{
    blank_controls(text, "\n\t");
}
