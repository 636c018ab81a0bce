/* The list of findings: adding to it, and telling it to people and to programs. */
#include "cli/doctor.h"

#include <stdarg.h>
#include <string.h>

#include "cli/output.h"

static const char *const grade_name[] = {"good", "note", "missing", "bad"};
static const char *const grade_mark[] = {"ok  ", "note", " -  ", "BAD "};
static const enum reeve_cli_style grade_style[] = {REEVE_STYLE_GOOD, REEVE_STYLE_WARN, REEVE_STYLE_PLAIN,
                                                   REEVE_STYLE_BAD};

static struct reeve_doctor_finding *add(struct reeve_doctor *d, const char *name, enum reeve_doctor_grade grade,
                                        const char *format, va_list args)
{
    if (d->finding_count == REEVE_DOCTOR_FINDINGS_MAX) return NULL;
    struct reeve_doctor_finding *f = &d->finding[d->finding_count++];
    memset(f, 0, sizeof *f);
    f->topic = d->topic;
    f->name = name;
    f->grade = grade;
    (void)vsnprintf(f->value, sizeof f->value, format, args);
    return f;
}

struct reeve_doctor_finding *reeve_doctor_add(struct reeve_doctor *d, const char *name, enum reeve_doctor_grade grade,
                                              const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct reeve_doctor_finding *f = add(d, name, grade, format, args);
    va_end(args);
    return f;
}

struct reeve_doctor_finding *reeve_doctor_add_number(struct reeve_doctor *d, const char *name,
                                                     enum reeve_doctor_grade grade, int64_t number, const char *format,
                                                     ...)
{
    va_list args;
    va_start(args, format);
    struct reeve_doctor_finding *f = add(d, name, grade, format, args);
    va_end(args);
    if (f == NULL) return NULL;
    f->is_number = true;
    f->number = number;
    return f;
}

void reeve_doctor_follows(struct reeve_doctor_finding *f, const char *format, ...)
{
    if (f == NULL) return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(f->follows, sizeof f->follows, format, args);
    va_end(args);
}

bool reeve_doctor_can_train(const struct reeve_doctor *d)
{
    for (size_t i = 0; i < d->finding_count; i++)
        if (d->finding[i].grade == REEVE_DOCTOR_BAD) return false;
    return true;
}

/* The key as people say it: "fault_tolerance" without the line, "memory_bytes" without the unit. */
static void print_name(const char *name, FILE *out)
{
    static const char *const units[] = {"_bytes", "_us"};
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t n = strlen(units[i]);
        if (length > n && strcmp(name + length - n, units[i]) == 0) length -= n;
    }
    for (size_t i = 0; i < length; i++)
        (void)fputc(name[i] == '_' ? ' ' : name[i], out);
    for (size_t i = length; i < 18; i++)
        (void)fputc(' ', out);
}

static void print_finding(const struct reeve_doctor_finding *f, FILE *out)
{
    (void)fprintf(out, "  %s%s%s  ", reeve_cli_style(out, grade_style[f->grade]), grade_mark[f->grade],
                  reeve_cli_style(out, REEVE_STYLE_PLAIN));
    print_name(f->name, out);
    (void)fprintf(out, "%s\n", f->value);
    if (f->follows[0] != '\0') (void)fprintf(out, "          -> %s\n", f->follows);
}

void reeve_doctor_print(const struct reeve_doctor *d, FILE *out)
{
    size_t bad_count = 0;
    for (size_t i = 0; i < d->finding_count; i++) {
        const struct reeve_doctor_finding *f = &d->finding[i];
        if (i == 0 || strcmp(f->topic, f[-1].topic) != 0)
            (void)fprintf(out, "%s%s%s%s\n", i == 0 ? "" : "\n", reeve_cli_style(out, REEVE_STYLE_BOLD), f->topic,
                          reeve_cli_style(out, REEVE_STYLE_PLAIN));
        print_finding(f, out);
        bad_count += f->grade == REEVE_DOCTOR_BAD;
    }
    if (bad_count == 0) (void)fprintf(out, "\nTraining can run here.\n");
    else
        (void)fprintf(out, "\nTraining cannot run here before what is marked BAD is mended (%zu finding%s).\n",
                      bad_count, bad_count == 1 ? "" : "s");
}

static json_t *finding_json(const struct reeve_doctor_finding *f)
{
    json_t *o = json_object();
    (void)json_object_set_new(o, "value", f->is_number ? json_integer(f->number) : reeve_cli_json_text(f->value));
    (void)json_object_set_new(o, "grade", json_string(grade_name[f->grade]));
    if (f->is_number) (void)json_object_set_new(o, "text", reeve_cli_json_text(f->value));
    if (f->follows[0] != '\0') (void)json_object_set_new(o, "follows", reeve_cli_json_text(f->follows));
    return o;
}

int reeve_doctor_print_json(const struct reeve_doctor *d)
{
    json_t *root = reeve_cli_json_object();
    (void)json_object_set_new(root, "can_train", json_boolean(reeve_doctor_can_train(d)));
    for (size_t i = 0; i < d->finding_count; i++) {
        const struct reeve_doctor_finding *f = &d->finding[i];
        json_t *topic = json_object_get(root, f->topic);
        if (topic == NULL) {
            topic = json_object();
            (void)json_object_set_new(root, f->topic, topic);
        }
        (void)json_object_set_new(topic, f->name, finding_json(f));
    }
    return reeve_cli_print_json(root);
}
