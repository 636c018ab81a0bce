/* The list of findings: kept, judged and told. */
#include "cli/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/output.h"

struct reeve_finding *reeve_verification_add(struct reeve_verification *v, const char *file)
{
    if (v->count == v->room) {
        uint32_t room = v->room == 0 ? 16 : v->room * 2;
        struct reeve_finding *grown = reallocarray(v->findings, room, sizeof *grown);
        if (grown == NULL) exit(reeve_cli_fail_text(REEVE_EXIT_INTERNAL, "verify: out of memory"));
        v->findings = grown;
        v->room = room;
    }
    struct reeve_finding *f = &v->findings[v->count++];
    memset(f, 0, sizeof *f);
    (void)snprintf(f->file, sizeof f->file, "%s", file);
    return f;
}

void reeve_verification_destroy(struct reeve_verification *v)
{
    free(v->findings);
    *v = (struct reeve_verification){0};
}

uint32_t reeve_verification_damaged(const struct reeve_verification *v)
{
    uint32_t damaged = 0;
    for (uint32_t i = 0; i < v->count; i++)
        damaged += v->findings[i].grade == REEVE_FINDING_DAMAGE;
    return damaged;
}

/* Damage weighs more than a disk that cannot be read, and that more than a file that is not there. */
int reeve_verification_exit_code(const struct reeve_verification *v)
{
    int code = REEVE_EXIT_DONE;
    for (uint32_t i = 0; i < v->count; i++) {
        const struct reeve_finding *f = &v->findings[i];
        if (f->grade != REEVE_FINDING_DAMAGE) continue;
        int own = reeve_status_exit_code(f->error.status);
        if (own == REEVE_EXIT_DATA) return own;
        if (code == REEVE_EXIT_DONE || code == REEVE_EXIT_NO_INPUT) code = own;
    }
    return code;
}

void reeve_verification_print_text(const struct reeve_verification *v)
{
    static const char *const words[] = {"ok", "note", "DAMAGE"};
    static const enum reeve_cli_style styles[] = {REEVE_STYLE_GOOD, REEVE_STYLE_WARN, REEVE_STYLE_BAD};
    const char *plain = reeve_cli_style(stdout, REEVE_STYLE_PLAIN);
    char size[32], name[REEVE_PATH_BYTES_MAX];
    for (uint32_t i = 0; i < v->count; i++) {
        const struct reeve_finding *f = &v->findings[i];
        bool closed = f->error.status == REEVE_INPUT_PERMISSION; /* which is no damage, and no soundness either */
        (void)printf("%s%-6s%s  %s%s%s%s%s\n", reeve_cli_style(stdout, styles[f->grade]),
                     closed ? "CLOSED" : words[f->grade], plain, reeve_cli_plain(f->file, name),
                     *f->error.text != '\0' ? ": " : "", f->error.text, *f->follows != '\0' ? "; so " : "", f->follows);
    }
    uint32_t damaged = reeve_verification_damaged(v);
    (void)reeve_cli_plain(v->path, name);
    if (damaged == 0) (void)printf("%s: sound, %s read\n", name, reeve_cli_format_bytes(v->bytes, size));
    else (void)printf("%s: %u of %u are damaged, missing, or not to be read\n", name, damaged, v->count);
}

int reeve_verification_print_json(const struct reeve_verification *v)
{
    static const char *const words[] = {"ok", "note", "damage"};
    int code = reeve_verification_exit_code(v);
    json_t *o = reeve_cli_json_object(), *list = json_array();
    reeve_cli_json_set(o, "path", reeve_cli_json_text(v->path));
    reeve_cli_json_set(o, "ok", json_boolean(code == REEVE_EXIT_DONE));
    reeve_cli_json_set(o, "damaged", json_integer(reeve_verification_damaged(v)));
    reeve_cli_json_set(o, "bytes", reeve_cli_json_u64(v->bytes));
    for (uint32_t i = 0; i < v->count; i++) {
        const struct reeve_finding *f = &v->findings[i];
        json_t *one = json_object();
        reeve_cli_json_set(one, "grade", json_string(words[f->grade]));
        reeve_cli_json_set(one, "file", reeve_cli_json_text(f->file));
        reeve_cli_json_set(one, "status", json_string(reeve_status_name(f->error.status)));
        reeve_cli_json_set(one, "text", reeve_cli_json_text(f->error.text));
        reeve_cli_json_set(one, "follows", reeve_cli_json_text(f->follows));
        reeve_cli_json_set(one, "bytes", reeve_cli_json_u64(f->bytes));
        reeve_cli_json_append(list, one);
    }
    reeve_cli_json_set(o, "findings", list);
    int printed = reeve_cli_print_json(o);
    return printed != 0 ? printed : code;
}
