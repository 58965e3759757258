// The stand-in of the CUDA runtime inside: operations of streams as a graph, run when somebody
// waits for them or at other times that CUDA allows, in an order that respects only the graph.
#ifndef TESTS_CUDASIM_HOST_RUNTIME_H
#define TESTS_CUDASIM_HOST_RUNTIME_H

#include <cuda_runtime_api.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/cudasim/cudasim.h"
#include "tests/cudasim/device/operation.h"
#include "tests/cudasim/device/sim.h"

namespace cudasim {

struct Operation;
typedef std::shared_ptr<Operation> OperationPtr;

// What an operation does: a kernel, or host code that stands for the copy engine or a library.
struct Work {
    std::string name;
    std::function<void()> run;   // null for kernels
    std::shared_ptr<Grid> grid = nullptr; // a kernel's launch; copied for each run
    bool programmatic = false;   // may start before the kernel ahead in the stream has ended
    bool calls_host = false;     // device memory stays closed
    // Instead of run, for what waits for other processes: tries to get on; true: it is done.
    std::function<bool()> attempt = nullptr;
};

struct Operation {
    uint64_t number;
    Work work;
    std::vector<OperationPtr> after; // emptied when done
    OperationPtr ahead;              // the one before it in its stream
    struct Stream *stream;
    uint64_t place;              // in the stream
    std::vector<uint64_t> known; // per stream: operations up to this place are before this one
    std::shared_ptr<race::Operation> order; // the same for the race mode
    bool done = false;
};

struct Graph;
struct Capture {
    std::shared_ptr<Graph> graph;
    std::vector<int> ends; // nodes that the next one of this stream depends on
    bool origin;
    cudaStreamCaptureMode mode;
    std::thread::id thread; // that began it
};

struct Stream {
    unsigned number;
    bool blocking; // takes part in the order of the legacy default stream
    bool destroyed = false;
    OperationPtr last;
    std::vector<OperationPtr> waits; // of cudaStreamWaitEvent, for the next operation
    uint64_t n_operations = 0;
    std::unique_ptr<Capture> capture;
};

struct GraphNode {
    Work work;
    std::vector<int> after;
};
struct Graph {
    std::vector<GraphNode> nodes;
    std::vector<Stream *> streams; // that take part in the capture
    bool invalid = false, open = true;
};
struct GraphExec {
    std::shared_ptr<const Graph> graph;
    OperationPtr last; // launches of one of these follow one another
};

struct Event {
    OperationPtr operation; // null: nothing was recorded, or it was done
    bool timing, recorded = false;
    std::shared_ptr<double> ms; // when it happened
    std::shared_ptr<Graph> graph; // recorded inside of a capture: the nodes it stands for
    std::vector<int> nodes;
};

// ---------------------------------------------------------------- execute.cpp

// Adds work to a stream, or to the graph that the stream is being captured into. after: further
// operations that it waits for.
cudaError_t enqueue(Stream *stream, Work work, std::vector<OperationPtr> after = {});
void unlock_for_a_while(); // other threads of the host may call the runtime; of calls.cpp
void run_until_done(OperationPtr operation); // with all that it depends on; the host waits
void run_everything();
void host_knows(const OperationPtr &operation); // it asked, and was told that it is done
void run_some(); // at a call that does not wait: what chance says
void run_nodes(const std::vector<GraphNode> &nodes); // of a graph, all of them
bool before(const Operation &a, const Operation &b);
double device_ms(); // time that only goes forward

Stream *stream_of(cudaStream_t handle); // also of 0, cudaStreamLegacy, cudaStreamPerThread
std::vector<std::unique_ptr<Stream>> &streams();
OperationPtr stream_end(Stream *stream); // what an event recorded now waits for; may be null

// ---------------------------------------------------------------- calls.cpp

// Every function of the API begins with it: one lock, injected errors, a lost device.
class Call {
  public:
    // waits: it cannot be captured, and legal only where no stream is captured in global mode.
    Call(const char *name, bool waits = false);
    ~Call();
    cudaError_t status; // not cudaSuccess: return result(status)

  private:
    std::unique_lock<std::recursive_mutex> lock;
};
// Remembers an error for cudaGetLastError and returns it. why: a sentence, printed; may be null.
cudaError_t result(cudaError_t status, const char *why = nullptr, ...)
    __attribute__((format(printf, 2, 3)));
void lose_device(cudaError_t status); // every call fails from here on
void failures_from_environment();     // CUDASIM_FAIL and CUDASIM_LOSE; calls count from 1 again

extern bool in_host_function; // of cudaLaunchHostFunc: it may not call the runtime
bool is_host_registered(const void *p);
void set_registers(const void *kernel, int n);
extern struct cudasim_host_counts host_counts; // calls.cpp

} // namespace cudasim

// Opens a function of the API: CALL(cudaMalloc);
#define CALL(name, ...)                                                                            \
    cudasim::Call call(#name, ##__VA_ARGS__);                                                      \
    if (call.status != cudaSuccess) return cudasim::result(call.status)

#endif
