/* See help_keys.h. */
#include "cli/help_keys.h"

#include <jansson.h>

#include "cli/output.h"
#include "config/job_keys.h"
#include "config/scalar.h"

static const char *type_name(enum reeve_key_type type)
{
    switch (type) {
    case REEVE_KEY_U32:
    case REEVE_KEY_I32:
    case REEVE_KEY_U64: return "integer";
    case REEVE_KEY_REAL:
    case REEVE_KEY_PPM: return "number";
    case REEVE_KEY_TEXT:
    case REEVE_KEY_SPEECH: return "text";
    case REEVE_KEY_CHOICE: return "choice";
    case REEVE_KEY_NODE: break;
    }
    return "list";
}

/* A default that is another key's path is a text too. */
static json_t *default_of(const struct reeve_key *key)
{
    int64_t whole = 0;
    double real = 0;
    bool too_large = false;
    const char *type = type_name(key->type);
    if (key->fallback == NULL) return json_null();
    if (*type == 'i' && reeve_scalar_whole(key->fallback, &whole, &too_large)) return json_integer(whole);
    if (*type == 'n' && reeve_scalar_real(key->fallback, &real)) return reeve_cli_json_real(real);
    return reeve_cli_json_text(key->fallback);
}

static void set_limits(json_t *o, const struct reeve_key *key)
{
    const char *type = type_name(key->type);
    if (*type == 'i') {
        reeve_cli_json_set(o, "minimum", json_integer(key->low));
        reeve_cli_json_set(o, "maximum", json_integer(key->high));
    } else if (*type == 'n') {
        reeve_cli_json_set(o, "minimum", reeve_cli_json_real(key->real_low));
        reeve_cli_json_set(o, key->below ? "below" : "maximum", reeve_cli_json_real(key->real_high));
    } else if (key->choices != NULL) {
        json_t *choices = json_array();
        for (const char *const *c = key->choices; *c != NULL; c++)
            reeve_cli_json_append(choices, reeve_cli_json_text(*c));
        reeve_cli_json_set(o, "choices", choices);
    }
}

static json_t *key_object(const struct reeve_key *key)
{
    char path[REEVE_KEY_PATH_BYTES], expected[REEVE_KEY_EXPECTED_BYTES];
    json_t *o = json_object();
    reeve_cli_json_set(o, "key", reeve_cli_json_text(reeve_key_path(key, path)));
    reeve_cli_json_set(o, "type", json_string(type_name(key->type)));
    set_limits(o, key);
    reeve_cli_json_set(o, "required", json_boolean(key->fallback == NULL));
    reeve_cli_json_set(o, "default", default_of(key));
    reeve_cli_json_set(o, "unit", key->unit[0] != '\0' ? reeve_cli_json_text(key->unit) : json_null());
    reeve_cli_json_set(o, "expected", reeve_cli_json_text(reeve_key_expected(key, expected)));
    reeve_cli_json_set(o, "meaning", reeve_cli_json_text(key->meaning));
    return o;
}

int reeve_help_keys_print_json(void)
{
    json_t *root = reeve_cli_json_object(), *keys = json_array();
    for (uint32_t i = 0; i < reeve_job_keys.key_count; i++)
        reeve_cli_json_append(keys, key_object(&reeve_job_keys.keys[i]));
    reeve_cli_json_set(root, "keys", keys);
    return reeve_cli_print_json(root);
}
