// libcuda for machines without a GPU: the driver's C interface over host memory. Work is done when it is enqueued; graphs
// keep it. Every allocation has bounds, and a copy or a free outside them fails as the driver's would.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

extern "C" int launch(const char* name, const unsigned* grid, const unsigned* block, void** arguments, int backwards);

namespace {

enum { OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_CONTEXT = 201, TOO_NEW = 222, NOT_FOUND = 500, LOST = 700 };
using Work = std::function<int()>;
struct Queue {
  bool capturing = false;
  std::vector<Work> captured;
};
struct Function {
  std::string name;
};
struct ArgumentSizes {
  const char* name;
  int count;
  const char* kinds;  // p: pointer, i: int
};
const ArgumentSizes KERNELS[] = {
    {"letterbox", 5, "ppiii"}, {"own", 6, "ppipii"}, {"move_begin", 4, "ppii"}, {"move_end", 4, "ppii"}};

std::map<std::uintptr_t, std::size_t> memory;  // start -> bytes
thread_local bool current = false;
int live = 0;  // events and queues that were not destroyed
int allocations = 0;
std::size_t copied = 0;
bool backwards = false;
bool lost = false;

int enqueue(Queue* queue, Work work) {
  if (!current) return NO_CONTEXT;
  if (lost) return LOST;
  if (queue->capturing) return queue->captured.push_back(std::move(work)), OK;
  return work();
}

int allocate(std::uintptr_t* out, std::size_t bytes) {
  if (!current) return NO_CONTEXT;
  void* start = nullptr;
  if (bytes >> 40 || posix_memalign(&start, 256, bytes)) return OUT_OF_MEMORY;
  std::memset(start, 0xAB, bytes);  // whoever reads it before writing shall notice
  *out = reinterpret_cast<std::uintptr_t>(start);
  memory[*out] = bytes;
  ++allocations;
  return OK;
}

int release(std::uintptr_t start) {
  if (!memory.erase(start)) return INVALID_VALUE;
  std::free(reinterpret_cast<void*>(start));
  return OK;
}

// Memory that is not ours is the caller's own (NumPy's), which the driver takes, too.
bool fits(std::uintptr_t start, std::size_t bytes) {
  auto next = memory.upper_bound(start);
  if (next == memory.begin()) return true;
  --next;
  const bool ours = start < next->first + next->second;
  return !ours || start + bytes <= next->first + next->second;
}

}  // namespace

extern "C" {
int cuInit(unsigned) { return OK; }
int cuGetErrorString(int status, const char** text) {
  *text = status == INVALID_VALUE ? "invalid argument" : status == NO_CONTEXT ? "invalid device context" : "error";
  return OK;
}
int cuDriverGetVersion(int* version) { return *version = 13000, OK; }
int cuDeviceGetCount(int* count) { return *count = 1, OK; }
int cuDeviceGet(int* device, int index) { return *device = index, OK; }
int cuDeviceGetName(char* name, int, int) { return std::strcpy(name, "host driver"), OK; }
int cuDeviceGetAttribute(int* value, int which, int) { return *value = which == 75 ? 9 : 0, OK; }
int cuDevicePrimaryCtxRetain(void** context, int) { return *context = &memory, OK; }
int cuDevicePrimaryCtxSetFlags_v2(int, unsigned flags) { return flags == 4 ? OK : INVALID_VALUE; }
int cuCtxSetCurrent(void* context) { return current = context == &memory, OK; }
int cuMemAlloc_v2(std::uintptr_t* out, std::size_t bytes) { return allocate(out, bytes); }
int cuMemHostAlloc(std::uintptr_t* out, std::size_t bytes, unsigned) { return allocate(out, bytes); }
int cuMemFree_v2(std::uintptr_t start) { return release(start); }
int cuMemFreeHost(void* start) { return release(reinterpret_cast<std::uintptr_t>(start)); }
int cuStreamCreate(void** queue, unsigned) { return *queue = new Queue, ++live, OK; }
int cuStreamDestroy_v2(void* queue) { return delete static_cast<Queue*>(queue), --live, OK; }
int cuStreamSynchronize(void* queue) { return lost ? LOST : static_cast<Queue*>(queue)->capturing ? 900 : OK; }
int cuStreamWaitEvent(void*, void*, unsigned) { return OK; }
int cuEventCreate(void** event, unsigned) { return *event = new int, ++live, OK; }
int cuEventDestroy_v2(void* event) { return delete static_cast<int*>(event), --live, OK; }
int cuEventRecord(void*, void*) { return OK; }
int cuEventSynchronize(void*) { return OK; }
int cuEventQuery(void*) { return lost ? LOST : OK; }

int cuMemcpyAsync(std::uintptr_t out, std::uintptr_t source, std::size_t bytes, void* queue) {
  if (!bytes) return INVALID_VALUE;  // what a driver makes of an empty copy depends on the addresses: none shall be asked for
  if (!fits(out, bytes) || !fits(source, bytes)) return INVALID_VALUE;
  return enqueue(static_cast<Queue*>(queue), [=] {
    std::memmove(reinterpret_cast<void*>(out), reinterpret_cast<void*>(source), bytes);
    copied += bytes;
    return OK;
  });
}

int cuModuleLoadData(void** module, const void* image) {
  const char* text = static_cast<const char*>(image);
  return *module = &memory, !text ? INVALID_VALUE : !std::strncmp(text, "too new", 7) ? TOO_NEW : OK;
}
int cuModuleGetFunction(void** function, void*, const char* name) {
  for (const auto& kernel : KERNELS)
    if (!std::strcmp(kernel.name, name)) return *function = const_cast<ArgumentSizes*>(&kernel), OK;
  return NOT_FOUND;
}

int cuLaunchKernel(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned, void* queue, void** arguments, void**) {
  const auto& kernel = *static_cast<ArgumentSizes*>(function);
  if (!gx || !gy || !gz || !bx || !by || !bz || bx * by * bz > 1024 || gy > 65535 || gz > 65535) return INVALID_VALUE;
  auto values = std::make_shared<std::vector<std::uint64_t>>(kernel.count);  // copied at the call, as the driver does
  for (int i = 0; i < kernel.count; ++i) std::memcpy(&(*values)[i], arguments[i], kernel.kinds[i] == 'p' ? 8 : 4);
  return enqueue(static_cast<Queue*>(queue), [=] {
    std::vector<void*> addresses;
    for (auto& value : *values) addresses.push_back(&value);
    const unsigned grid[] = {gx, gy, gz}, block[] = {bx, by, bz};
    return launch(kernel.name, grid, block, addresses.data(), backwards);
  });
}

int cuStreamBeginCapture_v2(void* queue, int) { return static_cast<Queue*>(queue)->capturing = true, OK; }
int cuStreamEndCapture(void* queue, void** graph) {
  auto& q = *static_cast<Queue*>(queue);
  *graph = new std::vector<Work>(std::move(q.captured));
  q.captured.clear();
  return q.capturing = false, OK;
}
int cuGraphInstantiateWithFlags(void** runnable, void* graph, unsigned long long) {
  return *runnable = new std::vector<Work>(*static_cast<std::vector<Work>*>(graph)), OK;
}
int cuGraphDestroy(void* graph) { return delete static_cast<std::vector<Work>*>(graph), OK; }
int cuGraphExecDestroy(void* graph) { return delete static_cast<std::vector<Work>*>(graph), OK; }
int cuGraphLaunch(void* graph, void* queue) {
  for (auto& work : *static_cast<std::vector<Work>*>(graph))
    if (int status = enqueue(static_cast<Queue*>(queue), work)) return status;
  return OK;
}

// For tests.
void host_driver_order(int run_backwards) { backwards = run_backwards; }
void host_driver_lose(int is_lost) { lost = is_lost; }
int host_driver_allocations() { return allocations; }
int host_driver_blocks() { return static_cast<int>(memory.size()); }
int host_driver_copied() { return static_cast<int>(copied); }
int host_driver_live() { return live; }
}
