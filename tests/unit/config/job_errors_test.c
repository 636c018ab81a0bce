/* Bad jobs: each is refused with the place of the mistake, the key, and what was expected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/job_file.h"
#include "fixture.h"

/* A good job; cases replace one of its lines. */
static const char *const good_lines[] = {
    "name: q",                                              /* 1 */
    "workload: gpt",                                        /* 2 */
    "seed: 7",                                              /* 3 */
    "data: {manifest: shards.yaml, sequence: 64}",          /* 4 */
    "train: {steps: 30, global_batch: 8, micro_batch: 4}",  /* 5 */
    "model: {layers: 2, heads: 2, width: 32}",              /* 6 */
    "optimizer: {kind: adamw, lr: 1.0e-3, min_lr: 1.0e-4}", /* 7 */
    "faults: {silence_warn_s: 10, silence_stop_s: 20}",     /* 8 */
};
#define LINES (sizeof(good_lines) / sizeof(good_lines[0]))

static void write_job(int line, const char *text)
{
    char job[4096] = "";
    for (size_t i = 0; i < LINES; i++) {
        strcat(job, (int)i + 1 == line ? text : good_lines[i]);
        strcat(job, "\n");
    }
    fixture_write("job.yaml", job);
}

struct bad_line {
    int line; /* which line is replaced */
    const char *text;
    const char *expected; /* how the message begins */
};

static const struct bad_line bad_lines[] = {
    /* unknown keys, and what was meant */
    {5, "train: {step: 30, global_batch: 8, micro_batch: 4}",
     "job.yaml:5:9: key 'train.step': unknown; did you mean 'train.steps'? (keys of train: steps, global_batch, "
     "micro_batch, reduce, precision, eval_every, refused_max)"},
    {5, "trian: {steps: 30}",
     "job.yaml:5:1: key 'trian': unknown; did you mean 'train'? (keys: name, workload, seed, data,"},
    {5, "steps: 30", "job.yaml:5:1: key 'steps': unknown; did you mean 'train.steps'?"},
    {6, "model: {layers: 2, lr: 0.1}", "job.yaml:6:20: key 'model.lr': unknown; did you mean 'optimizer.lr'?"},
    {6, "model: {layers: 2, seed: 1}", "job.yaml:6:20: key 'model.seed': unknown; did you mean 'seed'?"},
    {6, "model: {layers: 2, train: 1}",
     "job.yaml:6:20: key 'model.train': unknown; 'train' belongs at the top, not into model"},
    {6, "model: {layers: 2, banana: 1}",
     "job.yaml:6:20: key 'model.banana': unknown (keys of model: layers, heads, width, init_from, init_weights)"},
    {3, "\"\": 7", "job.yaml:3:1: key '': unknown (keys"},
    {3, "<<: 7", "job.yaml:3:1: key '<<': unknown (keys"},
    /* wrong types */
    {3, "seed: seven",
     "job.yaml:3:7: key 'seed': expected a whole number from 0 to 9223372036854775807, found 'seven'"},
    {3, "seed: \"7\"",
     "job.yaml:3:7: key 'seed': expected a whole number from 0 to 9223372036854775807, found \"7\"; leave the quotes "
     "out"},
    {3, "seed: 7.0", "job.yaml:3:7: key 'seed': expected a whole number"},
    {3, "seed: 0x10", "job.yaml:3:7: key 'seed': expected a whole number"},
    {3, "seed: 007",
     "job.yaml:3:7: key 'seed': expected a whole number from 0 to 9223372036854775807, found '007'; without zeros in "
     "front"},
    {3, "seed: 99999999999999999999",
     "job.yaml:3:7: key 'seed': expected a whole number from 0 to 9223372036854775807, found '99999999999999999999'"},
    {3, "seed:", "job.yaml:3:6: key 'seed': expected a whole number from 0 to 9223372036854775807, found nothing"},
    {3, "seed: ~", "job.yaml:3:7: key 'seed': expected a whole number from 0 to 9223372036854775807, found nothing"},
    {3, "seed: [7]", "job.yaml:3:7: key 'seed': expected a whole number from 0 to 9223372036854775807, found a list"},
    {3, "seed: {a: 7}",
     "job.yaml:3:7: key 'seed': expected a whole number from 0 to 9223372036854775807, found a mapping"},
    {3, "seed: true", "job.yaml:3:7: key 'seed': expected a whole number"},
    {6, "model: small", "job.yaml:6:8: key 'model': expected keys with values (a mapping), found 'small'"},
    {6, "model: [1]", "job.yaml:6:8: key 'model': expected keys with values (a mapping), found a list"},
    {7, "optimizer: {lr: fast}", "job.yaml:7:17: key 'optimizer.lr': expected a number from 0 to 100, found 'fast'"},
    {7, "optimizer: {lr: .nan}", "job.yaml:7:17: key 'optimizer.lr': expected a number"},
    {7, "optimizer: {lr: 1,5}",
     "job.yaml:7:19: key 'optimizer.5': unknown; the decimal mark is a point, and a comma begins another key (keys of"},
    {7, "optimizer:\n  lr: 3,0e-3",
     "job.yaml:8:7: key 'optimizer.lr': expected a number from 0 to 100, found '3,0e-3'; the decimal mark is a point: "
     "3.0e-3"},
    {7, "optimizer:\n  lr:3.0e-3",
     "job.yaml:8:3: key 'optimizer': expected keys with values (a mapping), found 'lr:3.0e-3'; a blank belongs behind "
     "the ':'"},
    {6, "model: {layers:2}", "job.yaml:6:9: key 'model.layers:2': unknown; a blank belongs behind the ':' (keys of"},
    {5, "train:\n  steps: 1e3",
     "job.yaml:6:10: key 'train.steps': expected a whole number from 1 to 1099511627776 (steps), found '1e3'; written "
     "as 1000"},
    {5, "train:\n  steps: 10.0",
     "job.yaml:6:10: key 'train.steps': expected a whole number from 1 to 1099511627776 (steps), found '10.0'; written "
     "as 10"},
    {5, "train:\n  steps: 1_000,000",
     "job.yaml:6:10: key 'train.steps': expected a whole number from 1 to 1099511627776 (steps), found '1_000,000'; "
     "written as 1000000"},
    {8, "faults: {replace: No}",
     "job.yaml:8:19: key 'faults.replace': expected false or true, found 'No'; did you mean 'false'?"},
    {8, "faults: {replace: 1}",
     "job.yaml:8:19: key 'faults.replace': expected false or true, found '1'; did you mean 'true'?"},
    {1, "name:", "job.yaml:1:6: key 'name': expected a text of 1 to 63 bytes on one line, found nothing"},
    {1, "name: \"\"", "job.yaml:1:7: key 'name': expected a text of 1 to 63 bytes"},
    {1, "name: \"a\\nb\"", "job.yaml:1:7: key 'name': expected a text of 1 to 63 bytes on one line"},
    {1, "name: 0123456789012345678901234567890123456789012345678901234567890123",
     "job.yaml:1:7: key 'name': expected a text of 1 to 63 bytes on one line, found "
     "'012345678901234567890123456789012345678901234567...'"},
    /* out of range */
    {3, "seed: -1", "job.yaml:3:7: key 'seed': expected a whole number from 0"},
    {3, "seed: 9223372036854775808", "job.yaml:3:7: key 'seed': expected a whole number from 0"},
    {4, "data: {manifest: s, sequence: 0}",
     "job.yaml:4:31: key 'data.sequence': expected a whole number from 1 to 65536 (tokens), found '0'"},
    {4, "data: {manifest: s, sequence: 4294967297}", "job.yaml:4:31: key 'data.sequence': expected"},
    {4, "data: {manifest: s, holdout: 0.91}",
     "job.yaml:4:30: key 'data.holdout': expected a number from 0 to 0.9 (part of 1) in steps of 0.000001, found "
     "'0.91'"},
    {4, "data: {manifest: s, holdout: -0.1}", "job.yaml:4:30: key 'data.holdout': expected a number"},
    {4, "data: {manifest: s, holdout: 0.0000005}", "job.yaml:4:30: key 'data.holdout': expected a number"},
    {5, "train: {steps: 0, global_batch: 8, micro_batch: 4}",
     "job.yaml:5:16: key 'train.steps': expected a whole number from 1"},
    {7, "optimizer: {beta1: 1}",
     "job.yaml:7:20: key 'optimizer.beta1': expected a number from 0 to below 1, found '1'"},
    {7, "optimizer: {beta2: -0.1}", "job.yaml:7:20: key 'optimizer.beta2': expected a number from 0 to below 1"},
    {7, "optimizer: {eps: 0}", "job.yaml:7:18: key 'optimizer.eps': expected a number from 1e-30"},
    {7, "optimizer: {lr: 1e999}", "job.yaml:7:17: key 'optimizer.lr': expected a number"},
    /* words */
    {7, "optimizer: {kind: sgd}", "job.yaml:7:19: key 'optimizer.kind': expected adamw, found 'sgd'"},
    {7, "optimizer: {kind: adam}",
     "job.yaml:7:19: key 'optimizer.kind': expected adamw, found 'adam'; did you mean 'adamw'?"},
    {4, "data: {manifest: s, shuffle: blok}",
     "job.yaml:4:30: key 'data.shuffle': expected none, block or global, found 'blok'; did you mean 'block'?"},
    {4, "data: {manifest: s, shuffle: yes}",
     "job.yaml:4:30: key 'data.shuffle': expected none, block or global, found 'yes'"},
    {3, "resources: {time: two days}",
     "job.yaml:3:19: key 'resources.time': expected a word of Slurm's such as 12:00:00 or 2-00, found 'two days'"},
    /* the run's folder is runs/NAME */
    {1, "name: ..", "job.yaml:1:7: key 'name': expected the name of a folder below runs/, without '/' and with no '.' "},
    {1, "name: /tmp/q", "job.yaml:1:7: key 'name': expected the name of a folder below runs/"},
    {1, "name: a/../../b", "job.yaml:1:7: key 'name': expected the name of a folder below runs/"},
    {1, "name: .hidden", "job.yaml:1:7: key 'name': expected the name of a folder below runs/"},
    {3, "resources: {partition: --wrap}",
     "job.yaml:3:24: key 'resources.partition': expected a word of Slurm's such as gpu or long,short, found '--wrap'"},
    {3, "resources: {account: 'a b'}",
     "job.yaml:3:22: key 'resources.account': expected a word of Slurm's such as proj123, found 'a b'"},
    {3, "resources: {launcher: ibrun}",
     "job.yaml:3:23: key 'resources.launcher': expected mpirun or srun, found 'ibrun'"},
    {5, "train: {steps: 30, global_batch: 8, micro_batch: 4, precision: fp16}",
     "job.yaml:5:64: key 'train.precision': expected auto, bf16 or fp32, found 'fp16'"},
    {5, "train: {steps: 30, global_batch: 8, micro_batch: 4, precision: bf16}\nresources: {device: cpu}",
     "job.yaml:6:21: key 'resources.device': train.precision = bf16, but resources.device = cpu computes in fp32"},
    {3, "resources: {device: gpu}", "job.yaml:3:21: key 'resources.device': expected auto, cpu or cuda, found 'gpu'"},
    {3, "journal: {sync: Step}",
     "job.yaml:3:17: key 'journal.sync': expected step, always or none, found 'Step'; did you mean 'step'?"},
    /* twice */
    {3, "name: again", "job.yaml:3:1: key 'name': given twice, first in line 1; keep one of them"},
    {6, "train: {steps: 3}", "job.yaml:6:1: key 'train': given twice, first in line 5; keep one of them"},
    {6, "model: {layers: 2, layers: 2}", "job.yaml:6:20: key 'model.layers': given twice, first in line 6"},
    /* missing */
    {1, "seed_: 1", "job.yaml:1:1: key 'seed_': unknown; did you mean 'seed'?"},
    {1, "",
     "job.yaml:2:1: key 'name': missing; expected a text of 1 to 63 bytes on one line: what people call this job"},
    {2, "", "job.yaml:1:1: key 'workload': missing"},
    {2, "workload: gtp",
     "job.yaml:2:11: key 'workload': expected gpt, exec, or a path that ends in .so, found 'gtp'; did you mean 'gpt'?"},
    {2, "workload: ./model.py", "job.yaml:2:11: key 'workload': expected gpt, exec, or a path that ends in .so, found"},
    {4, "data: {sequence: 64}", "job.yaml:4:7: key 'data.manifest': missing; expected"},
    {4, "data:", "job.yaml:4:6: key 'data.manifest': missing; expected"},
    {5, "",
     "job.yaml:1:1: key 'train.steps': missing; expected a whole number from 1 to 1099511627776 (steps): optimiser "
     "steps of the whole job"},
    {5, "train: {steps: 30, micro_batch: 4}", "job.yaml:5:8: key 'train.global_batch': missing"},
    {5, "train: {steps: 30, global_batch: 4}", "job.yaml:5:8: key 'train.micro_batch': missing"},
    /* relations */
    {5, "train: {steps: 30, micro_batch: 4, global_batch: 33}",
     "job.yaml:5:50: key 'train.global_batch': train.global_batch = 33 is no multiple of train.micro_batch = 4"},
    {5, "train: {steps: 30, global_batch: 33, micro_batch: 4}",
     "job.yaml:5:51: key 'train.micro_batch': train.global_batch = 33 is no multiple of train.micro_batch = 4"},
    {5, "train: {steps: 30, global_batch: 1048577, micro_batch: 1}",
     "job.yaml:5:56: key 'train.micro_batch': train.global_batch / train.micro_batch = 1048577 tasks in one step; at "
     "most 1048576"},
    {5, "train: {steps: 30, global_batch: 65536, micro_batch: 65536}\ndata: 1",
     "job.yaml:6:1: key 'data': given twice"},
    {4, "data: {manifest: s, sequence: 65536}\ncheckpoint: {keep: 0}",
     "job.yaml:5:20: key 'checkpoint.keep': expected a whole number from 1 to 64 (checkpoints), found '0'"},
    {4, "data: {manifest: s, sequence: 65536}\ncheckpoint: {keep: 65}",
     "job.yaml:5:20: key 'checkpoint.keep': expected a whole number from 1 to 64 (checkpoints), found '65'"},
    {6, "model: {heads: 3, width: 32}",
     "job.yaml:6:26: key 'model.width': model.width = 32 is no multiple of model.heads = 3"},
    {6, "model: {init_from: a, init_weights: 00112233445566778899aabbccddeef}",
     "job.yaml:6:37: key 'model.init_weights': expected the weights_digest that `reeve inspect` shows, 32 hex digits in "
     "lower case, found '00112233445566778899aabbccddeef'"},
    {6, "model: {init_from: a, init_weights: 00112233445566778899AABBCCDDEEFF}",
     "job.yaml:6:37: key 'model.init_weights': expected the weights_digest"},
    {6, "model: {init_weights: 00112233445566778899aabbccddeeff}",
     "job.yaml:6:23: key 'model.init_weights': says which weights to begin with, and model.init_from not where they are"},
    {6, "model: {heads: 3}", "job.yaml:6:16: key 'model.heads': model.width = 128 is no multiple of model.heads = 3"},
    {7, "optimizer: {lr: 1.0e-3, min_lr: 1.0e-2}",
     "job.yaml:7:33: key 'optimizer.min_lr': optimizer.min_lr = 0.01 is larger than optimizer.lr = 0.001"},
    {7, "optimizer: {lr: 1.0e-5}",
     "job.yaml:7:17: key 'optimizer.lr': optimizer.min_lr = 0.0001 (its default) is larger than optimizer.lr = 1e-05"},
    {8, "faults: {silence_warn_s: 601}",
     "job.yaml:8:26: key 'faults.silence_warn_s': faults.silence_warn_s = 601 s is longer than faults.silence_stop_s = "
     "600 s"},
    /* no YAML, or more of it than is used here */
    {3, "seed: [7", "job.yaml:4:5: not YAML"},
    {3, "seed: 7\n  more: 8",
     "job.yaml:4:7: not YAML: mapping values are not allowed in this context; is this line indented as its neighbours, "
     "and a text"},
    {3, "seed: 7\njournal:\n\tsync: step",
     "job.yaml:5:1: not YAML: found character that cannot start any token, while scanning for the next token; a tab "
     "indents this line: use blanks"},
    {3, "seed: 7\njournal:\n  sync: step\n next: 3",
     "job.yaml:6:2: not YAML: did not find expected key (while parsing a block mapping from line 1 on); is this line "
     "indented as its neighbours?"},
    {3, "seed: 'open",
     "job.yaml:9:1: not YAML: found unexpected end of stream (while scanning a quoted scalar from line 3 on)"},
    {3, "\tseed: 7", "job.yaml:3:1: not YAML: "},
    {3, "seed: &s 7", "job.yaml:3:7: anchors (&name) are not used here"},
    {3, "seed: *s", "job.yaml:3:7: aliases (*name) are not used here"},
    {3, "seed: !!int 7", "job.yaml:3:7: tags (!name) are not used here"},
    {3, "---", "job.yaml:3:1: a second document begins here"},
    {3, "...", "job.yaml:4:1: not YAML: did not find expected <document start>"},
    {3, "? {a: b}\n: 1", "job.yaml:3:3: a key must be a word"},
    {1, "name: \"a\\0b\"", "job.yaml:1:7: a text cannot hold a NUL"},
    {1, "name: caf\xE9", "job.yaml:1:1"},
};

static void expect_message(reeve_status status, reeve_status expected_status, const struct reeve_error *err,
                           const char *expected)
{
    if (status != expected_status || strncmp(err->text, expected, strlen(expected)) != 0)
        print_error("expected: %s\nfound:    %s\n", expected, status == REEVE_OK ? "no error" : err->text);
    assert_int_equal(status, expected_status);
    assert_int_equal(strncmp(err->text, expected, strlen(expected)), 0);
    assert_int_equal(err->status, status);
    assert_null(strchr(err->text, '\n'));
}

static void job_bad_line_is_refused_with_its_place(void **state)
{
    for (size_t i = 0; i < sizeof(bad_lines) / sizeof(bad_lines[0]); i++) {
        struct reeve_job job, untouched;
        struct reeve_error err = {0};
        memset(&job, 0x5A, sizeof(job));
        memset(&untouched, 0x5A, sizeof(untouched));
        write_job(bad_lines[i].line, bad_lines[i].text);
        reeve_status st = reeve_job_read("job.yaml", NULL, 0, &job, &err);
        expect_message(st, REEVE_INPUT_INVALID, &err, bad_lines[i].expected);
        assert_memory_equal(&job, &untouched, sizeof(job));
    }
}

static void job_list_of_commands_is_checked_for_slurm_too(void **state)
{
    (void)state;
    struct reeve_job job;
    struct reeve_error err = {0};
    fixture_write("job.yaml", "name: q\nworkload: exec\ntasks: c.txt\nresources: {partition: --wrap}\n");
    reeve_status st = reeve_job_read("job.yaml", NULL, 0, &job, &err);
    expect_message(st, REEVE_INPUT_INVALID, &err, "job.yaml:4:24: key 'resources.partition': expected a word of Slurm's");
}

static const struct {
    const char *set;
    reeve_status status;
    const char *expected;
} bad_overrides[] = {
    {"train.step=5", REEVE_INPUT_INVALID,
     "--set train.step=5: key 'train.step': unknown; did you mean 'train.steps'? (keys of train: steps,"},
    {"step=5", REEVE_INPUT_INVALID, "--set step=5: key 'step': unknown; did you mean 'train.steps'?"},
    {"trian.steps=5", REEVE_INPUT_INVALID, "--set trian.steps=5: key 'trian': unknown; did you mean 'train'?"},
    {"train.steps.x=5", REEVE_INPUT_INVALID,
     "--set train.steps.x=5: key 'train.steps.x': unknown; did you mean 'train.steps'?"},
    {"train.steps=x", REEVE_INPUT_INVALID,
     "--set train.steps=x: key 'train.steps': expected a whole number from 1 to 1099511627776 (steps), found 'x'"},
    {"train.steps=", REEVE_INPUT_INVALID,
     "--set train.steps=: key 'train.steps': expected a whole number from 1 to 1099511627776 (steps), found nothing"},
    {"train.steps=0", REEVE_INPUT_INVALID, "--set train.steps=0: key 'train.steps': expected a whole number"},
    {"train.steps=-1", REEVE_INPUT_INVALID, "--set train.steps=-1: key 'train.steps': expected a whole number"},
    {"train=5", REEVE_INPUT_INVALID, "--set train=5: key 'train': expected keys with values (a mapping), found '5'"},
    {"train={steps: x}", REEVE_INPUT_INVALID, "--set train={steps: x}: key 'train.steps': expected a whole number"},
    {"train={steps: 1, steps: 2}", REEVE_INPUT_INVALID,
     "--set train={steps: 1, steps: 2}: key 'train.steps': given twice"},
    {"data.shuffle=globl", REEVE_INPUT_INVALID,
     "--set data.shuffle=globl: key 'data.shuffle': expected none, block or global, found 'globl'; did you mean "
     "'global'?"},
    {"train.global_batch=9", REEVE_INPUT_INVALID,
     "--set train.global_batch=9: key 'train.global_batch': train.global_batch = 9 is no multiple of train.micro_batch "
     "= 4"},
    {"train.micro_batch=3", REEVE_INPUT_INVALID,
     "--set train.micro_batch=3: key 'train.micro_batch': train.global_batch = 8 is no multiple of train.micro_batch = "
     "3"},
    {"optimizer.lr=1e-9", REEVE_INPUT_INVALID,
     "--set optimizer.lr=1e-9: key 'optimizer.lr': optimizer.min_lr = 0.0001 is larger than optimizer.lr = 1e-09"},
    {"train.micro_batch=65536", REEVE_INPUT_INVALID,
     "--set train.micro_batch=65536: key 'train.micro_batch': train.global_batch = 8 is no multiple"},
    {"name=*x", REEVE_INPUT_USAGE, "--set name=*x: aliases"},
    {"name=[x", REEVE_INPUT_USAGE, "--set name=[x: not YAML"},
    {"name=x: y: z", REEVE_INPUT_USAGE, "--set name=x: y: z: not YAML"},
    {"name=x: y", REEVE_INPUT_INVALID,
     "--set name=x: y: key 'name': expected a text of 1 to 63 bytes on one line, found a mapping"},
    {"train.steps", REEVE_INPUT_USAGE, "--set train.steps: expected key.sub=value, for example train.steps=100"},
    {"=5", REEVE_INPUT_USAGE, "--set =5: expected key.sub=value"},
    {"", REEVE_INPUT_USAGE, "--set : expected key.sub=value"},
    {".steps=5", REEVE_INPUT_INVALID, "--set .steps=5: key '"},
    {"train.=5", REEVE_INPUT_INVALID, "--set train.=5: key 'train.': unknown"},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=5", REEVE_INPUT_INVALID,
     "--set aaaaaaaa"},
};

static void job_bad_override_is_refused_with_itself_as_place(void **state)
{
    write_job(0, "");
    for (size_t i = 0; i < sizeof(bad_overrides) / sizeof(bad_overrides[0]); i++) {
        struct reeve_job job;
        struct reeve_error err = {0};
        const char *set[] = {"seed=8", bad_overrides[i].set};
        reeve_status st = reeve_job_read("job.yaml", set, 2, &job, &err);
        expect_message(st, bad_overrides[i].status, &err, bad_overrides[i].expected);
    }
}

static void job_clash_is_told_at_the_later_override(void **state)
{
    struct reeve_job job;
    struct reeve_error err = {0};
    const char *set[] = {"train.micro_batch=3", "train.global_batch=7"};
    write_job(0, "");
    expect_message(reeve_job_read("job.yaml", set, 2, &job, &err), REEVE_INPUT_INVALID, &err,
                   "--set train.global_batch=7: key 'train.global_batch'");
    const char *other_order[] = {"train.global_batch=7", "train.micro_batch=3"};
    expect_message(reeve_job_read("job.yaml", other_order, 2, &job, &err), REEVE_INPUT_INVALID, &err,
                   "--set train.micro_batch=3: key 'train.micro_batch'");
    const char *tokens[] = {"train.global_batch=65536", "train.micro_batch=65536", "data.sequence=65536"};
    expect_message(reeve_job_read("job.yaml", tokens, 3, &job, &err), REEVE_INPUT_INVALID, &err,
                   "--set data.sequence=65536: key 'data.sequence': train.micro_batch * (data.sequence + 1)");
}

static void job_file_that_is_none_is_refused(void **state)
{
    struct reeve_job job;
    struct reeve_error err = {0};
    expect_message(reeve_job_read("absent.yaml", NULL, 0, &job, &err), REEVE_INPUT_MISSING, &err, "open absent.yaml");
    expect_message(reeve_job_read(".", NULL, 0, &job, &err), REEVE_INPUT_INVALID, &err, ". is a folder");
    fixture_write("job.yaml", "");
    expect_message(reeve_job_read("job.yaml", NULL, 0, &job, &err), REEVE_INPUT_INVALID, &err, "job.yaml:1:1: empty");
    fixture_write("job.yaml", "- a list\n");
    expect_message(reeve_job_read("job.yaml", NULL, 0, &job, &err), REEVE_INPUT_INVALID, &err,
                   "job.yaml:1:1: expected keys with values (a mapping), found a list");
    fixture_write("job.yaml", "just words\n");
    expect_message(reeve_job_read("job.yaml", NULL, 0, &job, &err), REEVE_INPUT_INVALID, &err,
                   "job.yaml:1:1: expected keys with values (a mapping), found 'just words'");
    fixture_write_bytes("job.yaml", "name: q\nwork\0load: gpt\n", 23);
    expect_message(reeve_job_read("job.yaml", NULL, 0, &job, &err), REEVE_INPUT_INVALID, &err,
                   "job.yaml:2:5: a NUL byte");
    size_t bytes = ((size_t)1 << 20) + 1;
    char *huge = malloc(bytes);
    assert_non_null(huge);
    memset(huge, '#', bytes);
    fixture_write_bytes("job.yaml", huge, bytes);
    free(huge);
    expect_message(reeve_job_read("job.yaml", NULL, 0, &job, &err), REEVE_INPUT_INVALID, &err,
                   "job.yaml has 1048577 bytes; at most 1048576 were expected");
}

/* Goal: a folder of which JSON and YAML cannot say the name is refused, not written wrongly. */
static void job_folder_that_is_no_utf8_is_refused(void **state)
{
    struct reeve_job job;
    struct reeve_error err = {0};
    write_job(0, "");
    fixture_write("caf\xE9/job.yaml", "name: q\nworkload: gpt\ndata: {manifest: s}\n"
                                      "train: {steps: 1, global_batch: 1, micro_batch: 1}\n");
    assert_int_equal(reeve_job_read("caf\xE9/job.yaml", NULL, 0, &job, &err), REEVE_INPUT_INVALID);
    assert_non_null(strstr(err.text, "3:18: key 'data.manifest': the name of the job file's folder is not UTF-8"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(job_bad_line_is_refused_with_its_place),
        cmocka_unit_test(job_list_of_commands_is_checked_for_slurm_too),
        cmocka_unit_test(job_bad_override_is_refused_with_itself_as_place),
        cmocka_unit_test(job_clash_is_told_at_the_later_override),
        cmocka_unit_test(job_file_that_is_none_is_refused),
        cmocka_unit_test(job_folder_that_is_no_utf8_is_refused),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
