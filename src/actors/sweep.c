#include "actors/sweep.h"

#include "auth/decide.h"
#include "auth/sweep.h"
#include "auth/token.h"
#include "base/planted.h"
#include "proto/record_path.h"

struct path
sweep_path(void)
{
    return (struct path){bytes_of_text(SYSTEM_TENANT),
                         bytes_of_text(RECORD_PREFIX SWEEP_KIND "/" SWEEP_KEY)};
}

bool
sweep_path_is(struct path path)
{
    return path_equal(path, sweep_path());
}

static bool
is_of_token(struct path path)
{
    struct bytes kind, key;
    if (!bytes_equal(path.tenant, bytes_of_text(SYSTEM_TENANT)) || !record_path_is(path))
        return false;
    record_path_split(path, &kind, &key);
    return bytes_equal(kind, bytes_of_text(auth_kind_name(AUTH_KIND_TOKEN)));
}

/*
 * Of a token that is there it follows from the record itself, so that no node can say something
 * else of it.
 */
uint64_t
sweep_forget_after(const struct head *head)
{
    struct token token;
    if (head->kind != HEAD_INLINE || !is_of_token(head->path))
        return 0;
    if (!head_has_value(head))
        return head->forget_after_ms;
    if (token_decode(head->value, &token) != OK || token.latest_ms > TIME_MS_MAX)
        return 0;
    return token.latest_ms;
}

bool
sweep_forgets(const struct membership *ms, uint64_t forget_after_ms)
{
    return forget_after_ms != 0 && forget_after_ms < ms->forgotten_ms;
}

bool
sweep_forgets_row(const struct membership *ms, const struct path_row *row)
{
    struct head head;
    return ms->forgotten_ms != 0 && head_decode(row->head, &head) == OK &&
           sweep_forgets(ms, sweep_forget_after(&head));
}

bool
sweep_refuses(const struct membership *ms, const struct head *head)
{
    uint64_t forget_after_ms = sweep_forget_after(head);
    return forget_after_ms != 0 && forget_after_ms < ms->forgetting_ms && !PLANTED(sweep_lets_back);
}

/* Releases before this one left nothing with a deletion; what is never forgotten does no harm. */
bool
sweep_may_follow(uint64_t before_ms, const struct head *head, bool same)
{
    uint64_t after_ms = sweep_forget_after(head);
    if (!is_of_token(head->path) || (after_ms == 0 && !head_has_value(head)))
        return true;
    if (after_ms == 0 || before_ms == 0)
        return after_ms == before_ms;
    return same ? after_ms == before_ms : after_ms >= before_ms;
}

uint64_t
sweep_target_ms(const struct membership *ms, uint64_t wall_ms)
{
    return wall_ms > ms->sweep_slack_ms ? wall_ms - ms->sweep_slack_ms : 0;
}

bool
sweep_may_move(const struct membership *ms, uint64_t wall_ms, struct bytes accepted,
               struct bytes proposed)
{
    uint64_t half_ms = ms->sweep_slack_ms / 2, now_ms, before_ms = 0;
    if (sweep_decode(proposed, &now_ms) != OK)
        return false;
    if (accepted.size > 0 && sweep_decode(accepted, &before_ms) != OK)
        return false;
    return now_ms > before_ms && wall_ms > half_ms && now_ms <= wall_ms - half_ms;
}
