/* Prompts into tokens and tokens into text. The model may make any bytes at all: they are untrusted. */
#include "workload/gpt_text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

bool gpt_text_append(struct gpt_text *t, int32_t token)
{
    if (t->is_bytes) {
        if (t->used + 1 >= t->bytes_max) return false;
        t->text[t->used++] = (char)(unsigned char)token;
        return true;
    }
    char number[16];
    int n = snprintf(number, sizeof(number), t->used == 0 ? "%d" : " %d", (int)token);
    if (n < 0 || t->used + (size_t)n >= t->bytes_max) return false;
    memcpy(t->text + t->used, number, (size_t)n);
    t->used += (size_t)n;
    return true;
}

/* Length of the UTF-8 character at s, n >= 1 bytes left; 0: none begins here; n + 1: it would go on behind the end. */
static size_t character_length(const unsigned char *s, size_t n)
{
    unsigned char low = 0x80, high = 0xbf; /* of the second byte: no overlong form, surrogate, or code above U+10FFFF */
    size_t length;
    if (s[0] < 0x80) return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf) length = 2;
    else if (s[0] >= 0xe0 && s[0] <= 0xef) length = 3;
    else if (s[0] >= 0xf0 && s[0] <= 0xf4) length = 4;
    else return 0;
    if (s[0] == 0xe0) low = 0xa0;
    if (s[0] == 0xed) high = 0x9f;
    if (s[0] == 0xf0) low = 0x90;
    if (s[0] == 0xf4) high = 0x8f;
    for (size_t i = 1; i < length; i++, low = 0x80, high = 0xbf) {
        if (i == n) return n + 1;
        if (s[i] < low || s[i] > high) return 0;
    }
    return length;
}

static bool is_control(const unsigned char *s, size_t length)
{
    if (length == 1) return (s[0] < 0x20 && s[0] != '\n' && s[0] != '\t') || s[0] == 0x7f;
    return length == 2 && s[0] == 0xc2 && s[1] < 0xa0;
}

void gpt_text_finish(struct gpt_text *t)
{
    unsigned char *s = (unsigned char *)t->text;
    size_t i = 0;
    while (t->is_bytes && i < t->used) {
        size_t length = character_length(s + i, t->used - i);
        if (length > t->used - i) {
            t->used = i;
            break;
        }
        if (length == 0) {
            s[i] = '?';
            length = 1;
        } else if (is_control(s + i, length)) {
            memset(s + i, '?', length);
        }
        i += length;
    }
    t->text[t->used] = '\0';
}

/* Keep the last tokens_max tokens. */
static void push(int32_t *tokens, uint32_t tokens_max, uint32_t *count, int32_t token)
{
    if (*count == tokens_max) {
        memmove(tokens, tokens + 1, (tokens_max - 1) * sizeof(*tokens));
        (*count)--;
    }
    tokens[(*count)++] = token;
}

static reeve_status parse_number(const char *prompt, const char **at, uint32_t vocab, int32_t *token,
                                 struct reeve_error *err)
{
    char *end = NULL;
    unsigned long long value = isdigit((unsigned char)**at) ? strtoull(*at, &end, 10) : 0;
    if (end == NULL || (*end != '\0' && !isspace((unsigned char)*end)) || value >= vocab)
        return reeve_fail(
            err, REEVE_TASK_REJECTED,
            "gpt: the prompt has '%.20s' at byte %td; with a vocabulary of %u it is written as token numbers "
            "0 to %u between blanks",
            *at, *at - prompt, vocab, vocab - 1);
    *token = (int32_t)value;
    *at = end;
    return REEVE_OK;
}

reeve_status gpt_text_prompt(const char *prompt, uint32_t vocab, int32_t *tokens, uint32_t tokens_max, uint32_t *count,
                             struct gpt_text *text, struct reeve_error *err)
{
    const char *at = prompt;
    *count = 0;
    if (vocab == GPT_TEXT_BYTES_VOCAB) {
        size_t bytes = strlen(prompt);
        for (size_t i = 0; i < bytes; i++)
            (void)gpt_text_append(text, (unsigned char)prompt[i]);
        for (size_t i = bytes > tokens_max ? bytes - tokens_max : 0; i < bytes; i++)
            push(tokens, tokens_max, count, (unsigned char)prompt[i]);
    } else {
        for (;;) {
            while (isspace((unsigned char)*at))
                at++;
            if (*at == '\0') break;
            int32_t token = 0;
            reeve_status st = parse_number(prompt, &at, vocab, &token, err);
            if (st != REEVE_OK) return st;
            push(tokens, tokens_max, count, token);
            (void)gpt_text_append(text, token);
        }
    }
    if (*count == 0) push(tokens, tokens_max, count, vocab == GPT_TEXT_BYTES_VOCAB ? '\n' : 0);
    return REEVE_OK;
}
