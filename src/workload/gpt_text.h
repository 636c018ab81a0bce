/* Text that a model made, for people: bytes become clean UTF-8, other tokens their numbers. */
#ifndef REEVE_WORKLOAD_GPT_TEXT_H
#define REEVE_WORKLOAD_GPT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reeve/status.h"

#define GPT_TEXT_BYTES_VOCAB 256u /* with this vocabulary a token is a byte */

/* A text that grows in the caller's buffer; never more than bytes_max with the NUL. */
struct gpt_text {
    char *text;       /* borrowed */
    size_t bytes_max; /* >= 1 */
    size_t used;      /* without NUL */
    bool is_bytes;
};

/* False: it does not fit, and nothing was added. */
bool gpt_text_append(struct gpt_text *t, int32_t token);

/* End the text. Where tokens are bytes: each byte that is not part of valid UTF-8 (RFC 3629), and each byte of a
 * control character (C0 but newline and tab, DEL, C1) becomes '?', so a terminal shows it and obeys none of it; a
 * character that the end cut off is dropped. */
void gpt_text_finish(struct gpt_text *t);

/* The prompt's tokens into tokens (tokens_max,), the last ones if there are more, and all of them into `text` (which
 * may be too small for them). Where tokens are bytes: its bytes; "" is a newline. Else: token numbers between blanks;
 * "" is token 0. TASK_REJECTED: not such numbers, or one is not below vocab. */
reeve_status gpt_text_prompt(const char *prompt, uint32_t vocab, int32_t *tokens, uint32_t tokens_max, uint32_t *count,
                             struct gpt_text *text, struct reeve_error *err);

#endif
