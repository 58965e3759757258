// Streams and events.
#include "tests/cudasim/host/runtime.h"

#include <algorithm>
#include <set>
#include <thread>

using namespace cudasim;

// The stream of a handle, or the end of the call.
#define STREAM(s, handle)                                                                          \
    Stream *s = stream_of(handle);                                                                 \
    if (!s) return result(cudaErrorInvalidResourceHandle, "a stream that does not exist")

static std::set<Event *> events;
static Event *event_of(cudaEvent_t handle) {
    Event *e = (Event *)handle;
    return events.count(e) ? e : nullptr;
}
#define EVENT(e, handle)                                                                           \
    Event *e = event_of(handle);                                                                   \
    if (!e) return result(cudaErrorInvalidResourceHandle, "an event that does not exist")

extern "C" {

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int priority) {
    CALL(cudaStreamCreateWithPriority);
    if (!stream || flags > cudaStreamNonBlocking) return result(cudaErrorInvalidValue);
    (void)priority;
    Stream *s = new Stream();
    s->number = (unsigned)streams().size();
    s->blocking = flags != cudaStreamNonBlocking;
    streams().emplace_back(s);
    *stream = (cudaStream_t)s;
    return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
    CALL(cudaStreamCreateWithFlags);
    return cudaStreamCreateWithPriority(stream, flags, 0);
}
cudaError_t cudaStreamCreate(cudaStream_t *stream) {
    CALL(cudaStreamCreate);
    return cudaStreamCreateWithPriority(stream, cudaStreamDefault, 0);
}
cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest) {
    CALL(cudaDeviceGetStreamPriorityRange);
    if (least) *least = 0;
    if (greatest) *greatest = -5;
    return cudaSuccess;
}

// What is in it goes on to its end.
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    CALL(cudaStreamDestroy);
    STREAM(s, stream);
    if (s->number < 2) return result(cudaErrorInvalidResourceHandle, "a default stream is not destroyed");
    if (s->capture) s->capture->graph->invalid = true;
    s->destroyed = true;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    CALL(cudaStreamSynchronize);
    STREAM(s, stream);
    if (s->capture) {
        s->capture->graph->invalid = true;
        return result(cudaErrorStreamCaptureUnsupported,
                      "cudaStreamSynchronize on a stream that is captured");
    }
    host_counts.waits++;
    run_until_done(stream_end(s));
    return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
    CALL(cudaStreamQuery);
    STREAM(s, stream);
    if (s->capture) {
        s->capture->graph->invalid = true;
        return result(cudaErrorStreamCaptureUnsupported,
                      "cudaStreamQuery on a stream that is captured");
    }
    OperationPtr end = s->last;
    if (end && !end->done) run_some();
    if (end && !end->done) return cudaErrorNotReady;
    host_knows(end);
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
    CALL(cudaDeviceSynchronize, true);
    host_counts.waits++;
    run_everything();
    return cudaSuccess;
}

cudaError_t cudaStreamGetFlags(cudaStream_t stream, unsigned *flags) {
    CALL(cudaStreamGetFlags);
    STREAM(s, stream);
    *flags = s->blocking ? cudaStreamDefault : cudaStreamNonBlocking;
    return cudaSuccess;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void *argument) {
    CALL(cudaLaunchHostFunc);
    STREAM(s, stream);
    Work work = {"host function", [=] { function(argument); }};
    work.calls_host = true;
    return result(enqueue(s, work));
}

// ---------------------------------------------------------------- events

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
    CALL(cudaEventCreateWithFlags);
    if (!event || flags & ~(cudaEventBlockingSync | cudaEventDisableTiming))
        return result(cudaErrorInvalidValue);
    Event *e = new Event();
    e->timing = !(flags & cudaEventDisableTiming);
    events.insert(e);
    *event = (cudaEvent_t)e;
    return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t *event) {
    CALL(cudaEventCreate);
    return cudaEventCreateWithFlags(event, cudaEventDefault);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
    CALL(cudaEventDestroy);
    EVENT(e, event);
    events.erase(e);
    delete e;
    return cudaSuccess;
}

cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned) {
    CALL(cudaEventRecord);
    EVENT(e, event);
    STREAM(s, stream);
    if (s->capture) {
        e->graph = s->capture->graph;
        e->nodes = s->capture->ends;
        e->operation.reset();
        return cudaSuccess;
    }
    e->graph.reset();
    e->recorded = true;
    if (e->timing) { // an operation of its own, which reads the time
        e->operation.reset();
        auto seen = std::make_shared<double>(0);
        enqueue(s, {"event", [=] { *seen = device_ms(); }});
        e->ms = seen;
        e->operation = s->last;
    } else {
        e->operation = stream_end(s);
    }
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    return cudaEventRecordWithFlags(event, stream, 0);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    CALL(cudaEventSynchronize);
    EVENT(e, event);
    if (e->graph)
        return result(cudaErrorStreamCaptureUnsupported, "cudaEventSynchronize on a captured event");
    host_counts.waits++;
    run_until_done(e->operation);
    return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
    CALL(cudaEventQuery);
    EVENT(e, event);
    if (e->graph)
        return result(cudaErrorStreamCaptureUnsupported, "cudaEventQuery on a captured event");
    if (e->operation && !e->operation->done) run_some();
    if (e->operation && !e->operation->done) return cudaErrorNotReady;
    host_knows(e->operation);
    return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t first, cudaEvent_t last) {
    CALL(cudaEventElapsedTime);
    EVENT(a, first);
    EVENT(b, last);
    if (!a->timing || !b->timing || !a->recorded || !b->recorded)
        return result(cudaErrorInvalidResourceHandle, "cudaEventElapsedTime needs two recorded "
                                                      "events with timing");
    if (!a->operation->done || !b->operation->done) return cudaErrorNotReady;
    *ms = (float)(*b->ms - *a->ms);
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    CALL(cudaStreamWaitEvent);
    STREAM(s, stream);
    EVENT(e, event);
    if (e->graph) { // the stream joins the capture
        if (!e->graph->open)
            return result(cudaErrorCapturedEvent, "an event of a capture that has ended");
        if (s->capture && s->capture->graph != e->graph)
            return result(cudaErrorStreamCaptureMerge, "an event of another capture");
        if (!s->capture) {
            s->capture.reset(new Capture());
            s->capture->graph = e->graph;
            s->capture->origin = false;
            s->capture->mode = cudaStreamCaptureModeRelaxed; // the origin's counts
            e->graph->streams.push_back(s);
        }
        std::vector<int> *ends = &s->capture->ends;
        for (int n : e->nodes)
            if (std::find(ends->begin(), ends->end(), n) == ends->end()) ends->push_back(n);
        return cudaSuccess;
    }
    if (s->capture) {
        s->capture->graph->invalid = true;
        return result(cudaErrorStreamCaptureIsolation,
                      "a captured stream waits for an event outside of its capture");
    }
    if (e->operation && !e->operation->done) s->waits.push_back(e->operation);
    return cudaSuccess;
}

} // extern "C"
