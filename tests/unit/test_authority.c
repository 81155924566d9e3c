/* What tokens may do in a cluster: what their policies allow, at every node, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actors/authority.h"
#include "token_records.h"

#define WRITERS                                                                                    \
    "{\"rules\":[{\"path\":\"app/**\",\"capabilities\":[\"create\",\"read\",\"update\","           \
    "\"delete\",\"history\",\"list\"]},{\"path\":\"app/root\",\"capabilities\":[\"deny\"]}]}"
#define READERS "{\"rules\":[{\"path\":\"app/**\",\"capabilities\":[\"read\",\"list\"]}]}"
#define NOBODY  "{\"rules\":[{\"path\":\"nothing\",\"capabilities\":[\"read\"]}]}"

enum { WRITER = 1, READER = 2, STRANGER = 3, NODES = 3, LONG_SECONDS = 3600 };

static struct test_token writer, reader;

static struct actor_cluster *
cluster_of(uint64_t seed)
{
    struct actor_cluster *ac = ac_cluster_of(NODES, seed);
    ac_run_ms(ac, 1000);
    records_put_tenant(ac, "default");
    records_put_policy(ac, "writers", WRITERS);
    records_put_policy(ac, "readers", READERS);
    records_put_policy(ac, "nobody", NOBODY);
    records_put_identity(ac, WRITER, "writers", false);
    records_put_identity(ac, READER, "readers", false);
    records_put_identity(ac, STRANGER, "nobody", false);
    test_token_make(1, &writer);
    test_token_make(2, &reader);
    records_put_token(ac, &writer, WRITER, 0, LONG_SECONDS);
    records_put_token(ac, &reader, READER, 0, LONG_SECONDS);
    return ac;
}

static struct ac_request *
ask(struct actor_cluster *ac, unsigned node, const struct test_token *token, enum request_kind kind,
    const char *name, const char *value)
{
    struct request r = ac_make(kind, name, value);
    r.credential = bytes_of_text(token->text);
    r.limit = kind == REQUEST_HISTORY || kind == REQUEST_NAMES ? 10 : 0;
    return ac_wait(ac, ac_send(ac, node, &r));
}

static enum vault_err
result(struct actor_cluster *ac, unsigned node, const struct test_token *token,
       enum request_kind kind, const char *name, const char *value)
{
    return ask(ac, node, token, kind, name, value)->reply.err;
}

/* Of a secret. */
static enum vault_err
may_vote(const struct membership *ms, const struct step *st, struct path path,
         enum change_kind purpose, struct bytes credential)
{
    return authority_of_vote(ms, st, path, purpose, (struct bytes){0}, credential);
}

static void
tokens_do_what_their_policies_allow(void **state)
{
    (void)state;
    for (unsigned node = 0; node < NODES; node++) {
        struct actor_cluster *ac = cluster_of(10 + node);
        assert_int_equal(result(ac, node, &writer, REQUEST_CREATE, "app/a", "one"), OK);
        assert_int_equal(result(ac, node, &writer, REQUEST_UPDATE, "app/a", "two"), OK);
        assert_int_equal(result(ac, node, &writer, REQUEST_HISTORY, "app/a", NULL), OK);
        struct ac_request *read = ask(ac, node, &reader, REQUEST_READ, "app/a", NULL);
        assert_int_equal(read->reply.err, OK);
        assert_true(bytes_equal(read->reply.value, bytes_of_text("two")));
        /* It knows of the secret, and may read it alone. */
        assert_int_equal(result(ac, node, &reader, REQUEST_UPDATE, "app/a", "3"), ERR_FORBIDDEN);
        assert_int_equal(result(ac, node, &reader, REQUEST_DELETE, "app/a", NULL), ERR_FORBIDDEN);
        assert_int_equal(result(ac, node, &reader, REQUEST_HISTORY, "app/a", NULL), ERR_FORBIDDEN);
        assert_int_equal(result(ac, node, &reader, REQUEST_CREATE, "app/b", "1"), ERR_FORBIDDEN);
        assert_int_equal(ac_create(ac, node, "other", "1")->reply.err, OK);
        assert_int_equal(result(ac, node, &reader, REQUEST_READ, "other", NULL), ERR_NOT_FOUND);
        assert_int_equal(result(ac, node, &writer, REQUEST_READ, "other", NULL), ERR_NOT_FOUND);
        assert_int_equal(result(ac, node, &writer, REQUEST_CREATE, "app/root", "1"), ERR_NOT_FOUND);
        assert_int_equal(result(ac, node, &writer, REQUEST_DELETE, "app/a", NULL), OK);
        assert_int_equal(result(ac, node, &reader, REQUEST_READ, "app/a", NULL), ERR_NOT_FOUND);
        ac_end(ac);
    }
}

/* Nor are records for them, but for an operator. */
static void
records_are_for_operators(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(20);
    assert_int_not_equal(result(ac, 1, &writer, REQUEST_RECORD_PUT, "_auth/policy/mine", "x"), OK);
    assert_int_not_equal(result(ac, 1, &writer, REQUEST_RECORD_GET, "_auth/policy/writers", NULL),
                         OK);
    assert_int_not_equal(
        result(ac, 1, &writer, REQUEST_RECORD_DELETE, "_auth/policy/writers", NULL), OK);
    records_put_identity(ac, WRITER, "operator", false);
    assert_int_equal(result(ac, 1, &writer, REQUEST_RECORD_PUT, "_auth/policy/mine", "x"), OK);
    assert_int_equal(result(ac, 2, &writer, REQUEST_RECORD_GET, "_auth/policy/mine", NULL), OK);
    assert_int_equal(result(ac, 2, &writer, REQUEST_READ, "app/a", NULL), ERR_NOT_FOUND);
    ac_end(ac);
}

/* A token whose parent is that one. */
static void
put_child(struct actor_cluster *ac, const struct test_token *token, const struct test_token *parent,
          uint8_t identity)
{
    struct buf value = {0}, encoded = {0};
    struct token record;
    test_token_record(token, identity, 0, LONG_SECONDS, &value);
    assert_int_equal(token_decode(buf_bytes(&value), &record), OK);
    record.has_parent = true;
    record.depth = 1;
    ticket_accessor(parent->hash, record.parent);
    assert_int_equal(token_encode(&record, &encoded), OK);
    records_put(ac, SYSTEM_TENANT, AUTH_KIND_TOKEN, token->name + sizeof("_auth/token/") - 1,
                &encoded);
    buf_close(&value);
}

static enum vault_err
on_token(struct actor_cluster *ac, unsigned node, const struct test_token *caller,
         enum request_kind kind, const struct test_token *of)
{
    struct request r = ac_make(kind, of->name, kind == REQUEST_RECORD_PUT ? "x" : NULL);
    r.tenant = bytes_of_text(SYSTEM_TENANT);
    r.credential = bytes_of_text(caller->text);
    return ac_wait(ac, ac_send(ac, node, &r))->reply.err;
}

/* It looks at itself, and ends itself and what was made with it; of others it learns nothing. */
static void
a_token_ends_itself_and_its_children(void **state)
{
    (void)state;
    for (unsigned node = 0; node < NODES; node++) {
        struct actor_cluster *ac = cluster_of(40 + node);
        struct test_token child, absent;
        test_token_make(7, &child);
        test_token_make(8, &absent);
        put_child(ac, &child, &writer, STRANGER);
        assert_int_equal(on_token(ac, node, &writer, REQUEST_RECORD_GET, &writer), OK);
        assert_int_equal(on_token(ac, node, &child, REQUEST_RECORD_GET, &child), OK);
        static const enum request_kind kinds[] = {REQUEST_RECORD_GET, REQUEST_RECORD_DELETE,
                                                  REQUEST_RECORD_PUT};
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(on_token(ac, node, &reader, kinds[i], &writer), ERR_NOT_FOUND);
            assert_int_equal(on_token(ac, node, &reader, kinds[i], &absent), ERR_NOT_FOUND);
            assert_int_equal(on_token(ac, node, &child, kinds[i], &writer), ERR_NOT_FOUND);
        }
        assert_int_equal(on_token(ac, node, &writer, REQUEST_RECORD_PUT, &writer), ERR_NOT_FOUND);
        assert_int_equal(on_token(ac, node, &writer, REQUEST_RECORD_DELETE, &child), OK);
        assert_int_equal(on_token(ac, node, &child, REQUEST_RECORD_GET, &child),
                         ERR_UNAUTHENTICATED);
        assert_int_equal(on_token(ac, node, &writer, REQUEST_RECORD_DELETE, &writer), OK);
        for (unsigned i = 0; i < NODES; i++)
            assert_int_equal(on_token(ac, i, &writer, REQUEST_RECORD_GET, &writer),
                             ERR_UNAUTHENTICATED);
        ac_end(ac);
    }
}

/* What the owner of a token may put in place of its record, and beside it. */
static void
a_token_renews_itself_and_bears_children(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(50);
    struct test_token parent, child;
    struct token record, changed;
    struct buf value = {0};
    test_token_make(7, &parent);
    test_token_make(8, &child);
    test_token_record(&parent, WRITER, 0, LONG_SECONDS, &value);
    assert_int_equal(token_decode(buf_bytes(&value), &record), OK);
    record.ttl_ms = LONG_SECONDS * UINT64_C(1000);
    record.latest_ms += 10 * record.ttl_ms;
    struct buf encoded = {0};
    assert_int_equal(token_encode(&record, &encoded), OK);
    records_put(ac, SYSTEM_TENANT, AUTH_KIND_TOKEN, parent.name + sizeof("_auth/token/") - 1,
                &encoded);

    /* What is allowed comes last of each eight. */
    for (unsigned turn = 0; turn < 16; turn++) {
        unsigned i = turn ^ 7;
        const struct test_token *of = i < 8 ? &parent : &child;
        enum vault_err expected = i == 0 || i == 8 ? OK : ERR_NOT_FOUND;
        changed = record;
        if (i >= 8) {
            memcpy(changed.hash, child.hash, HASH_BYTES);
            changed.has_parent = true;
            changed.depth = 1;
            ticket_accessor(parent.hash, changed.parent);
        } else {
            changed.expires_ms += 1000;
        }
        switch (i % 8) {
        case 0: break;
        case 1: changed.identity[0] = READER; break;
        case 2: changed.tenant = bytes_of_text("other"); break;
        case 3: changed.latest_ms++; break;
        case 4: changed.expires_ms = changed.latest_ms; break;
        case 5: changed.expires_ms = i < 8 ? record.expires_ms - 1 : record.expires_ms + 1; break;
        case 6:
            changed.depth = i < 8 ? 1 : 2;
            changed.has_parent = true;
            break;
        default: changed.hash[0] ^= 1; break;
        }
        encoded = (struct buf){0};
        assert_int_equal(token_encode(&changed, &encoded), OK);
        struct request r = ac_make(REQUEST_RECORD_PUT, of->name, NULL);
        r.tenant = bytes_of_text(SYSTEM_TENANT);
        r.credential = bytes_of_text(parent.text);
        r.value = buf_bytes(&encoded);
        enum vault_err err = ac_wait(ac, ac_send(ac, i % NODES, &r))->reply.err;
        /* Every holder says the same as the node that the client talks to. */
        const struct membership *ms = node_membership(ac->nodes[(i + 1) % NODES].node);
        struct step st = {.now = ac_monotonic(ac), .wall_ms = TEST_WALL_SECONDS * UINT64_C(1000)};
        struct path path = {r.tenant, r.name};
        enum vault_err at_holder =
            authority_of_record(ms, &st, path, RECORD_CHANGE, r.value, r.credential);
        if (err != expected || at_holder != expected)
            fail_msg("%u: %s, %s", i, vault_err_name(err), vault_err_name(at_holder));
        if (err == OK && i == 0)
            record = changed;
        buf_close(&encoded);
    }
    assert_int_equal(result(ac, 1, &child, REQUEST_CREATE, "app/c", "1"), OK);
    buf_close(&value);
    ac_end(ac);
}

static void
what_changes_counts_at_every_node(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(30);
    assert_int_equal(ac_create(ac, 0, "app/a", "1")->reply.err, OK);
    records_put_policy(ac, "readers", NOBODY);
    for (unsigned node = 0; node < NODES; node++)
        assert_int_equal(result(ac, node, &reader, REQUEST_READ, "app/a", NULL), ERR_NOT_FOUND);
    records_put_identity(ac, READER, "writers", false);
    for (unsigned node = 0; node < NODES; node++)
        assert_int_equal(result(ac, node, &reader, REQUEST_READ, "app/a", NULL), OK);
    records_put_identity(ac, READER, "writers", true);
    for (unsigned node = 0; node < NODES; node++)
        assert_int_equal(result(ac, node, &reader, REQUEST_READ, "app/a", NULL),
                         ERR_UNAUTHENTICATED);
    ac_end(ac);
}

static void
names_are_those_that_may_be_listed(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(40);
    assert_int_equal(ac_create(ac, 0, "app/a", "1")->reply.err, OK);
    assert_int_equal(ac_create(ac, 1, "other", "1")->reply.err, OK);
    for (unsigned node = 0; node < NODES; node++) {
        struct ac_request *names = ask(ac, node, &reader, REQUEST_NAMES, "", NULL);
        assert_int_equal(names->reply.err, OK);
        assert_int_equal(names->reply.name_count, 1);
        assert_true(bytes_equal(names->reply.names[0], bytes_of_text("app/a")));
    }
    ac_end(ac);
}

static size_t
count_listed(struct actor_cluster *ac, const char *address)
{
    struct request r = ac_make(REQUEST_NAMES, "", NULL);
    r.credential = bytes_of_text(reader.text);
    r.address = bytes_of_text(address);
    r.limit = 10;
    struct ac_request *names = ac_wait(ac, ac_send(ac, 1, &r));
    assert_int_equal(names->reply.err, OK);
    return names->reply.name_count;
}

/* Only the node that is asked knows from where, and that is enough. */
static void
names_are_those_that_may_be_listed_from_there(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(41);
    assert_int_equal(ac_create(ac, 0, "app/a", "1")->reply.err, OK);
    assert_int_equal(ac_create(ac, 0, "app/b", "1")->reply.err, OK);
    assert_int_equal(ac_create(ac, 0, "web", "1")->reply.err, OK);
    records_put_policy(ac, "readers",
                       "{\"rules\":[{\"path\":\"app/**\",\"capabilities\":[\"list\"],"
                       "\"cidrs\":[\"10.0.0.0/8\"]},"
                       "{\"path\":\"app/b\",\"capabilities\":[\"deny\"],"
                       "\"cidrs\":[\"10.1.0.0/16\"]},"
                       "{\"path\":\"web\",\"capabilities\":[\"list\"]}]}");
    assert_int_equal(count_listed(ac, "10.2.0.1"), 3);
    assert_int_equal(count_listed(ac, "10.1.0.1"), 2);
    assert_int_equal(count_listed(ac, "203.0.113.5"), 1);
    ac_end(ac);
}

/* Nobody counts uses yet; and what has ended is over. */
static void
tokens_that_cannot_be_used(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(50);
    struct test_token token, counted;
    test_token_make(5, &token);
    test_token_make(6, &counted);
    assert_int_equal(ac_create(ac, 0, "app/a", "1")->reply.err, OK);
    assert_int_equal(result(ac, 1, &token, REQUEST_READ, "app/a", NULL), ERR_UNAUTHENTICATED);
    records_put_token(ac, &counted, READER, 2, LONG_SECONDS);
    assert_int_equal(result(ac, 1, &counted, REQUEST_READ, "app/a", NULL), ERR_UNAUTHENTICATED);
    records_put_token(ac, &token, READER, 0, 15);
    assert_int_equal(result(ac, 1, &token, REQUEST_READ, "app/a", NULL), OK);
    ac_run_ms(ac, 15000);
    assert_int_equal(result(ac, 1, &token, REQUEST_READ, "app/a", NULL), ERR_UNAUTHENTICATED);
    ac_end(ac);
}

/* The holders decide by themselves: one that serves whom it should not gets nothing from them. */
static void
holders_decide_by_themselves(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(60);
    const struct membership *ms = node_membership(ac->nodes[1].node);
    struct step st = {.now = ac_monotonic(ac), .wall_ms = ac_wall_ms(ac, 1)};
    struct path path = {bytes_of_text("default"), bytes_of_text("app/a")};
    struct bytes may = bytes_of_text(writer.text), may_read = bytes_of_text(reader.text);
    assert_int_equal(may_vote(ms, &st, path, CHANGE_UPDATE, may), OK);
    assert_int_equal(may_vote(ms, &st, path, CHANGE_UPDATE, may_read), ERR_FORBIDDEN);
    assert_int_equal(may_vote(ms, &st, path, CHANGE_DELETE, may_read), ERR_FORBIDDEN);
    assert_int_equal(may_vote(ms, &st, path, CHANGE_ALTER, may), OK);
    assert_int_equal(may_vote(ms, &st, path, CHANGE_ALTER, may_read), ERR_FORBIDDEN);
    assert_int_equal(may_vote(ms, &st, path, CHANGE_ERASE, may), OK);
    assert_int_equal(may_vote(ms, &st, path, CHANGE_ERASE, may_read), ERR_FORBIDDEN);
    assert_int_equal(authority_of_value(ms, &st, path, may_read), OK);
    assert_int_equal(authority_of_head(ms, &st, path, may_read), OK);
    path.name = bytes_of_text("other");
    assert_int_equal(authority_of_value(ms, &st, path, may_read), ERR_NOT_FOUND);
    assert_int_equal(authority_of_head(ms, &st, path, may), ERR_NOT_FOUND);
    path.name = bytes_of_text("_auth/policy/writers");
    assert_int_not_equal(may_vote(ms, &st, path, CHANGE_UPDATE, may), OK);
    assert_int_not_equal(authority_of_head(ms, &st, path, may), OK);
    path = (struct path){bytes_of_text("elsewhere"), bytes_of_text("app/a")};
    assert_int_equal(authority_of_value(ms, &st, path, may_read), ERR_NOT_FOUND);
    ac_end(ac);
}

static enum vault_err
create_with_key(struct actor_cluster *ac, unsigned node, const char *credential)
{
    struct request r = ac_make(REQUEST_CREATE, "app/a", "1");
    r.credential = bytes_of_text(credential);
    r.idempotency_key = bytes_of_text("key");
    return ac_wait(ac, ac_send(ac, node, &r))->reply.err;
}

/* Whichever node is asked. */
static void
callers_are_identities(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(70);
    struct path path = {bytes_of_text("default"), bytes_of_text("app/a")};
    char memory[CALLER_BYTES];
    for (unsigned node = 0; node < NODES; node++) {
        const struct membership *ms = node_membership(ac->nodes[node].node);
        struct bytes who = authority_caller(ms, path, bytes_of_text(writer.text), memory);
        assert_true(bytes_equal(who, bytes_of_text("01000000-0000-0000-0000-000000000000")));
    }
    /* One caller's keys are not another's. */
    assert_int_equal(create_with_key(ac, 2, writer.text), OK);
    assert_int_equal(create_with_key(ac, 0, writer.text), OK);
    assert_int_equal(create_with_key(ac, 0, ac_token), ERR_ALREADY_EXISTS);
    ac_end(ac);
}

#define OFFICE                                                                                     \
    "{\"rules\":[{\"path\":\"app/**\",\"capabilities\":[\"create\",\"read\"],"                     \
    "\"cidrs\":[\"10.1.0.0/16\",\"2001:db8::/32\"]},"                                              \
    "{\"path\":\"app/hidden\",\"capabilities\":[\"deny\"],\"cidrs\":[\"10.1.9.0/24\"]}]}"

static enum vault_err
read_from(struct actor_cluster *ac, unsigned node, const char *name, const char *address)
{
    struct request r = ac_make(REQUEST_READ, name, NULL);
    r.credential = bytes_of_text(reader.text);
    r.address = bytes_of_text(address);
    return ac_wait(ac, ac_send(ac, node, &r))->reply.err;
}

/*
 * The node that is asked holds the client's address against the rules; the others, that do not know
 * it, give that node what it then asks for.
 */
static void
rules_for_addresses_hold(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(80);
    assert_int_equal(ac_create(ac, 0, "app/a", "1")->reply.err, OK);
    assert_int_equal(ac_create(ac, 0, "app/hidden", "1")->reply.err, OK);
    records_put_policy(ac, "readers", OFFICE);
    for (unsigned node = 0; node < NODES; node++) {
        assert_int_equal(read_from(ac, node, "app/a", "10.1.2.3"), OK);
        assert_int_equal(read_from(ac, node, "app/a", "::ffff:10.1.2.3"), OK);
        assert_int_equal(read_from(ac, node, "app/a", "2001:db8::1"), OK);
        assert_int_equal(read_from(ac, node, "app/a", "10.2.2.3"), ERR_NOT_FOUND);
        assert_int_equal(read_from(ac, node, "app/a", "2001:db9::1"), ERR_NOT_FOUND);
        assert_int_equal(read_from(ac, node, "app/hidden", "10.1.2.3"), OK);
        assert_int_equal(read_from(ac, node, "app/hidden", "10.1.9.3"), ERR_NOT_FOUND);
    }
    ac_end(ac);
}

/* Ten minutes of the day around an hour of the simulated clock. */
static void
policy_of_hours(struct actor_cluster *ac, unsigned from_now, unsigned to_now)
{
    unsigned now = (unsigned)(ac_wall_ms(ac, 0) / 60000 % MINUTES_PER_DAY);
    unsigned from = (now + from_now) % MINUTES_PER_DAY, to = (now + to_now) % MINUTES_PER_DAY;
    char json[256];
    snprintf(json, sizeof(json),
             "{\"rules\":[{\"path\":\"app/**\",\"capabilities\":[\"read\"],"
             "\"not_before\":\"%02u:%02u\",\"not_after\":\"%02u:%02u\"}]}",
             from / 60, from % 60, to / 60, to % 60);
    records_put_policy(ac, "readers", json);
}

static void
rules_for_hours_hold(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(90);
    assert_int_equal(ac_create(ac, 0, "app/a", "1")->reply.err, OK);
    policy_of_hours(ac, MINUTES_PER_DAY - 60, 60);
    assert_int_equal(result(ac, 1, &reader, REQUEST_READ, "app/a", NULL), OK);
    policy_of_hours(ac, 60, 120);
    assert_int_equal(result(ac, 1, &reader, REQUEST_READ, "app/a", NULL), ERR_NOT_FOUND);
    ac_end(ac);
}

static struct ac_request *
read_batch(struct actor_cluster *ac, unsigned node, const struct batch_item *items, size_t count)
{
    struct request r = ac_make(REQUEST_BATCH, "", NULL);
    r.credential = bytes_of_text(reader.text);
    r.items = items;
    r.item_count = count;
    return ac_wait(ac, ac_send(ac, node, &r));
}

/* In a batch, too, what may not be seen looks like what is not there. */
static void
parts_of_batches_are_decided_one_by_one(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(100);
    struct batch_item fine[] = {{.name = bytes_of_text("app/a")}};
    struct batch_item mixed[] = {{.name = bytes_of_text("app/a")}, {.name = bytes_of_text("x")}};
    struct batch_item absent[] = {{.name = bytes_of_text("app/a")},
                                  {.name = bytes_of_text("app/no")}};
    assert_int_equal(ac_create(ac, 0, "app/a", "1")->reply.err, OK);
    assert_int_equal(ac_create(ac, 0, "x", "1")->reply.err, OK);
    for (unsigned node = 0; node < NODES; node++) {
        assert_int_equal(read_batch(ac, node, fine, 1)->reply.err, OK);
        const struct reply *denied = &read_batch(ac, node, mixed, 2)->reply;
        const struct reply *missing = &read_batch(ac, node, absent, 2)->reply;
        assert_int_equal(denied->err, ERR_NOT_FOUND);
        assert_int_equal(missing->err, ERR_NOT_FOUND);
        assert_int_equal(denied->item_count, 2);
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(denied->items[i].err, missing->items[i].err);
            assert_int_equal(denied->items[i].value.size, 0);
        }
        assert_int_equal(denied->items[1].err, ERR_NOT_FOUND);
    }
    ac_end(ac);
}

/* "operator" is the name of a right, which no policy with rules can give. */
static void
operators_see_the_state_of_nodes(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(110);
    const struct membership *ms = node_membership(ac->nodes[1].node);
    struct request status = {.kind = REQUEST_STATUS, .credential = bytes_of_text(writer.text)};
    struct request env = {.kind = REQUEST_ENV,
                          .tenant = bytes_of_text("default"),
                          .credential = bytes_of_text(writer.text)};
    struct step st = {.now = ac_monotonic(ac), .wall_ms = ac_wall_ms(ac, 1)};
    assert_int_equal(authority_of_request(ms, &st, &status), ERR_FORBIDDEN);
    status.kind = REQUEST_METRICS;
    assert_int_equal(authority_of_request(ms, &st, &status), ERR_FORBIDDEN);
    assert_int_equal(authority_of_request(ms, &st, &env), OK);
    env.tenant = bytes_of_text("elsewhere");
    assert_int_equal(authority_of_request(ms, &st, &env), ERR_NOT_FOUND);
    records_put_identity(ac, WRITER, "operator", false);
    st = (struct step){.now = ac_monotonic(ac), .wall_ms = ac_wall_ms(ac, 1)};
    assert_int_equal(authority_of_request(ms, &st, &status), OK);
    status.kind = REQUEST_STATUS;
    assert_int_equal(authority_of_request(ms, &st, &status), OK);
    status.credential = bytes_of_text(reader.text);
    assert_int_not_equal(authority_of_request(ms, &st, &status), OK);
    ac_end(ac);
}

/* ---- a tenant that is being purged ---- */

static enum vault_err
in_team(struct actor_cluster *ac, unsigned node, enum request_kind kind, const char *name,
        const struct test_token *token)
{
    struct request r = ac_make(kind, name, kind == REQUEST_CREATE ? "x" : NULL);
    r.tenant = bytes_of_text("team");
    r.limit = kind == REQUEST_NAMES || kind == REQUEST_RECORD_LIST ? 10 : 0;
    if (token)
        r.credential = bytes_of_text(token->text);
    return ac_wait(ac, ac_send(ac, node, &r))->reply.err;
}

static void
purge_team(struct actor_cluster *ac, bool purged)
{
    struct tenant tenant = {.name = bytes_of_text("team"), .purging_ms = purged ? 1 : 0};
    struct buf value = {0};
    assert_int_equal(tenant_encode(&tenant, &value), OK);
    records_put(ac, SYSTEM_TENANT, AUTH_KIND_TENANT, "team", &value);
}

/* Operators delete what is in it, and nobody does anything else, at every node. */
static void
a_purged_tenant_is_emptied_by_operators(void **state)
{
    (void)state;
    static const enum change_kind others[] = {CHANGE_CREATE, CHANGE_UPDATE, CHANGE_ALTER,
                                              CHANGE_ERASE};
    struct actor_cluster *ac = cluster_of(120);
    struct path path = {bytes_of_text("team"), bytes_of_text("app/a")};
    purge_team(ac, false);
    for (unsigned i = 0; i < NODES; i++)
        assert_int_equal(in_team(ac, i, REQUEST_CREATE,
                                 i == 0   ? "a"
                                 : i == 1 ? "b"
                                          : "c",
                                 NULL),
                         OK);
    purge_team(ac, true);
    records_put_identity(ac, READER, "operator", false);
    for (unsigned i = 0; i < NODES; i++) {
        const struct membership *ms = node_membership(ac->nodes[i].node);
        struct step st = {.now = ac_monotonic(ac), .wall_ms = ac_wall_ms(ac, i)};
        struct bytes admin = bytes_of_text(ac_token), chief = bytes_of_text(reader.text);
        for (unsigned k = 0; k < sizeof(others) / sizeof(others[0]); k++) {
            assert_int_equal(may_vote(ms, &st, path, others[k], admin), ERR_NOT_FOUND);
            assert_int_equal(may_vote(ms, &st, path, others[k], chief), ERR_NOT_FOUND);
        }
        assert_int_equal(may_vote(ms, &st, path, CHANGE_DELETE, admin), OK);
        assert_int_equal(may_vote(ms, &st, path, CHANGE_DELETE, chief), OK);
        assert_int_not_equal(may_vote(ms, &st, path, CHANGE_DELETE, bytes_of_text(writer.text)),
                             OK);
        assert_int_equal(authority_of_head(ms, &st, path, chief), OK); /* is it still there? */
        assert_int_not_equal(authority_of_head(ms, &st, path, bytes_of_text(writer.text)), OK);
        assert_int_not_equal(authority_of_value(ms, &st, path, chief), OK);
        assert_int_equal(in_team(ac, i, REQUEST_CREATE, "d", NULL), ERR_NOT_FOUND);
        assert_int_equal(in_team(ac, i, REQUEST_READ, "c", NULL), ERR_NOT_FOUND);
        assert_int_equal(in_team(ac, i, REQUEST_NAMES, "", &reader), OK);
        assert_int_equal(in_team(ac, i, REQUEST_RECORD_LIST, "_auth/policy/", &reader), OK);
        assert_int_equal(in_team(ac, i, REQUEST_READ, "c", &reader), ERR_NOT_FOUND);
        assert_int_not_equal(in_team(ac, i, REQUEST_DELETE, "c", &writer), OK);
    }
    assert_int_equal(in_team(ac, 0, REQUEST_DELETE, "a", &reader), OK);
    assert_int_equal(in_team(ac, 1, REQUEST_DELETE, "b", NULL), OK);
    purge_team(ac, false);
    assert_int_equal(in_team(ac, 2, REQUEST_READ, "a", NULL), ERR_NOT_FOUND);
    assert_int_equal(in_team(ac, 2, REQUEST_READ, "c", NULL), OK);
    ac_end(ac);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_do_what_their_policies_allow),
        cmocka_unit_test(records_are_for_operators),
        cmocka_unit_test(a_token_ends_itself_and_its_children),
        cmocka_unit_test(a_token_renews_itself_and_bears_children),
        cmocka_unit_test(what_changes_counts_at_every_node),
        cmocka_unit_test(names_are_those_that_may_be_listed),
        cmocka_unit_test(names_are_those_that_may_be_listed_from_there),
        cmocka_unit_test(tokens_that_cannot_be_used),
        cmocka_unit_test(holders_decide_by_themselves),
        cmocka_unit_test(callers_are_identities),
        cmocka_unit_test(rules_for_addresses_hold),
        cmocka_unit_test(rules_for_hours_hold),
        cmocka_unit_test(parts_of_batches_are_decided_one_by_one),
        cmocka_unit_test(operators_see_the_state_of_nodes),
        cmocka_unit_test(a_purged_tenant_is_emptied_by_operators),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
