/* The guarded region: slots, counting, wiping, and that no access means a fault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/secret.h"

enum { FAR_SLOTS = 1000 }; /* of several pages */

static struct secret_arena *
arena_of(size_t slots)
{
    struct secret_arena *arena;

    assert_int_equal(secret_arena_new(slots, &arena), OK);
    assert_non_null(arena);
    return arena;
}

static void
hands_out_zeroed_slots(void **state)
{
    struct secret_arena *arena = arena_of(3);
    struct secret a, b, c, d;
    uint8_t *reused;

    (void)state;
    assert_false(secret_arena_is_open(arena));
    assert_int_equal(secret_arena_free_slots(arena), 3);
    secret_arena_open(arena);
    assert_int_equal(secret_new(arena, SECRET_BYTES_MAX, &a), OK);
    assert_int_equal(secret_copy(arena, bytes_of_text("key"), &b), OK);
    assert_int_equal(secret_new(arena, 1, &c), OK);
    assert_int_equal(secret_arena_free_slots(arena), 0);
    assert_true(sodium_is_zero(a.data, a.size));
    assert_true(bytes_equal(secret_bytes(&b), bytes_of_text("key")));

    assert_int_equal(secret_new(arena, 1, &d), ERR_BUSY);
    assert_null(d.data);
    assert_int_equal(d.size, 0);
    assert_int_equal(secret_copy(arena, bytes_of_text("x"), &d), ERR_BUSY);

    memset(a.data, 0xff, a.size);
    reused = a.data;
    secret_free(arena, &a);
    assert_null(a.data);
    assert_int_equal(a.size, 0);
    secret_free(arena, &a); /* harmless */
    assert_int_equal(secret_arena_free_slots(arena), 1);
    assert_int_equal(secret_new(arena, SECRET_BYTES_MAX, &a), OK);
    assert_ptr_equal(a.data, reused);
    assert_true(sodium_is_zero(a.data, a.size));

    secret_free(arena, &a);
    secret_free(arena, &b);
    secret_free(arena, &c);
    assert_int_equal(secret_arena_free_slots(arena), 3);
    secret_arena_close(arena);
    secret_arena_free(arena);
    secret_arena_free(NULL);
}

static void
checks_sizes(void **state)
{
    struct secret_arena *arena = arena_of(1);
    uint8_t large[SECRET_BYTES_MAX + 1] = {0};
    struct secret s;

    (void)state;
    secret_arena_open(arena);
    assert_int_equal(secret_new(arena, 0, &s), ERR_RANGE);
    assert_null(s.data);
    assert_int_equal(secret_new(arena, SECRET_BYTES_MAX + 1, &s), ERR_RANGE);
    assert_int_equal(secret_copy(arena, bytes_of(large, sizeof(large)), &s), ERR_RANGE);
    assert_int_equal(secret_copy(arena, bytes_of(NULL, 0), &s), ERR_RANGE);
    assert_int_equal(secret_arena_free_slots(arena), 1);
    secret_arena_close(arena);
    secret_arena_free(arena);
}

/* More slots than fit a word of the bitmap, freed in another order, never handed out twice. */
static void
reuses_many_slots(void **state)
{
    enum { SLOTS = 200 };
    struct secret_arena *arena = arena_of(SLOTS);
    struct secret secrets[SLOTS];

    (void)state;
    secret_arena_open(arena);
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < SLOTS; i++) {
            assert_int_equal(secret_new(arena, 2, &secrets[i]), OK);
            assert_true(sodium_is_zero(secrets[i].data, 2));
            secrets[i].data[0] = (uint8_t)i;
        }
        for (unsigned i = 0; i < SLOTS; i++)
            assert_int_equal(secrets[i].data[0], i);
        for (unsigned i = 0; i < SLOTS; i++)
            secret_free(arena, &secrets[(i * 77 + round) % SLOTS]);
        assert_int_equal(secret_arena_free_slots(arena), SLOTS);
    }
    secret_arena_close(arena);
    secret_arena_free(arena);
}

static void
counts_opens(void **state)
{
    struct secret_arena *arena = arena_of(1);
    struct secret s;

    (void)state;
    secret_arena_open(arena);
    secret_arena_open(arena);
    secret_arena_close(arena);
    assert_true(secret_arena_is_open(arena));
    assert_int_equal(secret_copy(arena, bytes_of_text("kept"), &s), OK);
    secret_arena_close(arena);
    assert_false(secret_arena_is_open(arena));
    secret_arena_open(arena);
    assert_true(bytes_equal(secret_bytes(&s), bytes_of_text("kept")));
    secret_arena_close(arena);
    secret_arena_free(arena); /* with a slot in use, and closed */
}

/* True when `act` does not survive in a process of its own. */
static bool
dies(void (*act)(struct secret_arena *arena, struct secret *secret), struct secret_arena *arena,
     struct secret *secret)
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        /* The handlers of cmocka and of the sanitizers would only make noise here. */
        struct rlimit none = {0};

        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGSEGV, SIG_DFL);
        (void)signal(SIGABRT, SIG_DFL);
        (void)close(STDERR_FILENO);
        act(arena, secret);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

static void
read_it(struct secret_arena *arena, struct secret *secret)
{
    volatile uint8_t byte = *(volatile uint8_t *)secret->data;

    (void)arena;
    (void)byte;
}

static void
write_it(struct secret_arena *arena, struct secret *secret)
{
    (void)arena;
    *(volatile uint8_t *)secret->data = 1;
}

static void
read_behind_it(struct secret_arena *arena, struct secret *secret)
{
    volatile uint8_t byte = ((volatile uint8_t *)secret->data)[SECRET_BYTES_MAX];

    (void)arena;
    (void)byte;
}

static void
new_while_closed(struct secret_arena *arena, struct secret *secret)
{
    (void)!secret_new(arena, 1, secret);
}

static void
free_it(struct secret_arena *arena, struct secret *secret)
{
    secret_free(arena, secret);
}

static void
free_it_twice(struct secret_arena *arena, struct secret *secret)
{
    struct secret again = *secret;

    secret_free(arena, secret);
    secret_free(arena, &again);
}

static void
close_it(struct secret_arena *arena, struct secret *secret)
{
    (void)secret;
    secret_arena_close(arena);
}

static void
misuse_of(struct secret_arena *arena)
{
    struct secret s, inside;

    secret_arena_open(arena);
    assert_int_equal(secret_copy(arena, bytes_of_text("secret"), &s), OK);
    assert_false(dies(read_it, arena, &s));
    assert_false(dies(free_it, arena, &s));
    assert_true(dies(read_behind_it, arena, &s)); /* the guard page */
    assert_true(dies(free_it_twice, arena, &s));
    inside = (struct secret){.data = s.data + 1, .size = 1};
    assert_true(dies(free_it, arena, &inside));

    secret_arena_close(arena);
    assert_true(dies(read_it, arena, &s));
    assert_true(dies(write_it, arena, &s));
    assert_true(dies(new_while_closed, arena, &inside));
    assert_true(dies(free_it, arena, &s));
    assert_true(dies(close_it, arena, &s));
    secret_arena_free(arena);
}

static void
misuse_is_fatal(void **state)
{
    (void)state;
    misuse_of(arena_of(1));
}

static void
misuse_is_fatal_in_one_thread(void **state)
{
    struct secret_arena *arena = arena_of(1);

    (void)state;
    if (!secret_arena_keep_to_thread(arena)) {
        secret_arena_free(arena);
        skip();
    }
    misuse_of(arena);
}

struct other_thread {
    struct secret_arena *arena;
    struct secret *secret;
    atomic_bool go;
};

static void *
read_in_other_thread(void *context)
{
    struct other_thread *other = context;

    while (!atomic_load(&other->go))
        (void)sched_yield();
    read_it(other->arena, other->secret);
    return NULL;
}

/* A thread that was there before the arena is opened, and reads while it is open. */
static void
read_from_other_thread(struct secret_arena *arena, struct secret *secret)
{
    struct other_thread other = {.arena = arena, .secret = secret};
    pthread_t thread;

    secret_arena_close(arena);
    if (pthread_create(&thread, NULL, read_in_other_thread, &other) != 0)
        return;
    secret_arena_open(arena);
    atomic_store(&other.go, true);
    (void)pthread_join(thread, NULL);
    read_it(arena, secret);
}

static void
other_threads_have_no_access(void **state)
{
    struct secret_arena *shared = arena_of(1), *kept = arena_of(1);
    struct secret s;

    (void)state;
    secret_arena_open(shared);
    assert_int_equal(secret_copy(shared, bytes_of_text("secret"), &s), OK);
    assert_false(dies(read_from_other_thread, shared, &s));
    secret_arena_close(shared);
    secret_arena_free(shared);
    if (!secret_arena_keep_to_thread(kept)) {
        secret_arena_free(kept);
        skip();
    }
    secret_arena_open(kept);
    assert_int_equal(secret_copy(kept, bytes_of_text("secret"), &s), OK);
    assert_true(dies(read_from_other_thread, kept, &s));
    secret_arena_close(kept);
    secret_arena_free(kept);
}

static void
write_far_behind(struct secret_arena *arena, struct secret *secret)
{
    struct secret far = {.data = secret->data + (FAR_SLOTS - 1) * SECRET_BYTES_MAX, .size = 1};

    write_it(arena, &far);
}

/* Changing the pages of many slots takes long, and is not done for those that nobody has had. */
static void
opens_no_further_than_was_used(void **state)
{
    struct secret_arena *arena = arena_of(FAR_SLOTS);
    struct secret secrets[FAR_SLOTS];

    (void)state;
    secret_arena_open(arena);
    assert_int_equal(secret_copy(arena, bytes_of_text("first"), &secrets[0]), OK);
    assert_true(dies(write_far_behind, arena, &secrets[0]));
    for (unsigned i = 1; i < FAR_SLOTS; i++) /* each can be used at once */
        assert_int_equal(secret_copy(arena, bytes_of_text("more"), &secrets[i]), OK);
    assert_false(dies(write_far_behind, arena, &secrets[0]));
    secret_arena_close(arena);
    assert_true(dies(read_it, arena, &secrets[0]));
    assert_true(dies(read_it, arena, &secrets[FAR_SLOTS - 1]));

    secret_arena_open(arena); /* and after the next opening */
    assert_false(dies(write_far_behind, arena, &secrets[0]));
    secret_arena_close(arena);
    secret_arena_free(arena);
}

/* In a process without privileges and with nothing to lock, an unlocked region is no region. */
static void
needs_locked_memory(void **state)
{
    int status;
    pid_t child;

    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* their mlock does nothing and says that it did */
#endif
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit none = {0};
        struct secret_arena *arena = (struct secret_arena *)&none;

        if (setrlimit(RLIMIT_MEMLOCK, &none) != 0)
            _exit(2);
        if (geteuid() == 0 && setuid(65534) != 0)
            _exit(3);
        if (secret_arena_new(100, &arena) != ERR_NOMEM)
            _exit(4);
        _exit(arena == NULL ? 0 : 5);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void
compares_in_full(void **state)
{
    (void)state;
    assert_true(secret_equal(bytes_of_text("same"), bytes_of_text("same")));
    assert_false(secret_equal(bytes_of_text("same"), bytes_of_text("samE")));
    assert_false(secret_equal(bytes_of_text("same"), bytes_of_text("sam")));
    assert_true(secret_equal(bytes_of(NULL, 0), bytes_of_text("")));
    assert_false(secret_equal(bytes_of(NULL, 0), bytes_of_text("x")));
}

/* The area of the process's memory in which `at` lies. */
static void
area_of(const uint8_t *at, uintptr_t *from, uintptr_t *to)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512], *end;
    bool found = false;

    assert_non_null(maps);
    while (!found && fgets(line, sizeof(line), maps)) {
        *from = strtoul(line, &end, 16);
        assert_int_equal(*end, '-');
        *to = strtoul(end + 1, NULL, 16);
        found = *from <= (uintptr_t)at && (uintptr_t)at < *to;
    }
    fclose(maps);
    assert_true(found);
}

/* Areas that are joined and split again each time cost more than all else of an opening. */
static void
opens_and_closes_one_area_of_memory(void **state)
{
    static const size_t sizes[] = {63, 64, 65, 128, FAR_SLOTS, 1024};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct secret_arena *arena = arena_of(sizes[i]);
        struct secret secret;
        uintptr_t open[2], closed[2];

        secret_arena_open(arena);
        assert_int_equal(secret_new(arena, 1, &secret), OK);
        secret_arena_close(arena);
        area_of(secret.data, &closed[0], &closed[1]);
        secret_arena_open(arena);
        area_of(secret.data, &open[0], &open[1]);
        assert_memory_equal(open, closed, sizeof(open));
        secret_free(arena, &secret);
        secret_arena_close(arena);
        secret_arena_free(arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hands_out_zeroed_slots),
        cmocka_unit_test(checks_sizes),
        cmocka_unit_test(reuses_many_slots),
        cmocka_unit_test(counts_opens),
        cmocka_unit_test(misuse_is_fatal),
        cmocka_unit_test(misuse_is_fatal_in_one_thread),
        cmocka_unit_test(other_threads_have_no_access),
        cmocka_unit_test(opens_no_further_than_was_used),
        cmocka_unit_test(opens_and_closes_one_area_of_memory),
        cmocka_unit_test(needs_locked_memory),
        cmocka_unit_test(compares_in_full),
    };

    return crypto_init() != OK ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
