#include "cli/url.h"

#include <string.h>

static bool
is_unreserved(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static bool
is_path(uint8_t c)
{
    return is_unreserved(c) || (c != 0 && strchr("!$&'()*+,;=:@/", c));
}

static enum vault_err
append_escaped(struct buf *out, struct bytes text, bool (*stays)(uint8_t))
{
    enum vault_err err = OK;

    for (size_t i = 0; i < text.size && err == OK; i++) {
        if (stays(text.data[i]))
            err = buf_append(out, bytes_of(&text.data[i], 1));
        else
            err = buf_printf(out, "%%%02X", (unsigned)text.data[i]);
    }
    return err;
}

enum vault_err
url_append_path(struct buf *out, struct bytes name)
{
    return append_escaped(out, name, is_path);
}

enum vault_err
url_append_query(struct buf *out, struct bytes value)
{
    return append_escaped(out, value, is_unreserved);
}
