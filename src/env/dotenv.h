/*
 * .env text: what stands in it, and how a value is written so that it is read back. Pure.
 *
 * A text is read one item at a time: an assignment, which may span lines where its value is quoted,
 * or a line that is none (blank, comment, anything else), which is nobody's business here. The raw
 * texts of all items, one after the other, are the whole text.
 *
 *   [export ]NAME=value          value ends at the line's end or at a '#' after a space
 *   NAME='value' NAME=`value`    as it stands
 *   NAME="value"                 \n \r \t \" \\ \$ undone; other backslashes stand for themselves
 *   NAME=enc(...)                to be stored as a new secret
 *
 * Within a value, secret(NAME) and secret(NAME@VERSION) stand for a secret's value.
 */
#ifndef OSTRAKA_ENV_DOTENV_H
#define OSTRAKA_ENV_DOTENV_H

#include "base/bytes.h"

/* What is wrong with a text; codes for machines are dotenv_fault_name. */
enum dotenv_fault {
    DOTENV_GOOD,
    DOTENV_BAD_QUOTE,     /* a quote that does not end, or text behind its end */
    DOTENV_BAD_REFERENCE, /* secret( without its ), or enc( not of a known form */
    DOTENV_BAD_NAME,      /* not the name of a secret, or none that secret() could refer to */
    /* of a plan, env_plan.h */
    DOTENV_UNRESOLVED,       /* enc(NAME), and nobody says what NAME is */
    DOTENV_REPEATED,         /* two secrets of one name, or two assignments that enc() could mean */
    DOTENV_TOO_MANY,         /* references, or secrets to be created */
    DOTENV_NUL,              /* no environment can hold it */
    DOTENV_NOT_TEXT,         /* a value that is not UTF-8, where the answer must be */
    DOTENV_UNEXPECTED_ENC,   /* where nothing is to be created */
    DOTENV_MISPLACED_ENC,    /* where nobody would see it: it would stay, with what is in it */
    DOTENV_MISPLACED_SECRET, /* secret() in a line that assigns nothing: no program would get it */
};
enum { DOTENV_FAULTS = DOTENV_MISPLACED_SECRET + 1 };
const char *dotenv_fault_name(enum dotenv_fault fault);
const char *dotenv_fault_text(enum dotenv_fault fault); /* for people */

enum dotenv_kind {
    DOTENV_OTHER,
    DOTENV_ASSIGNMENT,
    DOTENV_ENC_LITERAL, /* NAME=enc("literal") */
    DOTENV_ENC_NAME,    /* NAME=enc(SECRET) */
};

struct dotenv_item {
    enum dotenv_kind kind;
    enum dotenv_fault fault; /* of the item's form; the rest but raw and line is not set then */
    struct bytes raw;        /* with its line end */
    size_t line;             /* of its first byte, from 1 */
    struct bytes name;       /* of the variable */
    struct bytes before;     /* raw text before the value */
    struct bytes value;      /* as it stands, without quotes; of enc(): its argument, likewise */
    char quote;              /* of the value or the argument: ' " ` or 0 */
    struct bytes after;      /* raw text behind the value and its quote */
};

struct dotenv_reader {
    struct bytes rest;
    size_t line;
};

void dotenv_read(struct dotenv_reader *reader, struct bytes text);
/* The next item; false at the end. Views are borrowed from the text. */
bool dotenv_next(struct dotenv_reader *reader, struct dotenv_item *item);

/* Appends what the value means: its escapes undone. Errors: ERR_NOMEM. */
MUST_CHECK enum vault_err dotenv_decode(const struct dotenv_item *item, struct buf *out);

/* A piece of a decoded value: text, or a reference. */
struct dotenv_piece {
    bool is_reference;
    enum dotenv_fault fault; /* of a reference */
    struct bytes text;       /* text, or the name of the secret */
    uint64_t version;        /* 0: the current one */
};
/* Takes the first piece off `rest`; false at its end. */
bool dotenv_next_piece(struct bytes *rest, struct dotenv_piece *piece);
bool dotenv_has_reference(struct bytes value);

/* Whether "enc(" stands in a text, not as the end of a longer word. */
bool dotenv_has_enc(struct bytes text);
/*
 * Whether it does so in an item of which it is not the whole value, or the item's value begins with
 * something that was meant so: ENC("x"), enc ('x'). Comments do not count.
 */
MUST_CHECK enum vault_err dotenv_misplaces_enc(const struct dotenv_item *item, bool *out);

/* Whether an item is neither an assignment nor a comment nor blank: it is passed over by parsers. */
bool dotenv_is_passed_over(const struct dotenv_item *item);

/*
 * Appends the value, quoted if need be, so that it is read back as it is: by this reader always, and
 * by other dotenv parsers where there is a form in which they agree. Errors: ERR_RANGE the value
 * has a NUL, which no environment can hold; ERR_NOMEM.
 */
MUST_CHECK enum vault_err dotenv_quote(struct bytes value, struct buf *out);

#endif
