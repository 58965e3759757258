// Whether this build is watched by AddressSanitizer or ThreadSanitizer, whose own malloc, address
// space and descriptors must be left alone: IS_SANITIZED is 1 or 0.
#ifndef PROTOCOL_BASE_SANITIZED_H
#define PROTOCOL_BASE_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

#endif
