#include "base/err.h"

const char *
vault_err_name(enum vault_err err)
{
    switch (err) {
#define X(code, name, text)                                                                        \
    case code: return name;
        VAULT_ERRORS(X)
#undef X
    }
    return "unknown"; /* a number from outside that was cast; the compiler checks the list above */
}

const char *
vault_err_text(enum vault_err err)
{
    switch (err) {
#define X(code, name, text)                                                                        \
    case code: return text;
        VAULT_ERRORS(X)
#undef X
    }
    return "an unknown error";
}
