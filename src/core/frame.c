/* Frames on the wire; see frame.h. A message: u32 magic, u32 bytes in all, then frames; after each frame its text,
 * padded with zeros to 8 bytes. Host byte order is little-endian on every machine that Reeve supports. */
#include "core/frame.h"

#include <stdbool.h>
#include <string.h>

struct message_head {
    uint32_t magic;
    uint32_t bytes;
};

static size_t padded(size_t n)
{
    return (n + 7u) & ~(size_t)7u;
}

bool reeve_frame_push(void *message, size_t message_bytes_max, size_t *used, const struct reeve_frame *frame,
                      const char *text)
{
    size_t start = *used == 0 ? sizeof(struct message_head) : *used;
    size_t text_bytes = text == NULL ? 0 : strlen(text);
    if (text_bytes > REEVE_FRAME_TEXT_MAX) text_bytes = REEVE_FRAME_TEXT_MAX;
    size_t end = start + sizeof(*frame) + padded(text_bytes);
    if (end > message_bytes_max) return false;
    unsigned char *at = (unsigned char *)message + start;
    struct reeve_frame copy = *frame;
    copy.text_bytes = (uint16_t)text_bytes;
    memcpy(at, &copy, sizeof(copy));
    memset(at + sizeof(copy), 0, padded(text_bytes));
    if (text_bytes > 0) memcpy(at + sizeof(copy), text, text_bytes);
    struct message_head head = {REEVE_FRAME_MAGIC, (uint32_t)end};
    memcpy(message, &head, sizeof(head));
    *used = end;
    return true;
}

reeve_status reeve_frame_next(const void *message, size_t message_bytes, size_t *offset, struct reeve_frame *frame,
                              const char **text, bool *end)
{
    *end = false;
    if (*offset == 0) {
        struct message_head head;
        if (message_bytes < sizeof(head)) return REEVE_INPUT_INVALID;
        memcpy(&head, message, sizeof(head));
        if (head.magic != REEVE_FRAME_MAGIC || head.bytes != message_bytes) return REEVE_INPUT_INVALID;
        *offset = sizeof(head);
    }
    if (*offset == message_bytes) {
        *end = true;
        return REEVE_OK;
    }
    if (*offset > message_bytes || message_bytes - *offset < sizeof(*frame)) return REEVE_INPUT_INVALID;
    const unsigned char *at = (const unsigned char *)message + *offset;
    memcpy(frame, at, sizeof(*frame));
    size_t rest = message_bytes - *offset - sizeof(*frame);
    if (frame->text_bytes > REEVE_FRAME_TEXT_MAX || padded(frame->text_bytes) > rest) return REEVE_INPUT_INVALID;
    *text = (const char *)at + sizeof(*frame);
    *offset += sizeof(*frame) + padded(frame->text_bytes);
    return REEVE_OK;
}

const char *reeve_frame_name(uint16_t kind)
{
    switch (kind) {
    case REEVE_FRAME_HELLO: return "HELLO";
    case REEVE_FRAME_READY: return "READY";
    case REEVE_FRAME_RESTORE_FAILED: return "RESTORE_FAILED";
    case REEVE_FRAME_COMPUTED: return "COMPUTED";
    case REEVE_FRAME_DONE: return "DONE";
    case REEVE_FRAME_FAILED: return "FAILED";
    case REEVE_FRAME_RELEASED: return "RELEASED";
    case REEVE_FRAME_WIND_DOWN: return "WIND_DOWN";
    case REEVE_FRAME_REDUCED: return "REDUCED";
    case REEVE_FRAME_REDUCE_FAILED: return "REDUCE_FAILED";
    case REEVE_FRAME_APPLIED: return "APPLIED";
    case REEVE_FRAME_WEIGHTS: return "WEIGHTS";
    case REEVE_FRAME_CKPT_PART: return "CKPT_PART";
    case REEVE_FRAME_CKPT_PART_FAILED: return "CKPT_PART_FAILED";
    case REEVE_FRAME_HEARTBEAT: return "HEARTBEAT";
    case REEVE_FRAME_GOODBYE: return "GOODBYE";
    case REEVE_FRAME_HOLDING: return "HOLDING";
    case REEVE_FRAME_REJOIN: return "REJOIN";
    case REEVE_FRAME_WELCOME: return "WELCOME";
    case REEVE_FRAME_INIT: return "INIT";
    case REEVE_FRAME_RESTORE: return "RESTORE";
    case REEVE_FRAME_LEASE: return "LEASE";
    case REEVE_FRAME_REVOKE: return "REVOKE";
    case REEVE_FRAME_REDUCE: return "REDUCE";
    case REEVE_FRAME_APPLY: return "APPLY";
    case REEVE_FRAME_DISCARD: return "DISCARD";
    case REEVE_FRAME_CHECKPOINT: return "CHECKPOINT";
    case REEVE_FRAME_DRAIN: return "DRAIN";
    case REEVE_FRAME_STATE: return "STATE";
    case REEVE_FRAME_END: return "END";
    case REEVE_FRAME_FIRST: return "FIRST";
    default: return "?";
    }
}
