/* From libyaml's events to a tree of small nodes; see yaml_tree.h. */
#include "config/yaml_tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/error.h"
#include "base/path.h"

/* A tree under construction. */
struct builder {
    struct reeve_yaml *tree;
    struct reeve_error *err;
    yaml_parser_t parser;
    const char *source; /* the text, borrowed */
    size_t source_bytes;
    uint32_t open[REEVE_YAML_DEPTH_MAX]; /* the lists and mappings that have not ended yet, outermost first */
    uint32_t last[REEVE_YAML_DEPTH_MAX]; /* the youngest child of each */
    uint32_t depth;
    bool done; /* the document has ended */
};

static reeve_status fail_at(const struct reeve_yaml *y, uint32_t line, uint32_t column, struct reeve_error *err,
                            reeve_status status, const char *text)
{
    if (y->is_override) return reeve_fail(err, status, "%s: %s", y->name, text);
    return reeve_fail(err, status, "%s:%u:%u: %s", y->name, line, column, text);
}

reeve_status reeve_yaml_fail(const struct reeve_yaml *y, uint32_t node, struct reeve_error *err, reeve_status status,
                             const char *format, ...)
{
    char text[REEVE_ERROR_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return fail_at(y, y->nodes[node].line, y->nodes[node].column, err, status, text);
}

static reeve_status fail_mark(struct builder *b, yaml_mark_t mark, const char *text)
{
    return fail_at(b->tree, (uint32_t)mark.line + 1, (uint32_t)mark.column + 1, b->err, REEVE_INPUT_INVALID, text);
}

/* Line and column of a byte, for errors that libyaml reports by offset alone. */
static yaml_mark_t mark_of_offset(const char *source, size_t bytes, size_t offset)
{
    yaml_mark_t mark = {0};
    if (offset > bytes) offset = bytes;
    for (size_t i = 0; i < offset; i++) {
        bool continues = ((unsigned char)source[i] & 0xC0) == 0x80; /* a column is a character, not a byte */
        if (source[i] == '\n') mark.line++, mark.column = 0;
        else if (!continues) mark.column++;
    }
    return mark;
}

/* What people most often mean by what libyaml cannot read: a tab where a line begins, or blanks that do not fit. */
static const char *parser_hint(const struct builder *b)
{
    size_t line = b->parser.problem_mark.line, at = 0;
    for (; line > 0 && at < b->source_bytes; at++)
        if (b->source[at] == '\n') line--;
    for (; at < b->source_bytes && (b->source[at] == ' ' || b->source[at] == '\t'); at++)
        if (b->source[at] == '\t') return "; a tab indents this line: use blanks";
    const char *problem = b->parser.problem != NULL ? b->parser.problem : "";
    if (strstr(problem, "mapping values") != NULL)
        return "; is this line indented as its neighbours, and a text that holds ': ' in quotes?";
    if (b->parser.error == YAML_PARSER_ERROR && strstr(problem, "did not find expected key") != NULL)
        return "; is this line indented as its neighbours?";
    const char *context = b->parser.context != NULL ? b->parser.context : "";
    if (strstr(context, "alias") != NULL || strstr(context, "anchor") != NULL)
        return "; a text that begins with '*' or '&' belongs in quotes";
    return "";
}

static reeve_status fail_parser(struct builder *b)
{
    const yaml_parser_t *p = &b->parser;
    char text[384];
    if (p->error == YAML_MEMORY_ERROR)
        return reeve_fail(b->err, REEVE_JOB_NO_MEMORY, "%s: out of memory", b->tree->name);
    const char *problem = p->problem != NULL ? p->problem : "no YAML";
    if (p->error == YAML_READER_ERROR) {
        (void)snprintf(text, sizeof(text), "not YAML: %s; UTF-8 text was expected", problem);
        return fail_mark(b, mark_of_offset(b->source, b->source_bytes, p->problem_offset), text);
    }
    if (p->context != NULL && p->context_mark.line != p->problem_mark.line)
        (void)snprintf(text, sizeof(text), "not YAML: %s (%s from line %zu on)%s", problem, p->context,
                       p->context_mark.line + 1, parser_hint(b));
    else
        (void)snprintf(text, sizeof(text), "not YAML: %s%s%s%s", problem, p->context != NULL ? ", " : "",
                       p->context != NULL ? p->context : "", parser_hint(b));
    return fail_mark(b, p->problem_mark, text);
}

static reeve_status grow(void **memory, uint64_t wanted, uint64_t room_max, uint64_t *room, size_t item_bytes)
{
    if (wanted <= *room) return REEVE_OK;
    uint64_t larger = *room < 64 ? 64 : *room + *room / 2;
    if (larger < wanted) larger = wanted;
    if (larger > room_max) larger = room_max;
    if (wanted > larger) return REEVE_JOB_NO_MEMORY;
    void *moved = realloc(*memory, larger * item_bytes);
    if (moved == NULL) return REEVE_JOB_NO_MEMORY;
    *memory = moved;
    *room = larger;
    return REEVE_OK;
}

/* A new node, hung into whatever is open. */
static reeve_status node_add(struct builder *b, enum reeve_yaml_kind kind, yaml_mark_t mark, uint32_t *out)
{
    struct reeve_yaml *y = b->tree;
    uint64_t room = y->node_room;
    reeve_status st = grow((void **)&y->nodes, (uint64_t)y->node_count + 1, UINT32_MAX - 1, &room, sizeof(y->nodes[0]));
    if (st != REEVE_OK) return reeve_fail(b->err, st, "%s: out of memory", y->name);
    y->node_room = (uint32_t)room;
    uint32_t node = y->node_count++;
    y->nodes[node] = (struct reeve_yaml_node){.line = (uint32_t)mark.line + 1,
                                              .column = (uint32_t)mark.column + 1,
                                              .first = REEVE_YAML_NONE,
                                              .next = REEVE_YAML_NONE,
                                              .kind = (uint8_t)kind};
    if (b->depth > 0) {
        struct reeve_yaml_node *parent = &y->nodes[b->open[b->depth - 1]];
        uint32_t *last = &b->last[b->depth - 1];
        bool is_key = parent->kind == REEVE_YAML_MAPPING && parent->count % 2 == 0;
        if (is_key && kind != REEVE_YAML_SCALAR) return fail_mark(b, mark, "a key must be a word");
        if (*last == REEVE_YAML_NONE) parent->first = node;
        else y->nodes[*last].next = node;
        *last = node;
        parent->count++;
    }
    *out = node;
    return REEVE_OK;
}

static reeve_status refuse_extras(struct builder *b, yaml_mark_t mark, const void *anchor, const void *tag)
{
    if (anchor != NULL) return fail_mark(b, mark, "anchors (&name) are not used here; write the value out");
    if (tag != NULL) return fail_mark(b, mark, "tags (!name) are not used here; write the value alone");
    return REEVE_OK;
}

static reeve_status add_scalar(struct builder *b, const yaml_event_t *event)
{
    struct reeve_yaml *y = b->tree;
    const char *value = (const char *)event->data.scalar.value;
    size_t bytes = event->data.scalar.length;
    uint32_t node;
    reeve_status st = refuse_extras(b, event->start_mark, event->data.scalar.anchor, event->data.scalar.tag);
    if (st == REEVE_OK && memchr(value, '\0', bytes) != NULL)
        st = fail_mark(b, event->start_mark, "a text cannot hold a NUL character");
    if (st == REEVE_OK) st = node_add(b, REEVE_YAML_SCALAR, event->start_mark, &node);
    if (st != REEVE_OK) return st;
    st = grow((void **)&y->text, y->text_bytes + bytes + 1, UINT32_MAX, &y->text_room, 1);
    if (st != REEVE_OK) return reeve_fail(b->err, st, "%s: out of memory", y->name);
    y->nodes[node].text = (uint32_t)y->text_bytes;
    y->nodes[node].plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    memcpy(y->text + y->text_bytes, value, bytes);
    y->text[y->text_bytes + bytes] = '\0';
    y->text_bytes += bytes + 1;
    return REEVE_OK;
}

static reeve_status begin(struct builder *b, enum reeve_yaml_kind kind, yaml_mark_t mark, const void *anchor,
                          const void *tag)
{
    uint32_t node;
    reeve_status st = refuse_extras(b, mark, anchor, tag);
    if (st == REEVE_OK && b->depth == REEVE_YAML_DEPTH_MAX) st = fail_mark(b, mark, "nested too deeply");
    if (st == REEVE_OK) st = node_add(b, kind, mark, &node);
    if (st != REEVE_OK) return st;
    b->open[b->depth] = node;
    b->last[b->depth] = REEVE_YAML_NONE;
    b->depth++;
    return REEVE_OK;
}

static reeve_status add_event(struct builder *b, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_SCALAR_EVENT: return add_scalar(b, e);
    case YAML_SEQUENCE_START_EVENT:
        return begin(b, REEVE_YAML_LIST, e->start_mark, e->data.sequence_start.anchor, e->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return begin(b, REEVE_YAML_MAPPING, e->start_mark, e->data.mapping_start.anchor, e->data.mapping_start.tag);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: b->depth--; return REEVE_OK;
    case YAML_ALIAS_EVENT:
        return fail_mark(b, e->start_mark,
                         "aliases (*name) are not used here; write the value out, or in quotes a text that begins so");
    case YAML_DOCUMENT_START_EVENT:
        if (b->done) return fail_mark(b, e->start_mark, "a second document begins here; one was expected");
        return REEVE_OK;
    case YAML_DOCUMENT_END_EVENT: b->done = true; return REEVE_OK;
    default: return REEVE_OK; /* the stream's own start and end */
    }
}

static reeve_status build(struct builder *b)
{
    for (;;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&b->parser, &event)) return fail_parser(b);
        bool at_end = event.type == YAML_STREAM_END_EVENT;
        reeve_status st = add_event(b, &event);
        yaml_event_delete(&event);
        if (st != REEVE_OK) return st;
        if (at_end) break;
    }
    if (b->tree->node_count > 0) return REEVE_OK;
    yaml_mark_t start = {0};
    if (!b->tree->is_override) return fail_mark(b, start, "empty; keys with values (a mapping) were expected");
    yaml_event_t nothing = {0};
    nothing.data.scalar.value = (yaml_char_t *)"";
    nothing.data.scalar.style = YAML_PLAIN_SCALAR_STYLE;
    return add_scalar(b, &nothing);
}

reeve_status reeve_yaml_parse(const char *name, bool is_override, const char *text, size_t bytes,
                              struct reeve_yaml *out, struct reeve_error *err)
{
    struct builder b = {.tree = out, .err = err, .source = text, .source_bytes = bytes};
    *out = (struct reeve_yaml){.is_override = is_override};
    size_t name_bytes = strlen(name);
    if (name_bytes < sizeof(out->name)) memcpy(out->name, name, name_bytes);
    else if (is_override) (void)snprintf(out->name, sizeof(out->name), "%.*s...", (int)sizeof(out->name) - 4, name);
    else (void)snprintf(out->name, sizeof(out->name), "...%s", name + name_bytes - (sizeof(out->name) - 4));
    const char *nul = memchr(text, '\0', bytes);
    if (nul != NULL)
        return fail_mark(&b, mark_of_offset(text, bytes, (size_t)(nul - text)), "a NUL byte; UTF-8 text was expected");
    if (!yaml_parser_initialize(&b.parser)) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "%s: out of memory", out->name);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)text, bytes);
    reeve_status st = build(&b);
    yaml_parser_delete(&b.parser);
    if (st != REEVE_OK) reeve_yaml_fini(out);
    return st;
}

reeve_status reeve_yaml_read(const char *path, size_t bytes_max, struct reeve_yaml *out, struct reeve_error *err)
{
    char *text = NULL;
    size_t bytes = 0;
    *out = (struct reeve_yaml){0};
    reeve_status st = reeve_file_read(path, bytes_max, &text, &bytes, err);
    if (st != REEVE_OK) return st;
    st = reeve_yaml_parse(path, false, text, bytes, out, err);
    free(text);
    return st;
}

void reeve_yaml_fini(struct reeve_yaml *y)
{
    free(y->nodes);
    free(y->text);
    y->nodes = NULL;
    y->text = NULL;
    y->node_count = y->node_room = 0;
    y->text_bytes = y->text_room = 0;
}

const char *reeve_yaml_text(const struct reeve_yaml *y, uint32_t node)
{
    REEVE_ASSERT(node < y->node_count && y->nodes[node].kind == REEVE_YAML_SCALAR);
    return y->text + y->nodes[node].text;
}

bool reeve_yaml_is_nothing(const struct reeve_yaml *y, uint32_t node)
{
    const struct reeve_yaml_node *n = &y->nodes[node];
    if (n->kind != REEVE_YAML_SCALAR || !n->plain) return false;
    const char *text = reeve_yaml_text(y, node);
    return text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0;
}

uint32_t reeve_yaml_find(const struct reeve_yaml *y, uint32_t mapping, const char *key)
{
    if (y->nodes[mapping].kind != REEVE_YAML_MAPPING) return REEVE_YAML_NONE;
    for (uint32_t at = y->nodes[mapping].first; at != REEVE_YAML_NONE;) {
        uint32_t value = y->nodes[at].next;
        if (strcmp(reeve_yaml_text(y, at), key) == 0) return value;
        at = y->nodes[value].next;
    }
    return REEVE_YAML_NONE;
}

const char *reeve_yaml_found(const struct reeve_yaml *y, uint32_t node, char out[REEVE_YAML_FOUND_BYTES])
{
    const struct reeve_yaml_node *n = &y->nodes[node];
    if (n->kind != REEVE_YAML_SCALAR) {
        (void)snprintf(out, REEVE_YAML_FOUND_BYTES, "%s", n->kind == REEVE_YAML_LIST ? "a list" : "a mapping");
    } else if (reeve_yaml_is_nothing(y, node)) {
        (void)snprintf(out, REEVE_YAML_FOUND_BYTES, "nothing");
    } else {
        const char *text = reeve_yaml_text(y, node);
        const char *mark = n->plain ? "'" : "\"";
        size_t bytes = strlen(text), shown = bytes > 48 ? 48 : bytes;
        while (shown < bytes && shown > 0 && ((unsigned char)text[shown] & 0xC0) == 0x80)
            shown--; /* whole characters */
        (void)snprintf(out, REEVE_YAML_FOUND_BYTES, "%s%.*s%s%s", mark, (int)shown, text, shown < bytes ? "..." : "",
                       mark);
    }
    return out;
}
