/*
 * An authority of client certificates and a client of it, valid until 2036, base64 of DER, and the
 * client's key of Ed25519. Made for the simulator and tests, and used for nothing else.
 */
#ifndef OSTRAKA_SIM_CLIENT_CERTIFICATE_H
#define OSTRAKA_SIM_CLIENT_CERTIFICATE_H

#include <stdint.h>

static const char certificate_ca[] =
    "MIIBXjCCAQSgAwIBAgIUThQgRWpE5dqAGLlbiHvb7IeBBjMwCgYIKoZIzj0EAwIwDTELMAkGA1UEAwwCY2EwHhcNMj"
    "YxMTIyMDcxODI0WhcNMzYxMTE5MDcxODI0WjANMQswCQYDVQQDDAJjYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IA"
    "BB5ATTspiIKYsoszR3V8LbTBXYEbUwNa7gPLq7lmLLubxsf1epjxWgjaaR6c/VFL1q3ninJXkk82h+55jrKG3XWjQj"
    "BAMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgEGMB0GA1UdDgQWBBQWPlsmHGlOC2CiDKsFk9lEuiX+TjAK"
    "BggqhkjOPQQDAgNIADBFAiBTPukxKfHzA5lhjeCy3X0sas2iNXSGuK5LZGzHzeaGPgIhAPpzsy2KomQNFvvmD7uiRs"
    "xd2gaUZXYNv4+gBnZ5Fycs";
static const char certificate_ed[] =
    "MIIBjTCCATKgAwIBAgICEJIwCgYIKoZIzj0EAwIwDTELMAkGA1UEAwwCY2EwHhcNMjYxMTIyMDcxODI1WhcNMzYxMT"
    "E5MDcxODI1WjANMQswCQYDVQQDDAJlZDAqMAUGAytlcAMhAHUk9o2+gvchM8U/He+iYdug4G5h5kbOLlaWXAJ9ZyEt"
    "o4GwMIGtMAwGA1UdEwEB/wQCMAAwDgYDVR0PAQH/BAQDAgeAMBMGA1UdJQQMMAoGCCsGAQUFBwMCMDgGA1UdEQQxMC"
    "+GLXVybjp1dWlkOjAwMDAwMDAwLTAwMDAtNDAwMC04MDAwLTAwMDAwMDAwMDBhYTAfBgNVHSMEGDAWgBQWPlsmHGlO"
    "C2CiDKsFk9lEuiX+TjAdBgNVHQ4EFgQUomF+UPU+ZMPeyV1vGguMfLMiCRIwCgYIKoZIzj0EAwIDSQAwRgIhALgvGR"
    "DbzQ3WOkABQ09NDME1FBcmfSNgP3sB+oxdP2A0AiEAxYmUNVjSXo/uoc/jQlBnrJhy5lMw6CYynLkaHcQZu1g=";
static const uint8_t ed_seed[32] = {
    0x84, 0x10, 0x52, 0x02, 0x7e, 0xe5, 0x80, 0x7f, 0xce, 0xcf, 0xf2, 0x00, 0x07, 0x29, 0xda, 0xd3,
    0x73, 0x08, 0x86, 0x79, 0x33, 0x0c, 0x45, 0x65, 0x1b, 0x40, 0x53, 0xfb, 0xcb, 0xd1, 0x18, 0x86};

#endif
