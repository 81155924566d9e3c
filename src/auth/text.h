/* Texts for people in identity records. */
#ifndef OSTRAKA_AUTH_TEXT_H
#define OSTRAKA_AUTH_TEXT_H

#include "base/bytes.h"

/* UTF-8 without control characters (U+0000..1F, U+007F..9F), of that many bytes. */
bool text_printable(struct bytes text, size_t size_min, size_t size_max);

#endif
