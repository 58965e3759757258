// What all functions of the runtime share: the lock, the error state, injected errors.
//
//   CUDASIM_FAIL=name:n[:code][,...]  the n-th call of a function fails ("any": the n-th of all)
//   CUDASIM_LOSE=n[:code]             the device is lost at the n-th call
//   CUDASIM_DEVICES=n, CUDASIM_DRIVER=none|old
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <map>

#include "tests/cudasim/host/runtime.h"

namespace cudasim {

struct cudasim_host_counts host_counts;
bool in_host_function;
static std::recursive_mutex mutex;
static unsigned n_locked; // how often the thread that has it locked it
static thread_local cudaError_t last_error = cudaSuccess;
static cudaError_t lost = cudaSuccess;
static std::map<std::string, uint64_t> n_calls;

struct Failure {
    std::string name;
    uint64_t at;
    cudaError_t status;
};
static std::vector<Failure> failures;
static bool failures_read;

void failures_from_environment() {
    failures_read = true;
    failures.clear();
    n_calls.clear();
    const char *list = getenv("CUDASIM_FAIL"), *lose = getenv("CUDASIM_LOSE");
    std::string text = list ? list : "";
    if (lose && *lose) text += (text.empty() ? "lose:" : ",lose:") + std::string(lose);
    for (char *save, *item = strtok_r(&text[0], ",", &save); item;
         item = strtok_r(nullptr, ",", &save)) {
        char name[64];
        unsigned long long at;
        int code = cudaErrorUnknown;
        if (sscanf(item, "%63[^:]:%llu:%d", name, &at, &code) < 2) {
            fprintf(stderr, "cudasim: CUDASIM_FAIL has \"%s\"; expected name:number[:code].\n", item);
            abort();
        }
        failures.push_back({name, at, (cudaError_t)code});
    }
}

static cudaError_t injected(const char *name) {
    if (!failures_read) failures_from_environment();
    uint64_t of_name = ++n_calls[name], of_any = ++n_calls["any"];
    for (const Failure &f : failures) {
        if (f.name == "lose" && f.at == of_any) lost = f.status;
        if (f.name == name && f.at == of_name) return f.status;
        if (f.name == "any" && f.at == of_any) return f.status;
    }
    return lost;
}

static cudaError_t driver_state() {
    const char *driver = getenv("CUDASIM_DRIVER"), *devices = getenv("CUDASIM_DEVICES");
    if (driver && (strcmp(driver, "none") == 0 || strcmp(driver, "old") == 0))
        return cudaErrorInsufficientDriver;
    if (devices && strcmp(devices, "0") == 0) return cudaErrorNoDevice;
    return cudaSuccess;
}

static bool capture_forbids() {
    for (auto &s : streams())
        if (s->capture &&
            (s->capture->mode == cudaStreamCaptureModeGlobal ||
             (s->capture->mode == cudaStreamCaptureModeThreadLocal &&
              s->capture->thread == std::this_thread::get_id()))) {
            s->capture->graph->invalid = true;
            return true;
        }
    return false;
}

Call::Call(const char *name, bool waits) : lock(mutex) {
    n_locked++;
    status = driver_state();
    if (status == cudaSuccess) status = injected(name);
    if (status == cudaSuccess && in_host_function) status = cudaErrorNotPermitted;
    if (status == cudaSuccess && current_thread())
        fail(nullptr, "a kernel calls %s", name);
    if (status == cudaSuccess && waits && capture_forbids()) {
        status = cudaErrorStreamCaptureUnsupported;
        result(status, "%s is not allowed while a stream is captured", name);
    }
}

Call::~Call() { n_locked--; }

void unlock_for_a_while() {
    unsigned n = n_locked;
    n_locked = 0;
    for (unsigned i = 0; i < n; i++) mutex.unlock();
    usleep(50);
    for (unsigned i = 0; i < n; i++) mutex.lock();
    n_locked = n;
}

cudaError_t result(cudaError_t status, const char *why, ...) {
    if (status != cudaSuccess) last_error = status;
    if (!why) return status;
    va_list arguments;
    va_start(arguments, why);
    fprintf(stderr, "cudasim: ");
    vfprintf(stderr, why, arguments);
    fprintf(stderr, ".\n");
    va_end(arguments);
    return status;
}

void lose_device(cudaError_t status) { lost = status; }

} // namespace cudasim

using namespace cudasim;

extern "C" {

// A lost device answers with its error for ever; other errors are told once.
cudaError_t cudaGetLastError() {
    cudaError_t status = lost != cudaSuccess ? lost : last_error;
    last_error = cudaSuccess;
    return status;
}
cudaError_t cudaPeekAtLastError() { return lost != cudaSuccess ? lost : last_error; }

struct ErrorText {
    cudaError_t status;
    const char *name, *text;
};
static const ErrorText ERRORS[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInitializationError, "cudaErrorInitializationError", "initialization error"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration",
     "invalid configuration argument"},
    {cudaErrorInvalidDevicePointer, "cudaErrorInvalidDevicePointer", "invalid device pointer"},
    {cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection",
     "invalid copy direction for memcpy"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress",
     "an illegal memory access was encountered"},
    {cudaErrorLaunchOutOfResources, "cudaErrorLaunchOutOfResources",
     "too many resources requested for launch"},
    {cudaErrorCooperativeLaunchTooLarge, "cudaErrorCooperativeLaunchTooLarge",
     "too many blocks in cooperative launch"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorECCUncorrectable, "cudaErrorECCUncorrectable",
     "uncorrectable ECC error encountered"},
    {cudaErrorDevicesUnavailable, "cudaErrorDevicesUnavailable",
     "CUDA-capable device(s) is/are busy or unavailable"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    {cudaErrorNotPermitted, "cudaErrorNotPermitted", "operation not permitted"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorStreamCaptureUnmatched, "cudaErrorStreamCaptureUnmatched",
     "capture was not ended in the same stream as it began"},
    {cudaErrorStreamCaptureUnjoined, "cudaErrorStreamCaptureUnjoined",
     "capturing stream has unjoined work"},
    {cudaErrorStreamCaptureIsolation, "cudaErrorStreamCaptureIsolation",
     "dependency created on uncaptured work in another stream"},
    {cudaErrorStreamCaptureImplicit, "cudaErrorStreamCaptureImplicit",
     "operation would make the legacy stream depend on a capturing blocking stream"},
    {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};
static const ErrorText &text_of(cudaError_t status) {
    static const ErrorText OTHER = {cudaErrorUnknown, "unrecognized error code",
                                    "unrecognized error code"};
    for (const ErrorText &e : ERRORS)
        if (e.status == status) return e;
    return OTHER;
}
const char *cudaGetErrorName(cudaError_t status) { return text_of(status).name; }
const char *cudaGetErrorString(cudaError_t status) { return text_of(status).text; }

} // extern "C"
