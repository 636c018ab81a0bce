/* See gpt_shared.h. */
#include "workload/gpt_shared.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "workload/gpt_text.h"

reeve_status gpt_state_check(const struct reeve_tensor *tensors, uint32_t count, uint64_t step, struct reeve_error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct reeve_tensor *t = &tensors[i];
        bool squares = strncmp(t->name, "exp_avg_sq.", 11) == 0 && t->group == REEVE_TENSOR_OPTIMIZER;
        uint64_t n = reeve_tensor_elements(t);
        for (uint64_t e = 0; e < n; e++)
            if (!isfinite(t->data[e]) || (squares && t->data[e] < 0.0f))
                return reeve_fail(err, REEVE_STORE_CORRUPT,
                                  "state of step %llu: element %llu of %s is %g; expected a finite number%s",
                                  (unsigned long long)step, (unsigned long long)e, t->name, (double)t->data[e],
                                  squares ? ", 0 or more" : "");
    }
    return REEVE_OK;
}

static bool take_token(void *arg, int32_t token)
{
    return gpt_text_append(arg, token);
}

reeve_status gpt_text_generate(const struct gpt_text_source *source, const char *prompt, uint32_t token_count,
                               uint64_t seed, double temperature, char *text, size_t text_bytes_max,
                               struct reeve_error *err)
{
    uint32_t vocab = source->shape->vocab, prompt_count = 0;
    if (text_bytes_max == 0) return reeve_fail(err, REEVE_TASK_REJECTED, "gpt: no room for a text");
    if (!isfinite(temperature) || temperature < 0.0)
        return reeve_fail(err, REEVE_TASK_REJECTED, "gpt: sample.temperature is %g; expected 0 or more", temperature);
    struct gpt_text out = {.text = text, .bytes_max = text_bytes_max, .is_bytes = vocab == GPT_TEXT_BYTES_VOCAB};
    reeve_status st = gpt_text_prompt(prompt, vocab, source->prompt, source->shape->sequence, &prompt_count, &out, err);
    if (st == REEVE_OK)
        st = source->generate(source->model, source->prompt, prompt_count, token_count, seed, temperature, take_token,
                              &out, err);
    if (st == REEVE_OK) gpt_text_finish(&out);
    return st;
}
