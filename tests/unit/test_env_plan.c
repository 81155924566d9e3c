/*
 * Plans of .env texts: what is read and created, all faults at once, and the text that comes out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "env/env_plan.h"

struct fixture {
    struct arena arena;
    struct env_input input;
    struct env_plan plan;
};

static enum vault_err
make(struct fixture *f, struct env_input input)
{
    arena_init(&f->arena, 8 * 1024 * 1024);
    f->input = input;
    return env_plan_make(&f->input, &f->arena, &f->plan);
}

static void
assert_bytes(struct bytes found, const char *wanted)
{
    if (!bytes_equal(found, bytes_of_text(wanted)))
        fail_msg("\"%.*s\" instead of \"%s\"", (int)found.size, (const char *)found.data, wanted);
}

static void
finish(struct fixture *f)
{
    arena_close(&f->arena);
}

/* Every reference stands for "<its name>". */
static void
assert_result(struct env_input input, const char *wanted)
{
    struct fixture f;
    struct bytes values[ENV_REFERENCES_MAX];
    struct buf names = {0}, out = {0};
    assert_int_equal(make(&f, input), OK);
    for (size_t i = 0; i < f.plan.fault_count; i++)
        fail_msg("line %zu: %s", f.plan.faults[i].line, dotenv_fault_name(f.plan.faults[i].code));
    assert_int_equal(buf_reserve(&names, (size_t)ENV_REFERENCES_MAX * 64), OK);
    for (size_t i = 0; i < f.plan.reference_count; i++) {
        const struct env_reference *reference = &f.plan.references[i];
        size_t begin = names.size;
        assert_int_equal(buf_printf(&names, "<%.*s %d>", (int)reference->name.size,
                                    (const char *)reference->name.data, (int)reference->version),
                         OK);
        values[i] = bytes_of(names.data + begin, names.size - begin);
    }
    assert_int_equal(env_plan_render(&f.plan, values, &out), OK);
    assert_bytes(buf_bytes(&out), wanted);
    buf_close(&out);
    buf_close(&names);
    finish(&f);
}

static struct env_input
text_of(const char *text, enum env_mode mode)
{
    return (struct env_input){.text = bytes_of_text(text), .mode = mode};
}

static void
untouched_lines_come_back_byte_for_byte(void **state)
{
    static const char *const texts[] = {
        "",
        "\n",
        "A=1",
        "\xef\xbb\xbf# c\r\nA = 'x' # y\r\n\r\n  export B=\"two\r\nlines\"\t\r\nno assignment\n=",
        "# A=secret(b)\n#B=enc(\"c\")\nA=b # secret(c) enc('d')\nA='xenc(b)'\nA=\xff\xfe\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        for (int mode = ENV_BOTH; mode <= ENV_EXPAND; mode++)
            assert_result(text_of(texts[i], (enum env_mode)mode), texts[i]);
    }
}

static void
references_are_expanded_or_left(void **state)
{
    static const char text[] = "A=secret(a) # c\r\nexport URL=\"x://secret(b/c@3):secret(a)@h\"\n"
                               "B='secret(d)'\nC=1\n";
    (void)state;
    assert_result(text_of(text, ENV_ENCRYPT), text);
    assert_result(text_of(text, ENV_EXPAND),
                  "A='<a 0>' # c\r\nexport URL='x://<b/c 3>:<a 0>@h'\nB='<d 0>'\nC=1\n");
    assert_result(text_of(text, ENV_BOTH),
                  "A='<a 0>' # c\r\nexport URL='x://<b/c 3>:<a 0>@h'\nB='<d 0>'\nC=1\n");
    struct fixture f;
    assert_int_equal(make(&f, text_of(text, ENV_EXPAND)), OK);
    assert_int_equal(f.plan.reference_count, 3);
    assert_int_equal(f.plan.use_count, 4);
    assert_int_equal(f.plan.references[1].line, 2);
    assert_int_equal(f.plan.references[2].line, 3);
    finish(&f);
}

static void
assert_creation(const struct env_plan *plan, size_t number, const char *name, const char *value)
{
    assert_true(number < plan->creation_count);
    assert_bytes(plan->creations[number].name, name);
    assert_bytes(plan->creations[number].value, value);
}

static void
literals_are_created_under_the_prefix(void **state)
{
    struct env_input input =
        text_of("A=enc(\"x \\\"\\n\")\r\nB=enc('y') # z\nC=enc( n/m )", ENV_BOTH);
    struct env_value given = {bytes_of_text("n/m"), bytes_of_text("value")};
    struct fixture f;
    (void)state;
    input.prefix = bytes_of_text("app/");
    input.values = &given;
    input.value_count = 1;
    assert_int_equal(make(&f, input), OK);
    assert_int_equal(f.plan.fault_count, 0);
    assert_int_equal(f.plan.creation_count, 3);
    assert_creation(&f.plan, 0, "app/A", "x \"\n");
    assert_creation(&f.plan, 1, "app/B", "y");
    assert_creation(&f.plan, 2, "n/m", "value");
    finish(&f);
    assert_result(input, "A=secret(app/A)\r\nB=secret(app/B) # z\nC=secret(n/m)");
}

static void
names_stand_for_what_the_text_assigns(void **state)
{
    static const char text[] = "PASS='p q' # c\nA=enc(PASS)\nB=enc(OTHER)\nOTHER=o\nREST=r\n";
    struct env_value given = {bytes_of_text("OTHER"), bytes_of_text("given")};
    struct env_input input = text_of(text, ENV_ENCRYPT);
    struct fixture f;
    (void)state;
    assert_result(input, "PASS=secret(PASS) # c\nA=secret(PASS)\nB=secret(OTHER)\n"
                         "OTHER=secret(OTHER)\nREST=r\n");
    input.values = &given;
    input.value_count = 1;
    input.prefix = bytes_of_text("unused/");
    assert_result(input, "PASS=secret(PASS) # c\nA=secret(PASS)\nB=secret(OTHER)\n"
                         "OTHER=o\nREST=r\n");
    assert_int_equal(make(&f, input), OK);
    assert_creation(&f.plan, 0, "PASS", "p q");
    assert_creation(&f.plan, 1, "OTHER", "given");
    finish(&f);
}

static void
what_the_text_creates_it_may_refer_to(void **state)
{
    static const char text[] =
        "URL=x://secret(p/A):secret(p/A@2)@h\nA=enc('it')\nB=secret(p/A@1)\n";
    struct env_input input = text_of(text, ENV_BOTH);
    (void)state;
    input.prefix = bytes_of_text("p/");
    assert_result(input, "URL='x://it:<p/A 2>@h'\nA=secret(p/A)\nB=it\n");
    input.mode = ENV_ENCRYPT;
    assert_result(input, "URL=x://secret(p/A):secret(p/A@2)@h\nA=secret(p/A)\nB=secret(p/A@1)\n");
}

/* `wanted`: "LINE NAME CODE;" for each. */
static void
assert_faults(struct env_input input, const char *wanted)
{
    struct fixture f;
    struct buf found = {0}, out = {0};
    assert_int_equal(make(&f, input), OK);
    for (size_t i = 0; i < f.plan.fault_count; i++) {
        const struct env_fault *fault = &f.plan.faults[i];
        assert_int_equal(buf_printf(&found, "%zu %.*s %s;", fault->line, (int)fault->name.size,
                                    (const char *)fault->name.data, dotenv_fault_name(fault->code)),
                         OK);
    }
    assert_bytes(buf_bytes(&found), wanted);
    assert_int_equal(env_plan_render(&f.plan, NULL, &out), ERR_BAD_ENV);
    buf_close(&found);
    buf_close(&out);
    finish(&f);
}

static void
all_faults_are_told_at_once(void **state)
{
    (void)state;
    assert_faults(text_of("A=enc(B)\nX='y'z\nC=secret(a//b)\n\nD=secret(\nE=\"q\n", ENV_BOTH),
                  "1 A unresolved;2 X bad_quote;3 C bad_name;5 D bad_reference;6 E bad_quote;");
    assert_faults(text_of("A=enc('1')\nB=enc(A)\nA=enc('2')\n", ENV_BOTH),
                  "2 B repeated;3 A repeated;");
    assert_faults(text_of("N=1\nA=enc(N)\nN=2\n", ENV_BOTH), "3 N repeated;");
    assert_faults(text_of("A=enc(N)\nB=enc(N)\nN=2\n", ENV_BOTH), "2 B repeated;");
    assert_faults(text_of("N=secret(a)\nA=enc(N)\n", ENV_BOTH), "1 N bad_reference;");
    assert_faults(text_of("A=enc(A)\n", ENV_BOTH), "1 A unresolved;");
    assert_faults(text_of("_A=enc('x')\nB=enc('x')\n", ENV_BOTH), "1 _A bad_name;");
    assert_faults(text_of("A=enc('x')\nB=enc(C)\n", ENV_EXPAND),
                  "1 A unexpected_enc;2 B unexpected_enc;");
}

static void
enc_that_would_stay_is_a_fault(void **state)
{
    static const char text[] = "URL=x://app:enc(\"hunter2\")@db/x\nQ=\"enc(hunter3)\"\n"
                               "1PASS=enc(\"a\")\nMY PASS=enc('b')\nPASS: enc(\"c\")\n"
                               "T=\"\\tenc(d)\"\nR=secret(a)enc(e)\nenc(F)\n";
    static const char good[] = "# enc('a')\n  # A=enc('b')\nA=b # enc('c')\nB='open_enc(d)'\n"
                               "C=secret(enc(e)\n\xef\xbb\xbf# enc('f')\n";
    (void)state;
    for (int mode = ENV_BOTH; mode <= ENV_ENCRYPT; mode++)
        assert_faults(text_of(text, (enum env_mode)mode),
                      "1 URL misplaced_enc;2 Q misplaced_enc;3  misplaced_enc;4  misplaced_enc;"
                      "5  misplaced_enc;6 T misplaced_enc;7 R misplaced_enc;8  misplaced_enc;");
    assert_result(text_of(good, ENV_ENCRYPT), good);
    /* A text whose enc() are stored has such values, and none is to be stored any more. */
    assert_result(text_of("A='x enc(b)'\n1A=enc(b)\n", ENV_EXPAND), "A='x enc(b)'\n1A=enc(b)\n");
    assert_result(text_of("A=enc('enc(b)')\n", ENV_ENCRYPT), "A=secret(A)\n");
}

/* What was meant as enc("x") would be committed in the clear. */
static void
slips_of_enc_are_faults(void **state)
{
    static const char text[] = "A=ENC(\"a\")\nB=enc (\"b\")\nC=Enc( 'c')\n";
    static const char good[] =
        "A=ENC(G6N718UuyPE5bHyWK==)\nB='ENC(\"b\")'\nC=encode(\"c\")\nD=en\n";
    (void)state;
    for (int mode = ENV_BOTH; mode <= ENV_ENCRYPT; mode++)
        assert_faults(text_of(text, (enum env_mode)mode),
                      "1 A misplaced_enc;2 B misplaced_enc;3 C misplaced_enc;");
    assert_result(text_of(good, ENV_ENCRYPT), good);
    assert_result(text_of(text, ENV_EXPAND), text);
}

/* A program would be started without it. */
static void
a_reference_that_nothing_is_assigned_is_a_fault(void **state)
{
    static const char text[] = "DB secret(a)\nDB: secret(a)\nMY DB=secret(a)\nsecret(a)\n";
    static const char good[] = "# secret(a)\n\n  \t\r\n  # A=secret(a)\nexport A\n=b\n";
    (void)state;
    for (int mode = ENV_BOTH; mode <= ENV_EXPAND; mode++)
        assert_faults(text_of(text, (enum env_mode)mode),
                      "1  misplaced_secret;2  misplaced_secret;3  misplaced_secret;"
                      "4  misplaced_secret;");
    assert_result(text_of(good, ENV_EXPAND), good);
}

static void
names_that_no_reference_could_have_are_faults(void **state)
{
    struct env_value given = {bytes_of_text("a@3"), bytes_of_text("x")};
    struct env_input input = text_of("A=enc(a@3)\n", ENV_BOTH);
    (void)state;
    input.values = &given;
    input.value_count = 1;
    assert_faults(input, "1 A bad_name;");
    input = text_of("A=enc('x')\n", ENV_BOTH);
    input.prefix = bytes_of_text("a)b/");
    assert_faults(input, "1 A bad_name;");
    input.prefix = bytes_of_text("/");
    assert_faults(input, "1 A bad_name;");
}

static void
nul_is_a_fault_wherever_it_comes_from(void **state)
{
    struct env_value given = {bytes_of_text("n"), bytes_of("a\0b", 3)};
    struct env_input input = {.text = bytes_of("A=1\nB=a\0b\n", 10)};
    struct fixture f;
    struct buf out = {0};
    struct bytes value = bytes_of("a\0b", 3);
    (void)state;
    assert_faults(input, "2 B nul;");
    input = text_of("A=enc(n)\n", ENV_BOTH);
    input.values = &given;
    input.value_count = 1;
    assert_faults(input, "1 A nul;");
    assert_int_equal(make(&f, text_of("\nA=secret(a)\n", ENV_EXPAND)), OK);
    assert_int_equal(f.plan.fault_count, 0);
    assert_int_equal(env_plan_render(&f.plan, &value, &out), ERR_BAD_ENV);
    assert_int_equal(f.plan.fault_count, 1);
    assert_int_equal(f.plan.faults[0].line, 2);
    assert_int_equal(f.plan.faults[0].code, DOTENV_NUL);
    buf_close(&out);
    finish(&f);
}

static void
text_can_be_demanded(void **state)
{
    struct bytes value = bytes_of_text("\xff");
    (void)state;
    for (int utf8 = 0; utf8 < 2; utf8++) {
        struct env_input input = text_of("A=secret(a)\n", ENV_EXPAND);
        struct buf out = {0};
        struct fixture f;
        input.utf8 = utf8 == 1;
        assert_int_equal(make(&f, input), OK);
        assert_int_equal(env_plan_render(&f.plan, &value, &out), utf8 ? ERR_BAD_ENV : OK);
        if (utf8)
            assert_int_equal(f.plan.faults[0].code, DOTENV_NOT_TEXT);
        else
            assert_bytes(buf_bytes(&out), "A='\xff'\n");
        buf_close(&out);
        finish(&f);
    }
}

/* `count` lines of that form, each with its number. */
static struct buf
many(const char *before, const char *after, size_t count)
{
    struct buf text = {0};
    for (size_t i = 0; i < count; i++)
        assert_int_equal(buf_printf(&text, "V%zu=%s%zu%s\n", i, before, i, after), OK);
    return text;
}

static void
limits(void **state)
{
    static const struct {
        const char *before, *after;
        size_t count, references, creations, faults;
    } rows[] = {
        {"secret(", ")", 256, 256, 0, 0},    {"secret(", ")", 257, 256, 0, 1},
        {"secret(", ")", 1000, 256, 0, 1},   {"enc('", "')", 256, 0, 256, 0},
        {"enc('", "')", 257, 0, 256, 1},     {"enc('", "')", 356, 0, 256, 100},
        {"enc(\"", "\")", 400, 0, 256, 100}, {"'", "'x", 500, 0, 0, 100},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf text = many(rows[i].before, rows[i].after, rows[i].count);
        struct env_input input = {.text = buf_bytes(&text)};
        struct fixture f;
        assert_int_equal(make(&f, input), OK);
        assert_int_equal(f.plan.reference_count, rows[i].references);
        assert_int_equal(f.plan.creation_count, rows[i].creations);
        assert_int_equal(f.plan.fault_count, rows[i].faults);
        if (rows[i].faults > 0)
            assert_true(f.plan.faults[0].line <= 257);
        buf_close(&text);
        finish(&f);
    }
}

static void
texts_and_results_are_bounded(void **state)
{
    size_t size = ENV_TEXT_BYTES_MAX + 1;
    uint8_t *memory = calloc(1, size);
    struct env_input input = {.text = bytes_of(memory, size)};
    struct fixture f;
    struct buf out = {0};
    (void)state;
    assert_non_null(memory);
    memset(memory, 'x', size);
    assert_int_equal(make(&f, input), ERR_TOO_LARGE);
    finish(&f);
    input.text.size--;
    assert_int_equal(make(&f, input), OK);
    assert_int_equal(env_plan_render(&f.plan, NULL, &out), OK);
    assert_int_equal(out.size, ENV_TEXT_BYTES_MAX);
    buf_close(&out);
    finish(&f);
    struct bytes value = bytes_of(memory, ENV_TEXT_BYTES_MAX);
    assert_int_equal(
        make(&f, text_of("A=secret(a)secret(a)secret(a)\nB=secret(a)secret(a)\n", ENV_BOTH)), OK);
    assert_int_equal(f.plan.reference_count, 1);
    assert_int_equal(env_plan_render(&f.plan, &value, &out), ERR_TOO_LARGE);
    buf_close(&out);
    finish(&f);
    free(memory);
}

static void
memory_may_be_short(void **state)
{
    struct env_input input = text_of("A=secret(a)\nB=enc('x')\nC=enc(D)\nD=1\n", ENV_BOTH);
    struct env_plan plan;
    enum vault_err err = ERR_NOMEM;
    size_t failures = 0;
    (void)state;
    for (size_t limit = 0; err == ERR_NOMEM; limit += 16, failures++) {
        struct arena arena;
        arena_init(&arena, limit);
        err = env_plan_make(&input, &arena, &plan);
        arena_close(&arena);
    }
    assert_int_equal(err, OK);
    assert_true(failures > 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(untouched_lines_come_back_byte_for_byte),
        cmocka_unit_test(references_are_expanded_or_left),
        cmocka_unit_test(literals_are_created_under_the_prefix),
        cmocka_unit_test(names_stand_for_what_the_text_assigns),
        cmocka_unit_test(what_the_text_creates_it_may_refer_to),
        cmocka_unit_test(all_faults_are_told_at_once),
        cmocka_unit_test(enc_that_would_stay_is_a_fault),
        cmocka_unit_test(slips_of_enc_are_faults),
        cmocka_unit_test(a_reference_that_nothing_is_assigned_is_a_fault),
        cmocka_unit_test(names_that_no_reference_could_have_are_faults),
        cmocka_unit_test(nul_is_a_fault_wherever_it_comes_from),
        cmocka_unit_test(text_can_be_demanded),
        cmocka_unit_test(limits),
        cmocka_unit_test(texts_and_results_are_bounded),
        cmocka_unit_test(memory_may_be_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
