/* The two streams of the program, and the forms that people and programs read. */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/one_line.h"

/* How the user wants to be spoken to: set once in main(), before any verb runs. */
static bool say_json, say_no_color, said_json;

void reeve_cli_set_json(bool json_asked)
{
    say_json = json_asked;
}

void reeve_cli_set_no_color(void)
{
    say_no_color = true;
}

bool reeve_cli_json_is_printed(void)
{
    return said_json;
}

static int say_error(int exit_code, const char *status_name, const char *text)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "%sreeve:%s %s\n", reeve_cli_style(stderr, REEVE_STYLE_BAD),
                  reeve_cli_style(stderr, REEVE_STYLE_PLAIN), text);
    if (!say_json || said_json) return exit_code;
    json_t *object = reeve_cli_json_object();
    if (object == NULL) return exit_code;
    (void)json_object_set_new(object, "error", reeve_cli_json_text(text));
    if (status_name != NULL) (void)json_object_set_new(object, "status", json_string(status_name));
    (void)json_object_set_new(object, "exit_code", json_integer(exit_code));
    (void)reeve_cli_print_json(object);
    return exit_code;
}

int reeve_cli_fail(const struct reeve_error *err)
{
    return say_error(reeve_status_exit_code(err->status), reeve_status_name(err->status), err->text);
}

int reeve_cli_fail_text(int exit_code, const char *format, ...)
{
    char text[REEVE_ERROR_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return say_error(exit_code, exit_code == REEVE_EXIT_USAGE ? reeve_status_name(REEVE_INPUT_USAGE) : NULL, text);
}

void reeve_cli_note(const char *format, ...)
{
    char text[REEVE_ERROR_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)fprintf(stderr, "reeve: %s\n", text);
}

json_t *reeve_cli_json_object(void)
{
    json_t *object = json_object();
    if (object != NULL) (void)json_object_set_new(object, "schema_version", json_integer(REEVE_CLI_SCHEMA_VERSION));
    return object;
}

void reeve_cli_json_set(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) == 0) return;
    (void)fprintf(stderr, "reeve: out of memory while writing JSON\n");
    exit(REEVE_EXIT_INTERNAL);
}

void reeve_cli_json_append(json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) == 0) return;
    (void)fprintf(stderr, "reeve: out of memory while writing JSON\n");
    exit(REEVE_EXIT_INTERNAL);
}

json_t *reeve_cli_json_text(const char *text)
{
    json_t *value = json_string(text);
    if (value != NULL) return value;
    char *copy = strdup(text);
    if (copy == NULL) return NULL;
    for (char *c = copy; *c != '\0'; c++)
        if ((unsigned char)*c >= 0x80) *c = '?';
    value = json_string(copy);
    free(copy);
    return value;
}

json_t *reeve_cli_json_u64(uint64_t v)
{
    if (v <= (uint64_t)INT64_MAX) return json_integer((json_int_t)v);
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%" PRIu64, v);
    return json_string(digits);
}

json_t *reeve_cli_json_digest(struct reeve_digest d)
{
    char hex[REEVE_DIGEST_HEX_BYTES];
    reeve_digest_hex(d, hex);
    return json_string(hex);
}

json_t *reeve_cli_json_real(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

json_t *reeve_cli_json_hex(uint64_t v)
{
    char hex[17];
    (void)snprintf(hex, sizeof hex, "%016" PRIx64, v);
    return json_string(hex);
}

json_t *reeve_cli_json_utc(int64_t wall_ns)
{
    char text[21];
    if (wall_ns == 0) return json_null();
    reeve_clock_format_utc(wall_ns, text);
    return json_string(text);
}

int reeve_cli_print_json(json_t *value)
{
    char *text = value != NULL ? json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY) : NULL;
    json_decref(value);
    if (text == NULL) {
        (void)fprintf(stderr, "reeve: out of memory while writing JSON\n");
        return REEVE_EXIT_INTERNAL;
    }
    (void)fputs(text, stdout); /* failures stay in the stream until reeve_cli_finish */
    (void)fputc('\n', stdout);
    free(text);
    said_json = true;
    return 0;
}

static void on_failed_write(int number)
{
    (void)number; /* write(2) returns EPIPE or EFBIG now; unlike SIG_IGN, a handler is not inherited by what we start */
}

void reeve_cli_begin(void)
{
    /* Whoever closed stdout gets the error of writing to it, and not their result in some file of a run. */
    static const int modes[3] = {O_RDONLY, O_RDONLY, O_WRONLY};
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) == -1 && errno == EBADF) (void)open("/dev/null", modes[fd]);
    struct sigaction action = {.sa_handler = on_failed_write, .sa_flags = SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGPIPE, &action, NULL);
    (void)sigaction(SIGXFSZ, &action, NULL); /* a file beyond `ulimit -f` */
    /* Some daemons start their jobs with SIGCHLD ignored, or with signals blocked: no child could be waited for then, and no
     * wish to stop be heard. */
    (void)signal(SIGCHLD, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &action.sa_mask, NULL);
}

int reeve_cli_finish(int exit_code)
{
    errno = 0;
    bool failed = ferror(stdout) != 0;
    if (fflush(stdout) != 0) failed = true;
    if (!failed) return exit_code;
    (void)fprintf(stderr, "reeve: stdout: write failed: %s\n",
                  errno != 0 ? strerror(errno) : "the reader has left, or the disk is full");
    return REEVE_EXIT_IO;
}

const char *reeve_cli_style(FILE *out, enum reeve_cli_style style)
{
    static const char *const escapes[] = {"\033[0m", "\033[1m", "\033[32m", "\033[33m", "\033[31m"};
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    bool color = !say_no_color && (no_color == NULL || *no_color == '\0') && term != NULL &&
                 strcmp(term, "dumb") != 0 && isatty(fileno(out)) == 1;
    return color ? escapes[style] : "";
}

const char *reeve_cli_plain(const char *name, char copy[REEVE_PATH_BYTES_MAX])
{
    (void)snprintf(copy, REEVE_PATH_BYTES_MAX, "%s", name);
    reeve_one_line(copy);
    return copy;
}

const char *reeve_cli_format_bytes(uint64_t bytes, char text[32])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double n = (double)bytes;
    size_t unit = 0;
    while (n >= 1024.0 && unit + 1 < sizeof units / sizeof units[0]) {
        n /= 1024.0;
        unit++;
    }
    (void)snprintf(text, 32, unit == 0 ? "%.0f %s" : "%.1f %s", n, units[unit]);
    return text;
}

const char *reeve_cli_format_seconds(double seconds, char text[32])
{
    if (!(seconds >= 0.0)) (void)snprintf(text, 32, "?");
    else if (seconds < 120.0) (void)snprintf(text, 32, "%.0f s", seconds);
    else if (seconds < 2.0 * 3600.0) (void)snprintf(text, 32, "%.0f min", seconds / 60.0);
    else if (seconds < 48.0 * 3600.0) (void)snprintf(text, 32, "%.1f h", seconds / 3600.0);
    else (void)snprintf(text, 32, "%.1f days", seconds / 86400.0);
    return text;
}

const char *reeve_cli_format_count(uint64_t n, char text[32])
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, n);
    size_t at = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = '\0';
    return text;
}
