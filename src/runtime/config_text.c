#include "runtime/config_text.h"

#include <string.h>

enum place { IN_OPTIONS, IN_STRING, IN_LINE_COMMENT, IN_BLOCK_COMMENT };

struct scan {
    enum place place;
    char quote;      /* IN_STRING: what ends it */
    int line;        /* from 1 */
    int begun_line;  /* of the block comment */
    unsigned depth;  /* of braces */
    int brace_line;  /* of the outermost open brace */
    const char *why; /* set when the text is refused */
};

/* Each takes the next characters, blanks what is comment, and returns how many it took. */

static size_t
scan_options(struct scan *s, char *at)
{
    if (*at == '#' || (at[0] == '/' && at[1] == '/')) {
        s->place = IN_LINE_COMMENT;
        return 0;
    }
    if (at[0] == '/' && at[1] == '*') {
        s->place = IN_BLOCK_COMMENT;
        s->begun_line = s->line;
        memset(at, ' ', 2);
        return 2;
    }
    if (*at == '"' || *at == '\'') {
        s->place = IN_STRING;
        s->quote = *at;
    }
    if (*at == '{' && s->depth++ == 0)
        s->brace_line = s->line;
    if (*at == '}' && s->depth > 0)
        s->depth--;
    return 1;
}

static size_t
scan_string(struct scan *s, const char *at)
{
    if (*at == '\n')
        s->why = "a text in quotes must end on its line";
    else if (*at == s->quote)
        s->place = IN_OPTIONS;
    return 1;
}

static size_t
scan_line_comment(struct scan *s, char *at)
{
    if (*at == '\n')
        s->place = IN_OPTIONS;
    else
        *at = ' ';
    return 1;
}

static size_t
scan_block_comment(struct scan *s, char *at)
{
    if (at[0] == '*' && at[1] == '/') {
        s->place = IN_OPTIONS;
        memset(at, ' ', 2);
        return 2;
    }
    if (*at != '\n')
        *at = ' ';
    return 1;
}

static size_t
scan_next(struct scan *s, char *at)
{
    size_t taken = 0;

    switch (s->place) {
    case IN_OPTIONS: taken = scan_options(s, at); break;
    case IN_STRING: taken = scan_string(s, at); break;
    case IN_LINE_COMMENT: taken = scan_line_comment(s, at); break;
    case IN_BLOCK_COMMENT: taken = scan_block_comment(s, at); break;
    }
    if (taken == 1 && (*at == '\\' || *at == '$'))
        s->why = "the characters \\ and $ have no place here";
    if (taken == 1 && *at == '\n' && !s->why)
        s->line++;
    return taken;
}

enum vault_err
config_text_prepare(const char *text, struct buf *out, int *line, const char **why)
{
    struct scan s = {.place = IN_OPTIONS, .line = 1};
    size_t start = out->size;
    enum vault_err err = buf_append(out, bytes_of(text, strlen(text) + 1));
    char *at;

    *line = 0;
    *why = NULL;
    if (err != OK)
        return err;
    at = (char *)out->data + start;
    while (*at != '\0' && !s.why)
        at += scan_next(&s, at);
    if (!s.why && s.place == IN_STRING)
        s.why = "a text in quotes does not end";
    if (!s.why && s.place == IN_BLOCK_COMMENT) {
        s.why = "this comment does not end";
        s.line = s.begun_line;
    }
    if (!s.why && s.depth > 0) {
        s.why = "this block does not end: a } is missing";
        s.line = s.brace_line;
    }
    *line = s.line;
    *why = s.why;
    return s.why ? ERR_MALFORMED : OK;
}
