/* What each option of cluster.conf may be. */
#ifndef OSTRAKA_RUNTIME_CONFIG_RULES_H
#define OSTRAKA_RUNTIME_CONFIG_RULES_H

#include <stdbool.h>

struct config_rule {
    const char *option;
    bool (*valid)(const char *text); /* texts; NULL: out of `names` */
    const char *const *names;        /* texts out of a list that ends with NULL */
    long min, max;                   /* numbers */
    const char *must_be;             /* how a text must look, for people */
};

/* NULL for blocks, which have no value of their own. Option names are unique over all blocks. */
const struct config_rule *config_rule_of(const char *option);

/* In the order of enum seal_type, enum log_level, enum log_format. */
extern const char *const config_seal_names[];
extern const char *const config_level_names[];
extern const char *const config_format_names[];
extern const char *const config_switch_names[]; /* no, yes */
extern const char *const config_audit_names[];  /* how names stand in the audit trail */

/* Index in such a list, or -1. */
int name_index(const char *const *names, const char *name);

#endif
